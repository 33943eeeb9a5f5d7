"""What the container program may do as a SageMaker job, and what a state machine may that runs it."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.lake import LEARNT_FROM
from infra.constructs.roles import service_role

__all__ = ["JobRole", "logs_and_traces", "passes_to_jobs", "runs_jobs"]

_RULE_PREFIX = "StepFunctionsGetEventsForSageMaker"


class JobRole(Construct):
    """The role that SageMaker takes on to read inputs, write outputs and log.

    Parameters
    ----------
    reads : sequence of str
        Folders of the models bucket that it reads, beside the lake.
    writes : sequence of str
        Folders that it writes to.

    Attributes
    ----------
    role : aws_iam.Role
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        lake: s3.IBucket,
        models: s3.IBucket,
        reads: Sequence[str] = ("bundles", "runs"),
        writes: Sequence[str] = ("runs",),
        description: str = "what training and processing jobs may do",
    ) -> None:
        super().__init__(scope, id_)
        stack = cdk.Stack.of(self)
        logs = [
            stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=f"/aws/sagemaker/{kind}*",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for kind in ("ProcessingJobs", "TrainingJobs")
        ]
        statements = (
            iam.PolicyStatement(
                actions=["s3:GetObject"],
                resources=[
                    *(lake.arn_for_objects(f"{folder}/*") for folder in LEARNT_FROM),
                    *(models.arn_for_objects(f"{folder}/*") for folder in reads),
                ],
            ),
            iam.PolicyStatement(
                actions=["s3:AbortMultipartUpload", "s3:PutObject"],
                resources=[models.arn_for_objects(f"{folder}/*") for folder in writes],
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[lake.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in LEARNT_FROM]}},
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[models.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in reads]}},
            ),
            iam.PolicyStatement(
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ],
                resources=logs,
            ),
            # Metrics have no resource to name: the namespace bounds it.
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
            ),
        )
        self.role = service_role(
            self,
            "role",
            service="sagemaker",
            description=description,
            statements=statements,
        )


def runs_jobs(scope: Construct, jobs: Mapping[str, Sequence[str]]) -> list[iam.PolicyStatement]:
    """May run jobs and wait for them.

    Parameters
    ----------
    jobs : mapping of str to sequence of str
        Steps by kind of job, ``processing-job`` or ``training-job``. Every job is named after its run, its step
        and the re-drive, and no other job may be touched.
    """
    stack = cdk.Stack.of(scope)
    statements = []
    for resource, steps in jobs.items():
        kind = _kind(resource)
        statements.append(
            iam.PolicyStatement(
                actions=[
                    "sagemaker:AddTags",
                    f"sagemaker:Create{kind}",
                    f"sagemaker:Describe{kind}",
                    "sagemaker:ListTags",
                    f"sagemaker:Stop{kind}",
                ],
                resources=[
                    stack.format_arn(service="sagemaker", resource=resource, resource_name=f"*-{step}-r*")
                    for step in steps
                ],
            )
        )
    # Step Functions hears of a job's end through rules of its own, with these fixed names.
    statements.append(
        iam.PolicyStatement(
            actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            resources=[
                stack.format_arn(
                    service="events", resource="rule", resource_name=f"{_RULE_PREFIX}{_kind(resource)}sRule"
                )
                for resource in jobs
            ],
        )
    )
    return statements


def passes_to_jobs(job_role: iam.IRole) -> iam.PolicyStatement:
    """May let SageMaker, and nobody else, take on the role of the jobs."""
    return iam.PolicyStatement(
        actions=["iam:PassRole"],
        resources=[job_role.role_arn],
        conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )


def logs_and_traces() -> iam.PolicyStatement:
    """May deliver its logs and traces: actions on no resource of ours, since AWS offers none to name."""
    return iam.PolicyStatement(
        actions=[
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        ],
        resources=["*"],
    )


def _kind(resource: str) -> str:
    return "".join(word.capitalize() for word in resource.split("-"))

"""What the container program may do as a SageMaker job, step by step, and what a machine may that runs it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.keys import Keys
from infra.constructs.lake import LEARNT_FROM
from infra.constructs.roles import service_role

__all__ = ["STEPS", "JobRole", "Step", "logs_and_traces", "passes_to_jobs", "runs_jobs"]

_RULE_PREFIX = "StepFunctionsGetEventsForSageMaker"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step of the container program runs as, reads and writes.

    Attributes
    ----------
    what : str
        It does, in a few words.
    lake : tuple of str
        Folders of the lake that it reads.
    reads, writes : tuple of str
        Folders of the models bucket.
    kind : {"processing-job", "training-job"}
    named : str
        How its jobs' names look; ``*-<step>-r*`` unless told: after the run, the step and the re-drive.
    """

    what: str
    lake: tuple[str, ...] = ()
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    kind: Literal["processing-job", "training-job"] = "processing-job"
    named: str = ""


STEPS: Mapping[str, Step] = MappingProxyType(
    {
        "dataset": Step(
            what="builds the rows to learn from",
            lake=LEARNT_FROM,
            reads=("bundles", "runs/*/plan"),
            writes=("runs/*/dataset",),
        ),
        "tune": Step(
            what="searches for better parameters",
            reads=("runs/*/dataset", "runs/*/parameters", "runs/*/plan"),
            writes=("runs/*/parameters",),
        ),
        "train": Step(
            what="learns",
            kind="training-job",
            reads=("runs/*/checkpoints", "runs/*/dataset", "runs/*/parameters"),
            writes=("runs/*/checkpoints", "runs/*/model"),
        ),
        "evaluate": Step(
            what="holds a model against the gate",
            reads=("bundles", "runs/*/dataset", "runs/*/model", "runs/*/plan"),
            writes=("runs/*/evaluation",),
        ),
        "compare": Step(
            what="compares two models that both scored",
            lake=tuple(folder for folder in LEARNT_FROM if folder != "history"),
            reads=("runs/*/plan",),
            writes=("runs/*/comparison",),
        ),
        "monitor": Step(
            what="looks at models and data",
            lake=LEARNT_FROM,
            reads=("bundles", "monitoring", "runs/*/evaluation"),
            writes=("monitoring",),
        ),
        # No side effects: it may write nothing that anybody learns from or serves by.
        "replay": Step(
            what="decides the past again",
            lake=LEARNT_FROM,
            reads=("replays",),
            writes=("replays",),
            named="*-replay-*",
        ),
    }
)
"""Every step of the container program that runs as a job, each in a role of its own."""


class JobRole(Construct):
    """The role that SageMaker takes on for the jobs of one step: to read inputs, write outputs and log.

    Attributes
    ----------
    step : Step
    names : str
        ARN of the jobs, with wildcards for the run and the re-drive.
    role : aws_iam.Role
    """

    def __init__(self, scope: Construct, name: str, *, lake: s3.IBucket, models: s3.IBucket, keys: Keys) -> None:
        super().__init__(scope, name)
        self.step = STEPS[name]
        self.names = cdk.Stack.of(self).format_arn(
            service="sagemaker", resource=self.step.kind, resource_name=self.step.named or f"*-{name}-r*"
        )
        self.role = service_role(
            self,
            "role",
            service="sagemaker",
            description=f"what a job may do that {self.step.what}",
            source=self.names,
            statements=[
                *_reads(lake, self.step.lake),
                *_reads(models, self.step.reads),
                iam.PolicyStatement(
                    actions=["s3:AbortMultipartUpload", "s3:PutObject"],
                    resources=[models.arn_for_objects(f"{folder}/*") for folder in self.step.writes],
                ),
                iam.PolicyStatement(
                    actions=[
                        "logs:CreateLogGroup",
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:PutLogEvents",
                    ],
                    resources=[self._logs()],
                ),
                # Metrics have no resource to name: the namespace bounds it.
                iam.PolicyStatement(
                    actions=["cloudwatch:PutMetricData"],
                    resources=["*"],
                    conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
                ),
                *keys.unlocking("s3:GetObject", "s3:PutObject"),
                keys.naming(keys.objects, through=["s3", "sagemaker"]),
                # The disk of a job's machine, which SageMaker has EC2 keep under our key.
                keys.lending(keys.objects, through="sagemaker"),
            ],
        )

    def _logs(self) -> str:
        return cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"/aws/sagemaker/{_kind(self.step.kind)}s*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )


def _reads(bucket: s3.IBucket, folders: Collection[str]) -> list[iam.PolicyStatement]:
    """May read, and list, these folders of a bucket."""
    if not folders:
        return []
    return [
        iam.PolicyStatement(
            actions=["s3:GetObject"], resources=[bucket.arn_for_objects(f"{folder}/*") for folder in folders]
        ),
        iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in folders]}},
        ),
    ]


def runs_jobs(scope: Construct, jobs: Collection[JobRole]) -> list[iam.PolicyStatement]:
    """May run the jobs of these steps, each in its role, and wait for them; no other job may be touched."""
    stack = cdk.Stack.of(scope)
    statements = []
    for resource in sorted({job.step.kind for job in jobs}):
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
                resources=[job.names for job in jobs if job.step.kind == resource],
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
                for resource in sorted({job.step.kind for job in jobs})
            ],
        )
    )
    return statements


def passes_to_jobs(jobs: Collection[JobRole]) -> iam.PolicyStatement:
    """May let SageMaker, and nobody else, take on the roles of the jobs."""
    return iam.PolicyStatement(
        actions=["iam:PassRole"],
        resources=[job.role.role_arn for job in jobs],
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

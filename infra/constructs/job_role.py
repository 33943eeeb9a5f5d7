"""What the container program may do as a SageMaker job."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.lake import LEARNT_FROM
from infra.constructs.roles import service_role

__all__ = ["JobRole"]


class JobRole(Construct):
    """The role that SageMaker takes on to read inputs, write outputs and log.

    Attributes
    ----------
    role : aws_iam.Role
    """

    def __init__(self, scope: Construct, id_: str, *, lake: s3.IBucket, models: s3.IBucket) -> None:
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
                    models.arn_for_objects("bundles/*"),
                    models.arn_for_objects("runs/*"),
                ],
            ),
            iam.PolicyStatement(
                actions=["s3:AbortMultipartUpload", "s3:PutObject"], resources=[models.arn_for_objects("runs/*")]
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[lake.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in LEARNT_FROM]}},
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[models.bucket_arn],
                conditions={"StringLike": {"s3:prefix": ["bundles/*", "runs/*"]}},
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
            description="what training and processing jobs may do",
            statements=statements,
        )

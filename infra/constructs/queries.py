"""What a function needs to query the lake: Athena acts with the caller's rights, and reads nothing else."""

from collections.abc import Sequence

import aws_cdk as cdk

from infra.constructs.function import Function
from infra.constructs.lake import QUERY_RESULTS, Lake

__all__ = ["allow_queries"]


def allow_queries(function: Function, lake: Lake, *, tables: Sequence[str]) -> None:
    """Let a function run queries in the lake's workgroup, over the tables of these names only."""
    stack, bucket, database = cdk.Stack.of(function), lake.bucket, lake.database.ref
    folders = [f"{name}/*" for name in (*tables, QUERY_RESULTS)]
    function.allow(
        "athena:GetQueryExecution",
        "athena:GetQueryResults",
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
        on=[stack.format_arn(service="athena", resource="workgroup", resource_name=lake.workgroup.ref)],
    )
    function.allow(
        "glue:GetDatabase",
        "glue:GetTable",
        on=[
            stack.format_arn(service="glue", resource="catalog"),
            # Athena looks at the default database whatever it is asked, and fails where it may not.
            stack.format_arn(service="glue", resource="database", resource_name="default"),
            stack.format_arn(service="glue", resource="database", resource_name=database),
            *(
                stack.format_arn(service="glue", resource="table", resource_name=f"{database}/{name}")
                for name in tables
            ),
        ],
    )
    function.allow("s3:GetBucketLocation", "s3:ListBucketMultipartUploads", on=[bucket.bucket_arn])
    function.allow(
        "s3:ListBucket",
        on=[bucket.bucket_arn],
        conditions={"StringLike": {"s3:prefix": folders}},
    )
    function.allow("s3:GetObject", on=[bucket.arn_for_objects(each) for each in folders])
    function.allow(
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        on=[bucket.arn_for_objects(f"{QUERY_RESULTS}/*")],
    )

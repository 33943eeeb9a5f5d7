"""What a function needs to read model bundles."""

from aws_cdk import aws_s3 as s3

from infra.constructs.function import Function

__all__ = ["allow_bundles"]


def allow_bundles(function: Function, models: s3.IBucket) -> None:
    """Let a function read bundles, and learn that one is not there."""
    function.allow("s3:GetObject", on=[models.arn_for_objects("bundles/*")])
    # Without it S3 tells of an absent object that access was denied ("GetObject", Amazon S3 API reference). A read
    # names no `s3:prefix`, so a condition on it would not be met.
    function.allow("s3:ListBucket", on=[models.bucket_arn])

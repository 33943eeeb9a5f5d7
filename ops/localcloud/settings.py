"""Where the local cloud is and how to speak to it."""

from typing import Final

__all__ = ["ACCOUNT", "CALLS", "DEFAULT_PORT", "HOST", "INTERRUPT_TAG", "OUTAGE_TAG", "REGION", "environment"]

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 4566
ACCOUNT: Final = "000000000000"
REGION: Final = "eu-west-1"
# File in the state's folder: what roles have called.
CALLS: Final = "calls.jsonl"
# Put on a training job, it takes the job's spot instances away: AWS has no call for that.
INTERRUPT_TAG: Final = "local:interrupt"
# While a delivery stream has it, its bucket cannot be reached.
OUTAGE_TAG: Final = "local:outage"


def environment(port: int = DEFAULT_PORT, *, region: str = REGION) -> dict[str, str]:
    """Environment variables that turn any AWS SDK or CLI to the local cloud.

    Parameters
    ----------
    port
        Port of the local cloud on 127.0.0.1.
    region
        Region the caller works in.
    """
    endpoint = f"http://{HOST}:{port}"
    return {
        "AWS_ENDPOINT_URL": endpoint,
        # CDK's asset publishing builds its own S3 address unless it is given one.
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": region,
    }

"""AWS clients with bounded patience: what the request path waits for, it waits for briefly."""

from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import get_session

if TYPE_CHECKING:
    from mypy_boto3_appconfig import AppConfigClient
    from mypy_boto3_appconfigdata import AppConfigDataClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

__all__ = ["appconfig", "appconfigdata", "dynamodb", "events", "s3", "secretsmanager"]

_session = get_session()

# A state that is not here within a second is of no use to a payment that waits: score without it.
_IMPATIENT = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
_PATIENT = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})


def _client(service: str, config: Config) -> Any:
    # botocore itself: boto3 adds import time and nothing that a function uses.
    return _session.create_client(service, config=config)


def dynamodb(*, impatient: bool = False) -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb", _IMPATIENT if impatient else _PATIENT)
    return client


def s3() -> "S3Client":
    client: S3Client = _client("s3", _PATIENT)
    return client


def events() -> "EventBridgeClient":
    client: EventBridgeClient = _client("events", _PATIENT)
    return client


def appconfig() -> "AppConfigClient":
    client: AppConfigClient = _client("appconfig", _PATIENT)
    return client


def appconfigdata() -> "AppConfigDataClient":
    client: AppConfigDataClient = _client("appconfigdata", _PATIENT)
    return client


def secretsmanager() -> "SecretsManagerClient":
    client: SecretsManagerClient = _client("secretsmanager", _PATIENT)
    return client

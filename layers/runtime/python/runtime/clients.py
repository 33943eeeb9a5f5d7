"""AWS clients with bounded patience: each gives up before Lambda ends the function that waits."""

import gzip
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec
from botocore.config import Config
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import get_session

from runtime.telemetry import follow

if TYPE_CHECKING:
    from mypy_boto3_appconfig import AppConfigClient
    from mypy_boto3_appconfigdata import AppConfigDataClient
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

__all__ = [
    "DOGGED",
    "PATIENT",
    "STEADY",
    "appconfig",
    "appconfigdata",
    "athena",
    "brief",
    "cloudwatch",
    "disconnect",
    "dynamodb",
    "events",
    "s3",
    "sagemaker",
    "secretsmanager",
    "sns",
    "stepfunctions",
]

_SERVICES = (
    *("appconfig", "appconfigdata", "athena", "cloudwatch", "dynamodb", "events"),
    *("s3", "sagemaker", "secretsmanager", "sns", "stepfunctions"),
)


class _Files(JSONFileLoader):
    """Reads the descriptions of services with msgspec, in a fraction of the time that `json` takes."""

    def load_file(self, file_path: str) -> Any:
        for suffix, opened in ((".json.gz", gzip.open), (".json", open)):
            try:
                with opened(file_path + suffix, "rb") as file:
                    return msgspec.json.decode(file.read())
            except FileNotFoundError:
                continue
        return None


class _Loader(Loader):
    """Takes it that the services used here exist: looking for all there are is a tenth of a cold start."""

    FILE_LOADER_CLASS = _Files

    def list_available_services(self, type_name: str) -> list[str]:
        del type_name
        return list(_SERVICES)


_session = get_session()
_session.register_component("data_loader", _Loader())
follow(_session)
_made: WeakSet[Any] = WeakSet()


def _hurried(*, connect: float, read: float, tries: int) -> Config:
    # What is sent is made by our own code, and AWS checks it too: that the client does so before takes a tenth of
    # a call. As much goes into putting together, twice, the long name under which the SDK presents itself.
    return Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": tries},
        parameter_validation=False,
        user_agent="paywarden",
    )


# A function that Lambda ends tells nobody why, counts nothing, and loses what its process has in memory. Between
# tries lies a second at most, then two, then four. `read` is the longest silence: a large object may take longer.
STEADY = _hurried(connect=1, read=2, tries=2)
"""Seven seconds at most: somebody waits and is told so, by a function that has ten."""

DOGGED = _hurried(connect=1, read=5, tries=2)
"""13 seconds at most: for queues and streams, which deliver again, and for backtests; they have 29 or 30."""

PATIENT = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
"""99 seconds at most: for what nobody waits for, in functions that have two minutes."""


def brief(seconds: float) -> Config:
    """Tried once, since pauses between tries are longer than a payment waits: what is late is done without."""
    return _hurried(connect=seconds, read=seconds, tries=1)


def _client(service: str, config: Config) -> Any:
    # botocore itself: boto3 adds import time and nothing that a function uses.
    client = _session.create_client(service, config=config)
    _made.add(client)
    return client


def disconnect() -> None:
    """End the connections of all clients; each connects again when it is next used."""
    for client in list(_made):
        client.close()


def dynamodb(patience: Config = STEADY) -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb", patience)
    return client


def s3(patience: Config = STEADY) -> "S3Client":
    client: S3Client = _client("s3", patience)
    return client


def events() -> "EventBridgeClient":
    client: EventBridgeClient = _client("events", DOGGED)
    return client


def appconfig() -> "AppConfigClient":
    client: AppConfigClient = _client("appconfig", PATIENT)
    return client


def appconfigdata() -> "AppConfigDataClient":
    client: AppConfigDataClient = _client("appconfigdata", STEADY)
    return client


def secretsmanager() -> "SecretsManagerClient":
    client: SecretsManagerClient = _client("secretsmanager", STEADY)
    return client


def athena() -> "AthenaClient":
    client: AthenaClient = _client("athena", DOGGED)
    return client


def cloudwatch() -> "CloudWatchClient":
    client: CloudWatchClient = _client("cloudwatch", PATIENT)
    return client


def sagemaker() -> "SageMakerClient":
    client: SageMakerClient = _client("sagemaker", PATIENT)
    return client


def sns() -> "SNSClient":
    client: SNSClient = _client("sns", PATIENT)
    return client


def stepfunctions() -> "SFNClient":
    client: SFNClient = _client("stepfunctions", PATIENT)
    return client

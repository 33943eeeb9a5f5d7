"""AWS clients with bounded patience: what the request path waits for, it waits for briefly."""

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
    "appconfig",
    "appconfigdata",
    "athena",
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

# A decision cannot be given before it is written. Two tries and the pause between them take five seconds at most,
# which with the read before them fit into the ten that Lambda leaves: who waits shall be told, not cut off.
# What a decision sends is made by our own code, and DynamoDB checks it too: that the client does so before takes a
# tenth of a call. As much goes into putting together, twice, the long name under which the SDK presents itself.
_STEADY = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    parameter_validation=False,
    user_agent="paywarden",
)
_PATIENT = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})


def _client(service: str, config: Config) -> Any:
    # botocore itself: boto3 adds import time and nothing that a function uses.
    client = _session.create_client(service, config=config)
    _made.add(client)
    return client


def disconnect() -> None:
    """End the connections of all clients; each connects again when it is next used."""
    for client in list(_made):
        client.close()


def dynamodb(*, patience: float | None = None, steady: bool = False) -> "DynamoDBClient":
    """A client of DynamoDB.

    Parameters
    ----------
    patience : float, optional
        Seconds that one call may take, tried once: what is not there by then is done without.
    steady : bool
        For a write that somebody waits for.
    """
    config = _STEADY if steady else _PATIENT
    if patience is not None:
        # The client's own retries pause for up to a second, which is longer than a payment waits.
        config = Config(
            connect_timeout=patience,
            read_timeout=patience,
            retries={"mode": "standard", "total_max_attempts": 1},
            parameter_validation=False,
            user_agent="paywarden",
        )
    client: DynamoDBClient = _client("dynamodb", config)
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


def athena() -> "AthenaClient":
    client: AthenaClient = _client("athena", _PATIENT)
    return client


def cloudwatch() -> "CloudWatchClient":
    client: CloudWatchClient = _client("cloudwatch", _PATIENT)
    return client


def sagemaker() -> "SageMakerClient":
    client: SageMakerClient = _client("sagemaker", _PATIENT)
    return client


def sns() -> "SNSClient":
    client: SNSClient = _client("sns", _PATIENT)
    return client


def stepfunctions() -> "SFNClient":
    client: SFNClient = _client("stepfunctions", _PATIENT)
    return client

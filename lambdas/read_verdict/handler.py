"""What a job's report decided: the state machine goes on by it, and cannot open a file itself."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.release import Verdict
from runtime import clients
from runtime.settings import load
from runtime.telemetry import instrumented, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The sentence goes through the state, a message and the output; a report holds the rest.
MOST_CHARACTERS = 1_000


@dataclass(frozen=True)
class Settings:
    models_bucket: str


class Found(Verdict, frozen=True, kw_only=True):
    """A verdict, and whether it stands on enough labels; one that does not say so does."""

    labels: bool = True


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Of a report, only this."""

    verdict: Found


settings = load(Settings)
s3 = clients.s3(clients.PATIENT)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with ``passed``, ``reason`` and ``labels``."""
    del context
    verdict = read(s3, settings.models_bucket, event["uri"])
    answer: dict[str, Any] = {"passed": verdict.passed, "reason": verdict.reason[:MOST_CHARACTERS]}
    answer["labels"] = verdict.labels
    logger.info("verdict", extra={"uri": event["uri"], **answer})
    return answer


def read(client: "S3Client", bucket: str, uri: str) -> Found:
    """The verdict of a report of some run.

    Raises
    ------
    ValueError
        If the report does not lie under a run of the models bucket, or holds no verdict.
    """
    found = re.fullmatch(r"s3://([^/]+)/(runs/[^/]+/.+\.json)", uri)
    if found is None or found[1] != bucket or ".." in found[2].split("/"):
        raise ValueError(f"uri: a report lies under s3://{bucket}/runs/ and ends in .json, not at {uri!r}")
    content = client.get_object(Bucket=bucket, Key=found[2])["Body"].read()
    try:
        return msgspec.json.decode(content, type=Report).verdict
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"{uri}: it holds no verdict ({error}); the step that wrote it must say passed, reason"
        ) from None

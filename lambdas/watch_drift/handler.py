"""What a look at the lake came to: its figures become metrics, and drift past a bound a retraining."""

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.monitoring import Figures, MonitoringPolicy, MonitoringVerdict
from fraud.monitoring_verdict import counted
from runtime import clients
from runtime.settings import load
from runtime.telemetry import count, instrumented, logger

from .retraining import Cause, Retrainings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The sentence goes through the state and the logs; the report holds the rest.
MOST_CHARACTERS = 1_000


@dataclass(frozen=True)
class Settings:
    models_bucket: str
    retrain_state_machine: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Of monitoring.json, only this."""

    run_id: str
    as_of: int
    figures: Figures
    verdict: MonitoringVerdict
    policy: MonitoringPolicy


settings = load(Settings)
s3 = clients.s3(clients.PATIENT)
retrainings = Retrainings(s3, clients.stepfunctions(), settings.models_bucket, settings.retrain_state_machine)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the verdict, and the retraining that was started for it, if any.

    Of a look that is only one, nothing is counted, and nothing follows.
    """
    del context
    report = read(s3, settings.models_bucket, event["uri"])
    look_only = event.get("look_only", False)
    if not look_only:
        for name, value in counted(report.figures, report.policy).items():
            count(name, value)
    answer: dict[str, Any] = {
        "run_id": report.run_id,
        "passed": report.verdict.passed,
        "reason": report.verdict.reason[:MOST_CHARACTERS],
        "retraining": "",
        "told": "nothing calls for a retraining",
    }
    if report.verdict.retrain and look_only:
        answer["told"] = "the daily look would start one; this one only looked"
    elif report.verdict.retrain:
        cause = Cause(report=report.run_id, as_of=report.as_of, reason=answer["reason"][:400])
        answer["retraining"], answer["told"] = retrainings.start(
            cause, cool_down_days=report.policy.cool_down_days, now=time.time_ns() // 1_000_000
        )
    logger.info("watched", extra=answer)
    return answer


def read(client: "S3Client", bucket: str, uri: str) -> Report:
    """The report of some look.

    Raises
    ------
    ValueError
        If it does not lie where reports lie, or is none.
    """
    found = re.fullmatch(r"s3://([^/]+)/(monitoring/[^/]+/monitoring\.json)", uri)
    if found is None or found[1] != bucket:
        raise ValueError(f"uri: a report is s3://{bucket}/monitoring/ID/monitoring.json, not {uri!r}")
    content = client.get_object(Bucket=bucket, Key=found[2])["Body"].read()
    try:
        return msgspec.json.decode(content, type=Report)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{uri}: it is no report ({error}); the step monitor writes them") from None

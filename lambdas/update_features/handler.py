"""From the queue to the feature store: every event of the bus, folded in once."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from fraud.decision import event_of
from fraud.events import LATEST_TIME
from fraud.features import STANDARD
from runtime import clients
from runtime.settings import load
from runtime.stores.features import DynamoFeatureStore
from runtime.telemetry import correlated, count, instrumented, logger

from .updating import MOST_AHEAD, Delivery, Report, Updater

type _Moment = Annotated[int, msgspec.Meta(ge=0, lt=LATEST_TIME)]


@dataclass(frozen=True)
class Settings:
    features_table: str
    replay_time: bool


def pause(attempt: int) -> None:
    """Wait with full jitter, longer each time: 20 ms, 40 ms, ... at most; throttled ones begin at 160 ms."""
    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - spreads retries; nobody gains by guessing


settings = load(Settings)
updater = Updater(
    features=STANDARD,
    store=DynamoFeatureStore(clients.dynamodb(clients.DOGGED), settings.features_table, consistent=True),
    clock=lambda: time.time_ns() // 1_000_000,
    pause=pause,
    ahead=None if settings.replay_time else MOST_AHEAD,
)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Apply a batch; name the messages to deliver again, so that one bad one blocks no other."""
    del context
    poison: list[str] = []
    ids: list[str] = []
    report = updater.apply(list(read(event["Records"], poison, ids)))
    tell(report, poison, ids)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in (*poison, *report.failed)]}


def read(records: list[Any], poison: list[str], ids: list[str]) -> Iterator[Delivery]:
    """The events in a batch of messages.

    The ids of messages that hold none are added to `poison`, and the correlation ids of the events to `ids`.
    """
    for record in records:
        try:
            detail = msgspec.json.decode(record["body"])["detail"]
            recorded_at = msgspec.convert(detail["recorded_at"], _Moment)
            event, correlation_id = event_of(detail), detail.get("correlation_id")
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as error:
            # The message itself may hold anything, so only the kind of error is logged.
            logger.error("no event in message %s: %s", record["messageId"], type(error).__name__)
            poison.append(record["messageId"])
        else:
            # Rows from before there were ids have none.
            ids.append(correlation_id if isinstance(correlation_id, str) else "")
            yield Delivery(record["messageId"], event, recorded_at)


def tell(report: Report, poison: list[str], ids: list[str]) -> None:
    """The batch in metrics and one log line."""
    counts = {
        "Applied": report.applied,
        "Duplicate": report.duplicate,
        "Late": report.late,
        "Covered": report.covered,
        "Mismatched": report.mismatched,
        "Rejected": report.rejected,
        "Conflict": report.conflicts,
        "Throttled": report.throttled,
        "Poison": len(poison) + len(report.unusable),
    }
    for reason in report.unusable:
        logger.error("an event cannot be folded: %s", reason)
    for name, value in counts.items():
        count(name, value)
    for lag in report.lags:
        count("FeatureLag", lag)
    told = {name.lower(): value for name, value in counts.items()}
    logger.info("batch applied", extra={**told, "correlation_ids": correlated(ids)})

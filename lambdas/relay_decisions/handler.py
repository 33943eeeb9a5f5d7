"""From the ledger's stream to the event bus: the outbox is emptied in order, and nothing is dropped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

import msgspec

from runtime import clients
from runtime.settings import load
from runtime.stores.decisions import DECISION
from runtime.telemetry import correlated, count, instrumented, logger

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "paywarden"
DETAIL_TYPES = {DECISION: "transaction.decided", "label": "label.recorded", "outcome": "outcome.recorded"}
"""What a line of the ledger becomes, by the first word of its kind."""

MOST_ENTRIES = 10
"""How many events one PutEvents call takes."""


@dataclass(frozen=True)
class Settings:
    event_bus: str


settings = load(Settings)
bus = clients.events()


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Publish a batch of the stream; name the records that did not get through."""
    del context
    lines = [record for record in event["Records"] if record["eventName"] == "INSERT"]
    failed = relay(lines, bus, settings.event_bus)
    count("Relayed", len(lines) - len(failed))
    count("RelayFailed", len(failed))
    ids = correlated(map(_correlation_id, lines))
    logger.info("relayed", extra={"records": len(lines), "failed": len(failed), "correlation_ids": ids})
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def relay(records: Sequence[Any], client: "EventBridgeClient", event_bus: str) -> list[str]:
    """Publish the new lines of the ledger.

    Returns
    -------
    list of str
        Sequence numbers of the records that were not published. Lambda reads the stream again from the
        first of them on: what follows it is published twice, and counted once by `update_features`.
    """
    failed: list[str] = []
    for chunk in batched(_entries(records, event_bus), MOST_ENTRIES, strict=False):
        answer = client.put_events(Entries=[entry for _, entry in chunk])
        for (number, _), result in zip(chunk, answer["Entries"], strict=True):
            if "ErrorCode" in result:
                logger.warning("event refused by the bus", extra={"code": result["ErrorCode"]})
                failed.append(number)
    return failed


def _entries(records: Sequence[Any], event_bus: str) -> Iterator[tuple[str, Any]]:
    for record in records:
        # Lines are written once and never changed; expiry and clean-up (REMOVE) are no events.
        if record["eventName"] != "INSERT":
            continue
        image = record["dynamodb"]["NewImage"]
        entry = {
            "Source": SOURCE,
            "DetailType": DETAIL_TYPES[image["kind"]["S"].partition("#")[0]],
            "Detail": image["row"]["S"],
            "EventBusName": event_bus,
        }
        yield record["dynamodb"]["SequenceNumber"], entry


class _Row(msgspec.Struct, frozen=True):
    """Of a row, what the log needs."""

    correlation_id: str = ""


def _correlation_id(record: Any) -> str:
    try:
        return msgspec.json.decode(record["dynamodb"]["NewImage"]["row"]["S"], type=_Row).correlation_id
    except msgspec.MsgspecError:
        # Nothing that is said about a line may keep it from the bus.
        return ""

"""The ledger: decisions, labels and outcomes, each written once. Its stream is the outbox of every event."""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["DECISION", "LABEL", "DecisionStore", "DynamoDecisionStore", "MemoryDecisionStore", "Record"]

DECISION = "decision"

LABEL = "label#"
"""How the kinds of labels begin. Their numbers follow, or what they said in lines from before there were any."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the ledger.

    Attributes
    ----------
    event_id : str
        ``merchant/transaction``.
    kind : str
        ``decision``, ``label#<number>`` (before: ``label#fraud``, ``label#genuine``) or ``outcome#<kind>``.
    digest : str
        Of the request's body; that of a payment is made under a secret of the people in it (decision 0047).
    answer : str
        What the caller was told, byte for byte.
    row : str
        The event for the bus, as JSON.
    """

    event_id: str
    kind: str
    digest: str
    answer: str
    row: str


class DecisionStore(Protocol):
    """Records written once, by event id and kind."""

    def put(self, record: Record) -> Record | None:
        """Write a record unless one is there already; return the one that is, and None for this one itself."""
        ...

    def get(self, event_id: str, kind: str) -> Record | None:
        """A record, or None; a record that was put is always seen."""
        ...

    def all(self, event_id: str) -> list[Record]:
        """Every record of an event, in the order of their kinds: the decision, labels, outcomes."""
        ...


class DynamoDecisionStore:
    """One table with the key (id, kind)."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, record: Record) -> Record | None:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_item(record),
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            item: Any = error.response.get("Item")
            kept = _record(item) if item else self.get(record.event_id, record.kind)
            # The answer to the first try may have been lost: then the second finds what that wrote.
            again = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
            return None if again and kept == record else kept
        return None

    def get(self, event_id: str, kind: str) -> Record | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"id": {"S": event_id}, "kind": {"S": kind}}, ConsistentRead=True
        )
        return _record(answer["Item"]) if "Item" in answer else None

    def all(self, event_id: str) -> list[Record]:
        # One page: there are at most 60, of a few kilobytes each; `record_label` bounds the labels.
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": {"S": event_id}},
            ConsistentRead=True,
        )
        return [_record(item) for item in answer["Items"]]


class MemoryDecisionStore:
    """The same, in this process."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self._lock = threading.Lock()

    def put(self, record: Record) -> Record | None:
        with self._lock:
            kept = self.records.get((record.event_id, record.kind))
            if kept is None:
                self.records[record.event_id, record.kind] = record
        return kept

    def get(self, event_id: str, kind: str) -> Record | None:
        return self.records.get((event_id, kind))

    def all(self, event_id: str) -> list[Record]:
        return [record for (found, _), record in sorted(self.records.items()) if found == event_id]


def _item(record: Record) -> dict[str, Any]:
    return {
        "id": {"S": record.event_id},
        "kind": {"S": record.kind},
        "digest": {"S": record.digest},
        "answer": {"S": record.answer},
        "row": {"S": record.row},
    }


def _record(item: Any) -> Record:
    return Record(item["id"]["S"], item["kind"]["S"], *(item[name]["S"] for name in ("digest", "answer", "row")))

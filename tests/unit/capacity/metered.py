"""DynamoDB in this process, as far as the request path uses it, that counts as AWS would."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from ops.capacity.units import read_units, write_units
from tests.tables import KEYS
from tests.unit.capacity.sizes import item_size

TABLES = ("features", "decisions", "settings")


@dataclass
class Count:
    """What the calls of one kind to one table were."""

    calls: int = 0
    items: int = 0
    units: float = 0.0


@dataclass
class Meter:
    """A client: `counts` by operation and table, since `counts` was last emptied."""

    tables: dict[str, dict[tuple[str, ...], dict[str, Any]]] = field(
        default_factory=lambda: {name: {} for name in TABLES}
    )
    counts: dict[tuple[str, str], Count] = field(default_factory=lambda: defaultdict(Count))
    written: list[tuple[str, Any]] = field(default_factory=list)

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 - DynamoDB's name
        found: dict[str, list[Any]] = {}
        for number, (table, wanted) in enumerate(RequestItems.items()):
            items = [self._item(table, key) for key in wanted["Keys"]]
            consistent = wanted.get("ConsistentRead", False)
            units = sum(read_units(item_size(each or {}), consistent=consistent) for each in items)
            self._count("BatchGetItem", table, calls=not number, items=len(items), units=units)
            found[table] = [each for each in items if each]
        return {"Responses": found}

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: N803 - DynamoDB's names
        item = self._item(TableName, Key)
        self._count(
            "GetItem", TableName, items=1, units=read_units(item_size(item or {}), consistent=ConsistentRead)
        )
        return {"Item": item} if item else {}

    def query(self, *, TableName: str, ExpressionAttributeValues: Any, ConsistentRead: bool, **_: Any) -> Any:  # noqa: N803 - DynamoDB's names
        [wanted] = ExpressionAttributeValues.values()
        items = [item for key, item in sorted(self.tables[TableName].items()) if key[0] == wanted["S"]]
        units = read_units(sum(map(item_size, items)), consistent=ConsistentRead)
        self._count("Query", TableName, items=len(items), units=units)
        return {"Items": items}

    def put_item(self, *, TableName: str, Item: Any, **condition: Any) -> dict[str, Any]:  # noqa: N803 - DynamoDB's names
        units = self._put("PutItem", TableName, Item, condition, transactional=False)
        self._count("PutItem", TableName, items=1, units=units)
        return {}

    def transact_write_items(self, *, TransactItems: Any) -> dict[str, Any]:  # noqa: N803 - DynamoDB's name
        for number, each in enumerate(TransactItems):
            put = dict(each["Put"])
            table, item = put.pop("TableName"), put.pop("Item")
            units = self._put("TransactWriteItems", table, item, put, transactional=True)
            self._count("TransactWriteItems", table, calls=not number, items=1, units=units)
        return {}

    def _put(self, operation: str, table: str, item: Any, condition: Any, *, transactional: bool) -> float:
        before = self._item(table, item)
        expected = condition.get("ExpressionAttributeValues", {}).get(":read")
        held = before is None if expected is None else bool(before and before["version"] == expected)
        if not held:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException", "Message": table}}, operation)
        self.tables[table][self._key(table, item)] = item
        self.written.append((table, item))
        return write_units(max(item_size(item), item_size(before or {})), transactional=transactional)

    def _count(self, operation: str, table: str, *, calls: int = 1, items: int, units: float) -> None:
        count = self.counts[operation, table]
        count.calls += calls
        count.items += items
        count.units += units

    def _item(self, table: str, key: Any) -> dict[str, Any] | None:
        return self.tables[table].get(self._key(table, key))

    def _key(self, table: str, item: Any) -> tuple[str, ...]:
        return tuple(item[name]["S"] for name in KEYS[table])

"""The audit trail in tests: its table, and what was told to it."""

from typing import Any

import msgspec

from runtime.auditing import AuditTrail, Entry

__all__ = ["audit_table", "told"]


def audit_table(client: Any, name: str = "audit") -> AuditTrail:
    """The trail over an empty table."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("subject", "id")],
        KeySchema=[
            {"AttributeName": "subject", "KeyType": "HASH"},
            {"AttributeName": "id", "KeyType": "RANGE"},
        ],
    )
    return AuditTrail(client, name)


def told(trail: AuditTrail) -> list[Entry]:
    """All entries, in order of time."""
    items = trail.client.scan(TableName=trail.table, ConsistentRead=True)["Items"]
    entries = [msgspec.json.decode(item["entry"]["S"], type=Entry) for item in items]
    return sorted(entries, key=lambda each: each.at)

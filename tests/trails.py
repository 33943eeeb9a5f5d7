"""The audit trail in tests: its table, and what was told to it."""

from typing import Any

import msgspec

from runtime.auditing import AuditTrail, Entry
from tests.tables import create_table

__all__ = ["audit_table", "told"]


def audit_table(client: Any, name: str = "audit") -> AuditTrail:
    """The trail over an empty table."""
    return AuditTrail(client, create_table(client, "audit", name))


def told(trail: AuditTrail) -> list[Entry]:
    """All entries, in order of time."""
    items = trail.client.scan(TableName=trail.table, ConsistentRead=True)["Items"]
    entries = [msgspec.json.decode(item["entry"]["S"], type=Entry) for item in items]
    return sorted(entries, key=lambda each: each.at)

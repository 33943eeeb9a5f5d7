"""A table that is gone: made again under its own name from its newest backup, with what a restore leaves out."""

import time
from collections.abc import Callable
from typing import Any

from ops.recovery.errors import RecoveryError
from ops.recovery.tables import Kind

__all__ = ["newest_backup", "reattached", "revived"]

_COPIED = (
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "FunctionResponseTypes",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
)


def newest_backup(client: Any, table: str) -> dict[str, Any]:
    """The newest backup of a table: of its last moment, if it had point-in-time recovery when it was deleted.

    Raises
    ------
    RecoveryError
        If there is none.
    """
    found: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"TableName": table, "BackupType": "ALL"}
    while True:
        page = client.list_backups(**asked)
        found += [each for each in page["BackupSummaries"] if each["BackupStatus"] == "AVAILABLE"]
        if not (last := page.get("LastEvaluatedBackupArn")):
            break
        asked["ExclusiveStartBackupArn"] = last
    if not found:
        raise RecoveryError(
            f"{table}: the table is gone and has no backup. Deploy anew, then fill it from the lake "
            "(docs/recovery.md)"
        )
    return max(found, key=lambda each: each["BackupCreationDateTime"])


def revived(
    client: Any,
    kind: Kind,
    table: str,
    backup: str,
    *,
    recoverable: bool,
    protected: bool,
    tell: Callable[[str], None],
    poll: float = 10.0,
) -> str:
    """Make a table again from a backup, and set what a restore does not: stream, expiry, recovery, protection.

    Returns
    -------
    str
        The ARN of its new stream; empty if it has none.
    """
    client.restore_table_from_backup(
        TargetTableName=table, BackupArn=backup, BillingModeOverride="PAY_PER_REQUEST"
    )
    start = time.monotonic()

    def described() -> dict[str, Any]:
        while (found := client.describe_table(TableName=table)["Table"])["TableStatus"] != "ACTIVE":
            tell(f"restoring {table}: {time.monotonic() - start:,.0f} s")
            time.sleep(poll)
        settled: dict[str, Any] = found
        return settled

    described()
    # One change after the other: a table takes the next when it is active again.
    if kind.stream:
        stream = {"StreamEnabled": True, "StreamViewType": kind.stream}
        client.update_table(TableName=table, StreamSpecification=stream)
        described()
    if protected:
        client.update_table(TableName=table, DeletionProtectionEnabled=True)
        described()
    if kind.ttl:
        expiry = {"Enabled": True, "AttributeName": kind.ttl}
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)
    if recoverable:
        recovery = {"PointInTimeRecoveryEnabled": True}
        client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    return str(described().get("LatestStreamArn", "")) if kind.stream else ""


def reattached(client: Any, table: str, stream: str) -> list[str]:
    """Let the functions that read the table's stream before read its new one; their names.

    A mapping cannot be given another stream: one like it is made, and the old one is deleted.
    """
    names = []
    for page in client.get_paginator("list_event_source_mappings").paginate():
        for old in page["EventSourceMappings"]:
            source = old.get("EventSourceArn", "")
            if f":table/{table}/stream/" not in source or source == stream:
                continue
            copied = {name: old[name] for name in _COPIED if old.get(name) not in (None, {}, [])}
            client.create_event_source_mapping(
                FunctionName=old["FunctionArn"], EventSourceArn=stream, StartingPosition="TRIM_HORIZON", **copied
            )
            client.delete_event_source_mapping(UUID=old["UUID"])
            names.append(old["FunctionArn"].split(":function:")[1])
    return names

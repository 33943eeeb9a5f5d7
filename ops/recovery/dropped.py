"""A table that is gone: made again under its own name from its newest backup, with what a restore leaves out."""

import time
from collections.abc import Callable
from typing import Any

from ops.recovery.errors import RecoveryError
from ops.recovery.tables import Kind, settled

__all__ = ["completed", "lacking", "newest_backup", "reattached", "revived"]

_PATIENCE_SECONDS = 900
"""For a new table to take its recovery, which is a matter of a minute."""

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


def revived(client: Any, table: str, backup: str, *, tell: Callable[[str], None], poll: float = 10.0) -> None:
    """Make a table again from a backup. It has its items and nothing else: `completed` sets the rest."""
    client.restore_table_from_backup(
        TargetTableName=table, BackupArn=backup, BillingModeOverride="PAY_PER_REQUEST"
    )
    settled(client, table, tell=tell, poll=poll)


def lacking(client: Any, functions: Any, kind: Kind, table: str, *, recoverable: bool) -> list[str]:
    """What a table that is there still lacks of being in its place: its stream, who reads it, its recovery.

    That is how a restore leaves it which ended early; its recovery is what comes last.
    """
    found = []
    described = client.describe_table(TableName=table)["Table"]
    if kind.stream and not described.get("StreamSpecification", {}).get("StreamEnabled"):
        found.append("its stream")
    elif kind.stream:
        stale = [old for old, _ in _stale(functions, table, described["LatestStreamArn"])]
        found += [f"{_function(old)} as reader of its stream" for old in stale]
    if recoverable and not _recovers(client, table):
        found.append("its recovery")
    return found


def completed(
    client: Any,
    functions: Any,
    kind: Kind,
    table: str,
    *,
    recoverable: bool,
    protected: bool,
    tell: Callable[[str], None],
    poll: float = 10.0,
) -> list[str]:
    """Set what a restore does not: stream, protection, expiry, the readers of the stream, and at last recovery.

    What is set already stays, so that it can be run again after it ended early.

    Returns
    -------
    list of str
        The functions that read the table's stream before and read its new one now.

    Raises
    ------
    RecoveryError
        If AWS does not let recovery be set in time; all else is set then.
    """
    # One change after the other: a table takes the next when it is active again.
    described = settled(client, table, tell=tell, poll=poll)
    if kind.stream and not described.get("StreamSpecification", {}).get("StreamEnabled"):
        stream = {"StreamEnabled": True, "StreamViewType": kind.stream}
        client.update_table(TableName=table, StreamSpecification=stream)
        described = settled(client, table, tell=tell, poll=poll, streams=bool(kind.stream))
    if protected and not described.get("DeletionProtectionEnabled"):
        client.update_table(TableName=table, DeletionProtectionEnabled=True)
        described = settled(client, table, tell=tell, poll=poll, streams=bool(kind.stream))
    if kind.ttl and not _expires(client, table):
        expiry = {"Enabled": True, "AttributeName": kind.ttl}
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)
    names = reattached(functions, table, described["LatestStreamArn"]) if kind.stream else []
    if recoverable and not _recovers(client, table):
        _recover(client, table, tell, poll)
    return names


def reattached(client: Any, table: str, stream: str) -> list[str]:
    """Let the functions that read the table's stream before read its new one; their names.

    A mapping cannot be given another stream: one like it is made, and the old one is deleted.
    """
    names = []
    for old, made in _stale(client, table, stream):
        if not made:
            copied = {name: old[name] for name in _COPIED if old.get(name) not in (None, {}, [])}
            client.create_event_source_mapping(
                FunctionName=old["FunctionArn"], EventSourceArn=stream, StartingPosition="TRIM_HORIZON", **copied
            )
        client.delete_event_source_mapping(UUID=old["UUID"])
        names.append(_function(old))
    return names


def _stale(client: Any, table: str, stream: str) -> list[tuple[Any, bool]]:
    """The mappings of streams that the table had before, and whether the function reads the new one already."""
    pages = client.get_paginator("list_event_source_mappings").paginate()
    ours = [
        each
        for page in pages
        for each in page["EventSourceMappings"]
        if f":table/{table}/stream/" in each.get("EventSourceArn", "") and each.get("State") != "Deleting"
    ]
    reading = {each["FunctionArn"] for each in ours if each["EventSourceArn"] == stream}
    return [(each, each["FunctionArn"] in reading) for each in ours if each["EventSourceArn"] != stream]


def _function(mapping: Any) -> str:
    name: str = mapping["FunctionArn"].split(":function:")[1]
    return name


def _expires(client: Any, table: str) -> bool:
    told = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["TimeToLiveStatus"]
    return told in ("ENABLED", "ENABLING")


def _recovers(client: Any, table: str) -> bool:
    told = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    status: str = told.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus", "")
    return status == "ENABLED"


def _recover(client: Any, table: str, tell: Callable[[str], None], poll: float) -> None:
    """Set point-in-time recovery, which a table refuses that has only just become active."""
    start = time.monotonic()
    recovery = {"PointInTimeRecoveryEnabled": True}
    while True:
        try:
            client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
            return
        except client.exceptions.ContinuousBackupsUnavailableException:
            waited = time.monotonic() - start
            if waited >= _PATIENCE_SECONDS:
                raise RecoveryError(
                    f"{table}: it is there again, but AWS did not let its recovery be set for {waited:,.0f} s; "
                    "run the same command once more in a while"
                ) from None
        tell(f"AWS makes {table} ready for its recovery: {waited:,.0f} s")
        time.sleep(poll)

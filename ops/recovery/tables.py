"""Which tables are restored and how, and a table as it was at a moment, restored beside the one that serves."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops.deployment import Deployment
from ops.recovery.errors import RecoveryError

__all__ = ["KINDS", "Kind", "exists", "restored_aside", "settled", "table_of"]

_UNKNOWN_SECONDS = 60
"""That DynamoDB may not tell of a table which it was just asked to make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a table is restored.

    Attributes
    ----------
    output : str
        Of the data stack, which names the table.
    overwrites : bool
        Whether an item that is there may be set back at all.
    stream, ttl : str
        The view of its stream and the attribute of its expiry; empty without.
    owner : str
        Where items have no version of their own: `<owner><merchant_id>` is the key of the item that has theirs.
    refused : str
        Why it is not restored at all, and what to do instead.
    """

    output: str
    overwrites: bool = True
    stream: str = ""
    ttl: str = ""
    owner: str = ""
    refused: str = ""


KINDS: Mapping[str, Kind] = {
    # What is there is what a merchant was told.
    "decisions": Kind(output="DecisionsTable", overwrites=False, stream="NEW_IMAGE"),
    "merchants": Kind(output="MerchantsTable", owner="merchant#"),
    "settings": Kind(output="SettingsTable", ttl="expires_at"),
    "releases": Kind(output="ReleasesTable"),
    # An entry is written once.
    "audit": Kind(output="AuditTable", overwrites=False, stream="NEW_AND_OLD_IMAGES"),
    "features": Kind(
        output="FeaturesTable",
        ttl="expires_at",
        refused=(
            "features: states are not restored but built anew from the lake, with `paywarden rebuild-state`. A "
            "state of an earlier moment lacks what was folded since, while the markers say that it was folded"
        ),
    ),
}


def table_of(deployment: Deployment, name: str) -> tuple[Kind, str]:
    """How a table is restored, and what it is called in a deployment.

    Raises
    ------
    RecoveryError
        If there is no such table, or it is not restored.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise RecoveryError(f"table: there is no table {name!r}; give one of: {', '.join(KINDS)}")
    if kind.refused:
        raise RecoveryError(kind.refused)
    return kind, deployment[kind.output]


def exists(client: Any, table: str) -> bool:
    """Whether a table is there; one that is being deleted is not."""
    try:
        status: str = client.describe_table(TableName=table)["Table"]["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        return False
    return status != "DELETING"


def restored_aside(
    client: Any, table: str, at: datetime, *, tell: Callable[[str], None], poll: float = 10.0
) -> str:
    """Restore a table as it was at a moment under another name, and wait until it is there.

    Raises
    ------
    RecoveryError
        If the table has no point-in-time recovery, or none that reaches to this moment.
    """
    described = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    window = described.get("PointInTimeRecoveryDescription", {})
    if window.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise RecoveryError(
            f"{table}: there is no point-in-time recovery here; it is on in staging and prod. "
            "A table that you restored from a backup can be named with --side"
        )
    first, last = window["EarliestRestorableDateTime"], window["LatestRestorableDateTime"]
    if not first <= at <= last:
        raise RecoveryError(f"--at: {table} can be restored from {_utc(first)} to {_utc(last)}, not to {_utc(at)}")
    side = f"{table}-at-{at.astimezone(UTC):%Y%m%dT%H%M%S}"
    if not exists(client, side):
        client.restore_table_to_point_in_time(
            SourceTableName=table, TargetTableName=side, RestoreDateTime=at, BillingModeOverride="PAY_PER_REQUEST"
        )
    settled(client, side, tell=lambda line: tell(f"{line}; AWS takes some minutes for any size"), poll=poll)
    return side


def settled(
    client: Any, table: str, *, tell: Callable[[str], None], poll: float = 10.0, streams: bool = False
) -> Any:
    """A table's description, once it takes changes; with `streams` once it names its stream, too.

    What DynamoDB tells may be of a moment before: it may not know a new table, or call one active that is not.
    """
    start = time.monotonic()
    while True:
        waited = time.monotonic() - start
        try:
            found = client.describe_table(TableName=table)["Table"]
        except client.exceptions.ResourceNotFoundException:
            if waited > _UNKNOWN_SECONDS:
                raise
            status = "not known yet"
        else:
            status = found["TableStatus"].lower()
            if status == "active" and ("LatestStreamArn" in found or not streams):
                return found
        tell(f"{table} is {status}: {waited:,.0f} s")
        time.sleep(poll)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

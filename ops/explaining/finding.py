"""Where a past decision is kept: in the ledger, or else in the lake."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow.parquet as pq

from ops.deployment import Deployment
from ops.explaining.errors import ExplainError
from ops.lake import query
from runtime.athena import quoted
from runtime.stores.decisions import DECISION, DecisionStore, DynamoDecisionStore

__all__ = ["Found", "find", "in_ledger", "row_in"]


@dataclass(frozen=True, slots=True)
class Found:
    """A decision's row, what the merchant was told where that is kept, and where they were read."""

    row: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    source: str


def find(deployment: Deployment, merchant_id: str, transaction_id: str) -> Found:
    """A decision of a deployment.

    Raises
    ------
    ExplainError
        If there is none.
    """
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    found = in_ledger(ledger, merchant_id, transaction_id) or _in_lake(deployment, merchant_id, transaction_id)
    if found is None:
        raise ExplainError(
            "no decision was made under this id for this merchant; check both, and that it is the right --env"
        )
    return found


def in_ledger(ledger: DecisionStore, merchant_id: str, transaction_id: str) -> Found | None:
    """A decision from the ledger; None if it is not there."""
    record = ledger.get(f"{merchant_id}/{transaction_id}", DECISION)
    if record is None:
        return None
    return Found(msgspec.json.decode(record.row), msgspec.json.decode(record.answer), "ledger")


def row_in(content: bytes, event_id: str) -> Mapping[str, Any] | None:
    """A decision's row from one of the lake's files; None if it is not in it."""
    rows = pq.read_table(io.BytesIO(content), filters=[("event_id", "=", event_id)]).to_pylist(
        maps_as_pydicts="strict"
    )
    if not rows:
        return None
    # A column without a value is one that an earlier version did not write.
    nullable = ("score", "raw_score")
    return {name: value for name, value in rows[0].items() if value is not None or name in nullable}


def _in_lake(deployment: Deployment, merchant_id: str, transaction_id: str) -> Found | None:
    try:
        which = f"merchant_id = {quoted(merchant_id)} AND transaction_id = {quoted(transaction_id)}"
    except ValueError:
        return None
    sql = f"SELECT DISTINCT day FROM decisions WHERE {which}"  # noqa: S608 - both went through `quoted`
    s3, bucket = deployment.client("s3"), deployment["LakeBucket"]
    for found in query(deployment, sql):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"decisions/day={found['day']}/"
        )
        for key in (each["Key"] for page in pages for each in page.get("Contents", ())):
            content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            row = row_in(content, f"{merchant_id}/{transaction_id}")
            if row is not None:
                return Found(row, None, "lake")
    return None

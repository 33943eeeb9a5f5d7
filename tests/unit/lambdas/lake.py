"""Athena as far as functions use it, over tables in this process, with the local cloud's engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from training.lake import TRANSACTIONS

__all__ = ["AthenaClient"]

_ROWS = pa.schema([*TRANSACTIONS, ("event_id", pa.string()), ("day", pa.string())])
DECISIONS = pa.schema(
    [
        *_ROWS,
        ("decision", pa.string()),
        ("score", pa.float64()),
        ("model_version", pa.string()),
        ("shadow", pa.map_(pa.string(), pa.float64())),
        ("recorded_at", pa.int64()),
        ("lists", pa.list_(pa.string())),
        ("features", pa.map_(pa.string(), pa.float64())),
    ]
)
LABELS = pa.schema([*_ROWS, ("is_fraud", pa.bool_()), ("known_at", pa.int64())])


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    def cell(row: Mapping[str, Any], name: str) -> Any:
        value = row.get(name)
        return list(value.items()) if isinstance(value, dict) else value

    return pa.table(
        [pa.array([cell(row, each.name) for row in rows], each.type) for each in schema], schema=schema
    )


@dataclass
class AthenaClient:
    """A lake of decisions and labels.

    Attributes
    ----------
    slow : bool
        Queries run for ever.
    broken : str
        Why queries fail.
    """

    decisions: Sequence[Mapping[str, Any]] = ()
    labels: Sequence[Mapping[str, Any]] = ()
    slow: bool = False
    broken: str = ""
    page: int = 7
    queries: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def start_query_execution(self, **asked: Any) -> dict[str, str]:
        assert set(asked) == {"QueryString", "WorkGroup", "QueryExecutionContext"}
        self.queries.append(asked["QueryString"])
        return {"QueryExecutionId": str(len(self.queries) - 1)}

    def get_query_execution(self, **asked: str) -> dict[str, Any]:
        state = "RUNNING" if self.slow else "FAILED" if self.broken else "SUCCEEDED"
        status = {"State": state, "StateChangeReason": self.broken}
        return {"QueryExecution": {"QueryExecutionId": asked["QueryExecutionId"], "Status": status}}

    def stop_query_execution(self, **asked: str) -> dict[str, Any]:
        self.stopped.append(asked["QueryExecutionId"])
        return {}

    def get_paginator(self, name: str) -> "AthenaClient":
        assert name == "get_query_results"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        connection = duckdb.connect()
        connection.register("decisions", _table(self.decisions, DECISIONS))
        connection.register("labels", _table(self.labels, LABELS))
        found = connection.execute(self.queries[int(asked["QueryExecutionId"])])
        header = [[{"VarCharValue": column[0]} for column in found.description]]
        rows = header + [[_cell(value) for value in row] for row in found.fetchall()]
        connection.close()
        for start in range(0, len(rows), self.page):
            yield {"ResultSet": {"Rows": [{"Data": row} for row in rows[start : start + self.page]]}}


def _cell(value: object) -> dict[str, str]:
    """A value as Athena writes it: nothing at all where there is none."""
    if value is None:
        return {}
    return {"VarCharValue": str(value).lower() if isinstance(value, bool) else str(value)}

"""SQL over the lake, through Athena, within a time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

__all__ = ["Athena", "QueryError", "TooSlowError", "quoted"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_PAGE = 1_000
_ORDINARY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-")

type Row = list[str | None]


class QueryError(RuntimeError):
    """Athena refused a query or gave it up."""


class TooSlowError(RuntimeError):
    """A query was not done in time; it was stopped."""


@dataclass(frozen=True, slots=True)
class Athena:
    """Queries of one workgroup, which says where results go.

    Parameters
    ----------
    clock : callable
        Seconds that only go forward.
    """

    client: "AthenaClient"
    workgroup: str
    database: str
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def rows(self, sql: str, *, until: float) -> Iterator[Row]:
        """Run a query; its rows as of `table`, without the names of the columns."""
        lines = self.table(sql, until=until)
        next(lines, None)
        yield from lines

    def table(self, sql: str, *, until: float) -> Iterator[Row]:
        """Run a query; every value as text, and None where there is none; first the names of the columns.

        Results are read page by page and not from the file that Athena writes, whose text cannot be told from
        nothing.

        Parameters
        ----------
        until : float
            Of the clock: when to give up.

        Raises
        ------
        QueryError
            If Athena cannot run it.
        TooSlowError
            If the last row has not come by then.
        """
        execution = self.client.start_query_execution(
            QueryString=sql, WorkGroup=self.workgroup, QueryExecutionContext={"Database": self.database}
        )["QueryExecutionId"]
        self._wait(execution, until)
        pages = self.client.get_paginator("get_query_results").paginate(
            QueryExecutionId=execution, PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            for row in page["ResultSet"]["Rows"]:
                yield [cell.get("VarCharValue") for cell in row["Data"]]
            if self.clock() > until:
                raise TooSlowError("the query's rows did not come in time")

    def _wait(self, execution: str, until: float) -> None:
        pause = _FIRST_PAUSE
        while True:
            status = self.client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return
            if status["State"] in ("FAILED", "CANCELLED"):
                raise QueryError(f"Athena: {status.get('StateChangeReason') or status['State']}")
            if self.clock() + pause > until:
                self._stop(execution)
                raise TooSlowError("the query was not done in time and was stopped")
            self.pause(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _stop(self, execution: str) -> None:
        try:
            self.client.stop_query_execution(QueryExecutionId=execution)
        except ClientError:
            # It ended meanwhile, or ends by itself: nobody waits for it any more.
            return


def quoted(text: str) -> str:
    """A text as a literal of SQL.

    Raises
    ------
    ValueError
        If it has other characters than ids, tokens and names of features are made of.
    """
    if not set(text) <= _ORDINARY:
        raise ValueError("only letters, digits and _ . : - can stand in a query")
    return f"'{text}'"

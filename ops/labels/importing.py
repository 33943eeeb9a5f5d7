"""Importing labels from a file, by the function that records those of the API and of the bus."""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from lambdas.record_label.recording import record
from ops.labels.reading import Reported
from runtime.http import Problem, Request
from runtime.stores.decisions import DecisionStore, MemoryDecisionStore, Record

__all__ = ["ImportedLabels", "RowProblem", "import_labels", "write_problems", "write_unknown"]

WORKERS = 16
"""Each waits for the table most of the time."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row was not recorded: the field at fault, and what to do, which never repeats a value."""

    row: int
    field: str
    remedy: str


@dataclass(slots=True)
class ImportedLabels:
    """What an import did, its rows in the order of the file.

    Attributes
    ----------
    recorded, repeated : int
        Rows that became a line of the ledger, and rows that said nothing new.
    unknown : list of Reported
        Rows of transactions that were never decided here.
    problems : list of RowProblem
    """

    recorded: int = 0
    repeated: int = 0
    unknown: list[Reported] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)


class _Counting:
    """A ledger that counts the lines that one row puts, and may keep them to itself."""

    def __init__(self, store: DecisionStore, beside: MemoryDecisionStore | None) -> None:
        self.lines = 0
        self._store, self._beside = store, beside

    def put(self, record_: Record) -> Record | None:
        kept = (self._beside or self._store).put(record_)
        self.lines += kept is None
        return kept

    def get(self, event_id: str, kind: str) -> Record | None:
        return self._store.get(event_id, kind)

    def all(self, event_id: str) -> list[Record]:
        beside = self._beside.all(event_id) if self._beside else []
        return [*self._store.all(event_id), *beside]


def import_labels(
    rows: Iterable[Reported],
    *,
    store: DecisionStore,
    clock: int,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _done: None,
) -> ImportedLabels:
    """Record the labels of a file; the same file again changes nothing.

    Those of one transaction are recorded in the order in which they became known, whatever that of the file is.

    Parameters
    ----------
    clock : int
        Wall-clock milliseconds.
    dry_run : bool
        Only say what would be done.
    progress : callable
        Told how many rows are done.
    """
    groups: dict[str, list[Reported]] = defaultdict(list)
    for row in rows:
        groups[row.event_id].append(row)
    for group in groups.values():
        group.sort(key=_moment)
    done = ImportedLabels()
    finished = 0

    def one(group: list[Reported]) -> tuple[int, ImportedLabels]:
        part = ImportedLabels()
        beside = MemoryDecisionStore() if dry_run else None
        for row in group:
            _record(row, part, _Counting(store, beside), clock)
        return len(group), part

    with ThreadPoolExecutor(WORKERS) as pool:
        for count, part in pool.map(one, groups.values()):
            done.recorded += part.recorded
            done.repeated += part.repeated
            done.unknown += part.unknown
            done.problems += part.problems
            finished += count
            progress(finished)
    done.unknown.sort(key=lambda row: row.row)
    done.problems.sort(key=lambda problem: problem.row)
    return done


def _record(row: Reported, done: ImportedLabels, store: _Counting, clock: int) -> None:
    lacking = "" if row.merchant_id else "merchant_id"
    if not lacking and "known_at" not in row.body:
        # The time of its receipt, which it would have otherwise, says nothing of what is in a file.
        lacking = "known_at"
    if lacking:
        remedy = (
            "Write who was paid."
            if lacking == "merchant_id"
            else "Write when it became known: a file has no time."
        )
        done.problems.append(RowProblem(row.row, lacking, remedy))
        return
    try:
        body = msgspec.json.encode(row.body)
        request = Request(merchant_id=row.merchant_id, request_id="", body=body, headers={}, path={})
        record(request, store=store, received_at=clock, recorded_at=clock)
    except Problem as problem:
        if problem.status == 404:
            done.unknown.append(row)
        elif problem.status >= 500:
            raise
        else:
            at_fault = problem.body.get("field", "")
            done.problems.append(RowProblem(row.row, str(at_fault), str(problem.body["detail"])))
    else:
        done.recorded += store.lines
        done.repeated += not store.lines


def _moment(row: Reported) -> float:
    """When it became known, for the order of a transaction's labels; what is no time is refused later."""
    try:
        return datetime.fromisoformat(str(row.body.get("known_at"))).timestamp()
    except (ValueError, OverflowError):
        return math.inf


def write_problems(path: Path, problems: Iterable[RowProblem]) -> None:
    """Write a CSV file of the rows that cannot be recorded."""
    _write(path, ("row", "field", "remedy"), ((each.row, each.field, each.remedy) for each in problems))


def write_unknown(path: Path, rows: Iterable[Reported]) -> None:
    """Write a CSV file of the rows whose transactions are unknown."""
    names = ("row", "merchant_id", "transaction_id")
    _write(path, names, ((each.row, each.merchant_id, each.body.get("transaction_id", "")) for each in rows))


def _write(path: Path, names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)

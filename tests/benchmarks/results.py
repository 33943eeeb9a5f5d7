"""What a benchmark reports: rows with a goal, as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Row", "against", "limit", "measured", "missing", "show", "write"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and what it is held against.

    Attributes
    ----------
    ours, theirs : float or None
        In `unit`; None where nothing was measured.
    peer : str
        A library, or what sets the limit; empty where there is nothing to compare with.
    ratio : float or None
        How many times better ours is, above 1 if it is better, whether more or less is better in `unit`.
    goal : float or None
        The least ratio wanted; None for orientation only.
    met : bool or None
        Whether the goal is met; None without a goal.
    """

    name: str
    work: str
    ours: float | None
    unit: str
    peer: str = ""
    peer_version: str = ""
    theirs: float | None = None
    ratio: float | None = None
    goal: float | None = None
    met: bool | None = None


def against(
    name: str,
    work: str,
    ours: float,
    unit: str,
    peer: str,
    version: str,
    theirs: float,
    *,
    goal: float | None = None,
) -> Row:
    """A rate (more is better) beside a peer's."""
    ratio = ours / theirs
    return Row(name, work, ours, unit, peer, version, theirs, ratio, goal, None if goal is None else ratio >= goal)


def limit(name: str, work: str, ours: float, unit: str, most: float) -> Row:
    """A figure (less is better) that must not pass a limit."""
    ratio = most / ours
    return Row(name, work, ours, unit, "limit", "", most, ratio, 1.0, ratio >= 1.0)


def measured(name: str, work: str, ours: float, unit: str) -> Row:
    """A figure with nothing to compare it with."""
    return Row(name, work, ours, unit)


def missing(name: str, why: str, *, goal: float | None = None) -> Row:
    """A row that could not be measured; a goal of its is not met."""
    return Row(name, f"not measured: {why}", None, "", goal=goal, met=None if goal is None else False)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a JSON list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def show(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown, as `docs/benchmarks.md` has it."""
    lines = [
        "| name | ours | peer | theirs | ratio | goal | met |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        peer = f"{row.peer} {row.peer_version}".strip()
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        ours = f"{_number(row.ours)} {row.unit}" if row.ours is not None else row.work
        cells = (row.name, ours, peer, _number(row.theirs), _number(row.ratio), _number(row.goal), met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"

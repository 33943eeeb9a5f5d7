"""The table of the drills: for people, as JSON, and in Markdown for docs/drills.md."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.drills.drill import Result

__all__ = ["show", "table", "tell", "write"]


def tell(result: Result) -> None:
    """One drill as soon as it is over: a line, and one for each thing that did not hold."""
    held = "held  " if result.held else "BROKEN"
    sys.stderr.write(f"drills: {held} {result.name}: {result.lost} lost, {result.doubled} doubled, ")
    sys.stderr.write(f"well after {result.seconds:.1f} s\n")
    for finding in result.broken:
        sys.stderr.write(f"drills:   BROKEN {finding.name}: {finding.detail}\n")
    sys.stderr.flush()


def show(results: Sequence[Result]) -> None:
    """All of them."""
    table = Table("drill", "fault", "what held", "lost", "doubled", "seconds", "503", "degraded", "alarms")
    for result in results:
        broken = "; ".join(finding.name for finding in result.broken)
        table.add_row(
            result.name,
            result.fault,
            f"NOT: {broken}" if broken else result.holds,
            str(result.lost),
            str(result.doubled),
            f"{result.seconds:.1f}",
            f"{result.unavailable} of {result.payments}",
            str(result.degraded),
            ", ".join(dict.fromkeys(told.partition(" ")[0] for told in result.told)) or "-",
        )
    # Rich takes what is no terminal for one of 80 columns.
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def table(results: Sequence[Result]) -> str:
    """All of them in Markdown."""
    columns = (
        "drill",
        "fault",
        "what holds",
        "held",
        "lost",
        "doubled",
        "seconds",
        "refused or cut off",
        "degraded",
    )
    rows = [
        (
            result.name,
            result.fault,
            result.holds,
            "; ".join(f"not: {finding.name}" for finding in result.broken) or "all",
            str(result.lost),
            str(result.doubled),
            f"{result.seconds:,.1f}",
            f"{result.unavailable} of {result.payments}",
            str(result.degraded),
        )
        for result in results
    ]
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(results: Sequence[Result], path: Path) -> None:
    """The table, and as JSON the same with everything that was looked at."""
    document = [{**asdict(result), "held": result.held} for result in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(table(results), encoding="utf-8")

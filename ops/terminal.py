"""What the commands share: the terminal, progress, and options that mean the same everywhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from infra.environments import ENVIRONMENTS
from ops.inputs import MAPPINGS, Mapping, load_mapping

__all__ = [
    "Env",
    "Limit",
    "MappingFile",
    "Port",
    "Since",
    "Table_",
    "Until",
    "Yes",
    "ask",
    "console",
    "mapping_of",
    "ms",
    "progress_bars",
    "stages",
]

console = Console(stderr=True)
"""People read standard error; standard output is for what a script would take."""

Env = Annotated[str, typer.Option("--env", help=f"Which deployment: {', '.join(ENVIRONMENTS)}.")]
Port = Annotated[int, typer.Option("--port", help="Port of the local cloud on 127.0.0.1.")]
Table_ = Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a folder of Parquet files.")]
MappingFile = Annotated[
    str, typer.Option("--mapping", help="A mapping file, or one that ships: handbook, sparkov, s_ffsd.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many rows.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Leave out rows before this time (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Leave out rows from this time on (UTC).")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def ask(question: str, *, yes: bool) -> None:
    """Ask whether to go on, unless the answer was given with ``--yes``; a no ends the command with 1."""
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)


def mapping_of(name: str) -> Mapping:
    """A mapping by the name of one that ships, or by its file."""
    shipped = MAPPINGS / f"{name}.toml"
    return load_mapping(shipped if shipped.exists() else Path(name))


def ms(moment: datetime | None) -> int | None:
    """Milliseconds since the epoch; a time without a zone is UTC."""
    if moment is None:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def progress_bars() -> Progress:
    """Bars with counts and the time elapsed, gone when done."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def stages(bars: Progress) -> Callable[[str, int, int], None]:
    """A function that shows one stage after the other: what is done, how much of it, and how much there is."""
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        for finished in tasks.keys() - {what}:
            bars.remove_task(tasks.pop(finished))
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total or None)
        bars.update(tasks[what], completed=done, total=total or None)

    return show

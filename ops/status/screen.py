"""The screen of `paywarden status`: what is wrong first, then the figures; 100 columns by 40 lines."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from ops.status.gathering import ACTIONS, Alarm, Queue, Run, Status
from ops.status.metrics import Rate
from ops.times import shown

__all__ = ["WIDTH", "screen"]

WIDTH: Final = 100
MOST_ALARMS: Final = 8

_COUNTS: Final = {
    "calls": "calls",
    "decisions": "decisions",
    **{action: f"  {action.lower()}" for action in ACTIONS},
    "Degraded": "  degraded",
    "refused": "refused (4xx)",
    "failed": "failed (5xx)",
    "folded": "events folded",
}
_TIMES: Final = {
    "latency p50": "answers, p50",
    "latency p99": "answers, p99",
    "lag p50": "features lag, p50",
    "lag p99": "features lag, p99",
    "relay age": "relay behind",
}
_BAD: Final = frozenset({"Degraded", "failed"})


def screen(status: Status) -> RenderableType:
    """Everything, for a terminal of `WIDTH` columns or more."""
    upper = Table.grid(padding=0)
    upper.add_column(width=43)
    upper.add_column(width=53)
    upper.add_row(_figures(status), Group(_queues(status), Text(""), _objectives(status)))
    parts: list[RenderableType] = [_head(status), *_alarms(status), upper, _models(status)]
    parts += [
        Text(f"{name} could not be read: {why}", style="red", overflow="ellipsis", no_wrap=True)
        for name, why in status.unknown.items()
    ]
    return Panel(Group(*parts), width=WIDTH, padding=(0, 1), border_style="dim")


def _head(status: Status) -> Text:
    moment = f"{shown(status.at)} UTC"
    told = Text.assemble((f"paywarden {status.environment}", "bold"), f"   {moment}   ")
    if status.alarms is None:
        return told.append("alarms unknown", "bold red")
    paged = sum(alarm.severity == "page" for alarm in status.alarms.on)
    tickets = sum(alarm.severity == "ticket" for alarm in status.alarms.on)
    told.append(f"{paged} page{'s' * (paged != 1)}", "bold white on red" if paged else "green")
    told.append(", ").append(f"{tickets} ticket{'s' * (tickets != 1)}", "yellow" if tickets else "green")
    return told.append(f" on, of {status.alarms.watched} alarms", "dim")


def _alarms(status: Status) -> Iterator[RenderableType]:
    on = status.alarms.on if status.alarms else ()
    if not on:
        return
    table = Table(
        "severity",
        Column("alarm", overflow="ellipsis", no_wrap=True, ratio=1),
        Column("since", no_wrap=True),
        Column("what to do", no_wrap=True),
        box=None,
        pad_edge=False,
        expand=True,
        header_style="dim",
    )
    for alarm in on[:MOST_ALARMS]:
        table.add_row(*_alarm(alarm, status.at))
    yield table
    if len(on) > MOST_ALARMS:
        yield Text(f"and {len(on) - MOST_ALARMS} more: --json has all", style="dim")
    yield Text("")


def _alarm(alarm: Alarm, now: int) -> tuple[RenderableType, ...]:
    style = "bold red" if alarm.severity == "page" else "yellow"
    return Text(alarm.severity, style=style), alarm.name, f"{span((now - alarm.since) / 1_000)} ago", alarm.runbook


def _figures(status: Status) -> Table:
    table = _table("per minute", "now", "1 h ago")
    for name, words in _COUNTS.items():
        rate = status.figures.get(name, Rate(None, None))
        style = "red" if name in _BAD and rate.now else ""
        table.add_row(words, Text(_count(rate.now), style=style), _count(rate.before))
    table.add_section()
    for name, words in _TIMES.items():
        rate = status.figures.get(name, Rate(None, None))
        table.add_row(words, _ms(rate.now), _ms(rate.before))
    return table


def _queues(status: Status) -> Table:
    table = _table("queue", "waiting", "in hand", "oldest")
    for queue in status.queues:
        if not queue.dead:
            table.add_row(*_queue(queue, ""))
    table.add_section()
    table.add_row(Text("dead letters", style="dim"), "", "", "")
    for queue in status.queues:
        if queue.dead:
            table.add_row(*_queue(queue, "red" if queue.visible + queue.in_flight else "dim"))
    return table


def _queue(queue: Queue, style: str) -> tuple[Text, ...]:
    oldest = "-" if queue.oldest is None else span(queue.oldest)
    indent = "  " if queue.dead else ""
    cells = (f"{indent}{queue.name}", f"{queue.visible:,}", f"{queue.in_flight:,}", oldest)
    return tuple(Text(cell, style=style) for cell in cells)


def _objectives(status: Status) -> Table:
    table = _table("objective, 30 days", "target", "kept", "left")
    for each in status.objectives:
        kept = "-" if each.good is None else f"{each.good:.3%}"
        left = "-" if each.left is None else f"{each.left:.0%}"
        style = "" if each.left is None or each.left > 0.5 else "yellow" if each.left > 0 else "red"
        table.add_row(each.name, f"{each.objective:.2%}", kept, Text(left, style=style))
    return table


def _models(status: Status) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", width=14)
    table.add_column(width=78, overflow="ellipsis", no_wrap=True)
    serving = status.serving
    if serving is not None:
        since = f", for {span((status.at - serving.since) / 1_000)}, by {serving.by}" if serving.since else ""
        champion = serving.champion or "no model: run `paywarden train`"
        table.add_row("champion", escape(f"{champion}, policy {serving.policy}{since}"))
        canary = f"{serving.canary} on {serving.share:.1%}" if serving.canary else "none"
        shadow = ", ".join(serving.challengers) or "none"
        table.add_row("canary, shadow", escape(f"{canary}; {shadow}"))
    for run in status.runs:
        table.add_row(run.kind, escape(_run(run, status.at)))
    return table


def _run(run: Run, now: int) -> str:
    if not run.ended:
        return f"{run.name} runs for {span((now - run.started) / 1_000)}, {run.end or 'not begun'}"
    ago = span((now - run.ended) / 1_000)
    return f"{run.name} {run.state.lower()} {ago} ago{f', {run.end}' if run.end else ''}"


def _table(first: str, *others: str) -> Table:
    columns = [Column(name, justify="right", no_wrap=True) for name in others]
    return Table(
        Column(first, no_wrap=True), *columns, box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 1)
    )


def _count(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} ms" if value < 10_000 else span(value / 1_000)


def span(seconds: float) -> str:
    """A duration in the largest unit that tells it: `45 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"

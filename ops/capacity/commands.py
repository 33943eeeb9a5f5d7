"""`paywarden capacity`."""

from typing import Annotated

import typer
from rich.table import Table

from ops.capacity.concurrency import running
from ops.capacity.cost import by_service, decisions_in_month
from ops.capacity.pages import DOCS, pages
from ops.capacity.quotas import LIMITS, ends_at
from ops.capacity.tables import asked
from ops.capacity.work import RATES
from ops.terminal import console

__all__ = ["capacity"]

_MOST = 100_000


def capacity(
    rate: Annotated[
        list[int] | None,
        typer.Option("--rate", min=1, max=_MOST, help="Decisions a second; may be given again."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Make docs/capacity.md, docs/cost.md and their picture anew.")
    ] = False,
) -> None:
    """Show what a rate of decisions asks of AWS, what it costs, and what ends first; no deployment is needed."""
    rates = tuple(rate or RATES)
    table = Table("a month", *(f"{each:,}/s" for each in rates), title="What it asks for, and what it costs")
    for index, one in enumerate(running(rates[0])):
        table.add_row(f"copies of {one.function.name}", *(str(running(each)[index].copies) for each in rates))
    for index, each in enumerate(asked(rates[0])):
        several = [asked(one)[index] for one in rates]
        table.add_row(f"{each.table}, reads/s", *(f"{one.reads:,.0f}" for one in several))
        table.add_row(f"{each.table}, writes/s", *(f"{one.writes:,.0f}" for one in several))
    for service in by_service(rates[0]):
        table.add_row(service, *(f"${by_service(one)[service]:,.0f}" for one in rates))
    totals = [sum(by_service(one).values()) for one in rates]
    table.add_row("[bold]all[/bold]", *(f"[bold]${total:,.0f}[/bold]" for total in totals))
    millions = [total / decisions_in_month(one) * 1e6 for total, one in zip(totals, rates, strict=True)]
    table.add_row("[bold]a million decisions[/bold]", *(f"[bold]${each:,.2f}[/bold]" for each in millions))
    console.print(table)
    passed = Table("ends first", "at decisions/s", *(f"used at {each:,}" for each in rates))
    for limit in sorted(LIMITS, key=lambda each: ends_at(each) or float("inf")):
        used = [limit.used(each) for each in rates]
        if max(used) >= 0.5:
            shown = [f"[red]{each:.0%}[/red]" if each >= 1 else f"{each:.0%}" for each in used]
            passed.add_row(limit.name, f"{ends_at(limit) or _MOST:,.0f}", *shown)
    if passed.row_count:
        console.print(passed)
    if write:
        for path, text in pages().items():
            path.write_text(text, encoding="utf-8")
            console.print(f"written: docs/{path.relative_to(DOCS)}")

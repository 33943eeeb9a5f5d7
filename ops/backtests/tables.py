"""A backtest's figures for people: by action, by change, by rule."""

from collections.abc import Iterator
from typing import get_args

from rich.table import Column, Table

from fraud.currency import written
from fraud.figures import ActionFigures, Interval, Total
from fraud.policy import Action
from lambdas.backtest_rules.models import BacktestAnswer

__all__ = ["tables"]


def tables(told: BacktestAnswer) -> Iterator[Table]:
    """What to print, one table after the other; tables without a row are left out."""
    for currency in told.report.currencies:
        yield _by_action(told, currency)
    if told.report.changes:
        yield _changes(told)
    if told.report.rules:
        yield _rules(told)


def _by_action(told: BacktestAnswer, currency: str) -> Table:
    table = _table(f"{currency}: before → after", "action", "payments", "amount", "known fraud", "known genuine")
    figures = told.report.currencies[currency]
    actions: tuple[Action, ...] = get_args(Action)
    for action in actions:
        before, after = (side.get(action, ActionFigures()) for side in (figures.before, figures.after))
        if before.all.count or after.all.count:
            table.add_row(
                action,
                _became(_count(before.all), _count(after.all)),
                _became(written(before.all.amount, currency), written(after.all.amount, currency)),
                *(
                    _became(_both(getattr(before, each), currency), _both(getattr(after, each), currency))
                    for each in ("frauds", "genuine")
                ),
            )
    return table


def _changes(told: BacktestAnswer) -> Table:
    table = _table(
        "What changes", "from", "to", "payments", "amount", "known fraud", "known genuine", Column("for example")
    )
    for each in told.report.changes:
        found = each.payments
        table.add_row(
            each.was,
            each.becomes,
            _count(found.all),
            f"{written(found.all.amount, each.currency)} {each.currency}",
            _count(found.frauds),
            _count(found.genuine),
            "\n".join(each.examples),
        )
    return table


def _rules(told: BacktestAnswer) -> Table:
    table = _table(
        "Rules", "rule", "matched", "amount", "known fraud", "known genuine", "precision (95 %)", "failed"
    )
    for each in told.report.rules:
        matched = each.matched.values()
        table.add_row(
            each.id,
            f"{sum(one.all.count for one in matched):,}",
            ", ".join(f"{written(one.all.amount, currency)} {currency}" for currency, one in each.matched.items()),
            f"{sum(one.frauds.count for one in matched):,}",
            f"{sum(one.genuine.count for one in matched):,}",
            _share(each.precision),
            f"{each.failed:,}" if each.failed else "",
        )
    return table


def _table(title: str, first: str, *columns: str | Column) -> Table:
    table = Table(first, title=title, title_justify="left")
    for column in columns:
        if isinstance(column, Column):
            table.add_column(column.header, overflow="fold")
        else:
            table.add_column(column, justify="left" if column == "to" else "right")
    return table


def _became(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _count(total: Total) -> str:
    return f"{total.count:,}"


def _both(total: Total, currency: str) -> str:
    return f"{_count(total)} ({written(total.amount, currency)})" if total.count else "0"


def _share(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"

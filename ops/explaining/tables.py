"""An explanation for people: the payment, the model, the rules, the policy, and whether the replay agrees."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Column, Table

from fraud.currency import written
from ops.explaining.models import Check, Explanation

__all__ = ["shown"]

MOST_FEATURES = 12
_WORDS = {True: "equal", False: "[red]DIFFERENT[/red]", None: "not replayed"}
_LONGEST = 60


def shown(told: Explanation) -> Iterator[Table | str]:
    """What to print, one part after the other; parts with nothing to tell are left out."""
    yield _heading(told)
    yield _payment(told)
    if told.features:
        yield _features(told)
    if told.rules:
        yield _rules(told)
    if told.policy is not None:
        yield _policy(told)
    yield _checks(told)
    yield from (f"- {escape(each)}" for each in told.not_replayed)
    yield (
        "[red]The replay differs from what was recorded.[/red]"
        if told.differs
        else "All that can be replayed is equal to the last bit."
    )


def _heading(told: Explanation) -> str:
    kept = told.kept
    score = "without a score" if kept.score is None else f"at a score of {kept.score:.4f}"
    by = f"by model {kept.model_version}" if kept.model_version else "by no model"
    canary = f", canary {told.canary}" if told.canary else ""
    served = f" (champion {told.champion or 'none'}{canary})" if told.champion or told.canary else ""
    passed = " It would have been declined and was let through at random." if kept.would_be else ""
    when = datetime.fromtimestamp(kept.recorded_at / 1_000, UTC)
    return escape(
        f"{told.merchant_id}/{told.transaction_id}: {kept.decision} {score}, {by}{served}, on "
        f"{when:%Y-%m-%d %H:%M:%S} UTC; read from the {told.source}.{passed}"
    )


def _payment(told: Explanation) -> Table:
    table = Table("payment", Column("value", overflow="fold"), box=None)
    names = ("merchant_id", "transaction_id", "event_time", "amount")
    table.add_row("amount", written(told.transaction["amount"], told.transaction["currency"]))
    for name, value in told.transaction.items():
        if value and name not in names:
            table.add_row(name, escape(str(value)))
    if told.kept.lists:
        table.add_row("on the lists", escape(", ".join(told.kept.lists)))
    return table


def _features(told: Explanation) -> Table:
    title = f"The {min(MOST_FEATURES, len(told.features))} weightiest of {len(told.features)} features"
    table = Table("feature", Column("value", justify="right"), Column("log-odds", justify="right"), title=title)
    for each in told.features[:MOST_FEATURES]:
        table.add_row(
            each.name, "missing" if each.value is None else f"{each.value:g}", f"{each.contribution:+.4f}"
        )
    return table


def _rules(told: Explanation) -> Table:
    table = Table(
        "rule",
        "stage",
        "action",
        "",
        Column("if", overflow="fold"),
        title=f"Rules, version {told.kept.rules_version}",
    )
    for each in told.rules:
        matched = "matched" if each.matched else "failed" if each.failed else ""
        table.add_row(each.id, each.stage, each.action, matched, escape(each.words))
    return table


def _policy(told: Explanation) -> Table:
    table = Table("policy", Column("", justify="right"), title=f"Policy {escape(told.kept.policy_version)}")
    policy = told.policy
    if policy is None:
        return table
    for action, cost in sorted(told.expected.items(), key=lambda each: each[1]):
        table.add_row(f"expected cost of {action}, minor units", f"{cost:,.2f}")
    if policy.thresholds is not None:
        for name, value in msgspec.to_builtins(policy.thresholds).items():
            table.add_row(f"{name} from a score of", f"{value:g}")
    if told.kept.score is None:
        table.add_row("without a score, approve up to, minor units", f"{policy.unscored_limit:,}")
    if policy.pass_through is not None:
        table.add_row("declines let through", f"{policy.pass_through.share:.1%}")
    return table


def _checks(told: Explanation) -> Table:
    table = Table("recorded", "", Column("stored", overflow="fold"), Column("replayed", overflow="fold"), "note")
    for each in told.checks:
        stored, replayed = _both(each)
        table.add_row(each.name, _WORDS[each.equal], escape(stored), escape(replayed), escape(each.note))
    return table


def _both(check: Check) -> tuple[str, str]:
    """Both sides, of two that are mappings only what differs, and short where they agree."""
    stored, replayed = check.stored, check.replayed
    if check.equal is False and isinstance(stored, dict) and isinstance(replayed, dict):
        names = [name for name in stored | replayed if stored.get(name) != replayed.get(name)]
        stored, replayed = ({name: each.get(name) for name in names} for each in (stored, replayed))
    return _short(stored, check), _short(replayed, check)


def _short(value: Any, check: Check) -> str:
    told = (
        ""
        if value in (None, "", [], {})
        else value
        if isinstance(value, str)
        else msgspec.json.encode(value).decode()
    )
    return told if check.equal is False or len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"

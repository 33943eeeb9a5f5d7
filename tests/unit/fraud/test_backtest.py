"""A backtest: what did decide changes nothing, and every payment is counted once, in every table."""

import math
import random
from collections import Counter
from dataclasses import replace
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.backtest import MOST_EXAMPLES, Draft, Past, backtest
from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.figures import ActionFigures, Report, Total, wilson
from fraud.judgement import judge, known_values
from fraud.lists import ListDefinition
from fraud.policy import Action, Costs, Policy, Thresholds
from fraud.rules import Rule, Rulebook
from fraud.rules.check import check_rules

ACTIONS: tuple[Action, ...] = get_args(Action)
LISTS = (
    ListDefinition(name="stolen", field="card", action="block"),
    ListDefinition(name="vip", field="customer", action="allow"),
    ListDefinition(name="noted", field="ip", action="none"),
)
RULES = (
    Rule(id="abroad", when='issuer_country != "FR" && count(card, "24h") > 3', action="review"),
    Rule(id="noted", when='"noted" in lists', action="challenge", priority=5),
    Rule(id="large", when="amount > 40000 && score > 0.2", action="decline"),
    Rule(id="odd", when='100 / sum(card, "24h") > 1.0', action="review", priority=200),
    Rule(id="soften", when='decision == "decline" && amount < 1000', action="review", stage="after"),
)
POLICY = Policy(version="p", thresholds=Thresholds(challenge=0.3, review=0.6, decline=0.8))


def draft(policy: Policy = POLICY, rules: tuple[Rule, ...] = RULES) -> Draft:
    stored = check_rules(rules, STANDARD, [each.name for each in LISTS])
    return Draft(policy, Rulebook(stored), tuple(each.id for each in rules), LISTS)


def past(number: int, **changes: object) -> Past:
    transaction = Transaction(
        transaction_id=f"t{number:04d}",
        merchant_id="acme",
        event_time=1_767_000_000_000 + number,
        amount=500,
        currency="EUR",
        card="",
        customer="",
        issuer_country="FR",
    )
    own = {name: changes.pop(name) for name in list(changes) if name in transaction.__struct_fields__}
    made = {"decision": "approve", "score": 0.1, **changes}
    return Past(transaction=msgspec.structs.replace(transaction, **own), **made)


@st.composite
def decisions(draw: st.DrawFn) -> list[Past]:
    features = st.dictionaries(
        st.sampled_from(["card_count_24h", "card_amount_sum_24h"]), st.sampled_from([0.0, 4.0, 900.0])
    )
    one = st.fixed_dictionaries(
        {
            "amount": st.sampled_from([0, 999, 1_000, 40_001, 10**9]),
            "currency": st.sampled_from(["EUR", "JPY"]),
            "issuer_country": st.sampled_from(["", "FR", "US"]),
            "decision": st.sampled_from(ACTIONS),
            "score": st.none() | st.floats(1e-6, 1 - 1e-6),
            "lists": st.sampled_from([(), ("stolen",), ("vip", "noted"), ("noted",), ("gone",)]),
            "features": features,
            "is_fraud": st.sampled_from([None, True, False]),
        }
    )
    return [past(number, **each) for number, each in enumerate(draw(st.lists(one, max_size=30)))]


policies = st.sampled_from(
    [
        POLICY,
        Policy(version="c", costs=Costs()),
        Policy(version="b", thresholds=Thresholds(challenge=0.0, review=0.1, decline=0.2), most_declined=0.1),
    ]
)


@given(decisions(), policies)
def test_a_draft_that_decided_changes_nothing(made: list[Past], policy: Policy) -> None:
    tried, allowance = draft(policy), policy.allowance()
    before = []
    for each in made:
        values = known_values(
            each.transaction,
            tuple(each.features),
            tuple(each.features.values()),
            score=each.score,
            lists=each.lists,
            degraded=each.score is None,
        )
        found = judge(
            each.transaction,
            values,
            score=each.score,
            policy=policy,
            rulebook=tried.rulebook,
            lists=LISTS,
            listed=each.lists,
            allowance=allowance,
        )
        before.append(replace(each, decision=found.action))
    report = backtest(before, tried)
    assert (report.changed, report.changes, report.degraded_changed) == (0, (), 0)
    for figures in report.currencies.values():
        assert figures.before == figures.after


def added(totals: list[ActionFigures]) -> tuple[int, int]:
    for each in totals:
        parts = (each.frauds, each.genuine, each.unknown)
        assert each.all == Total(count=sum(p.count for p in parts), amount=sum(p.amount for p in parts))
    return sum(each.all.count for each in totals), sum(each.all.amount for each in totals)


@given(decisions(), policies)
def test_every_payment_is_counted_once_in_every_table(made: list[Past], policy: Policy) -> None:
    report = backtest(made, draft(policy))
    assert report.decisions == len(made)
    for currency, figures in report.currencies.items():
        mine = [each for each in made if each.transaction.currency == currency]
        whole = (len(mine), sum(each.transaction.amount for each in mine))
        assert added(list(figures.before.values())) == added(list(figures.after.values())) == whole
        assert {action: each.all.count for action, each in figures.before.items()} == Counter(
            each.decision for each in mine
        )
        # What leaves an action and what comes to it is all that makes after differ from before.
        moved: Counter[Action] = Counter()
        for change in report.changes:
            if change.currency == currency:
                moved.update({change.becomes: change.payments.all.count})
                moved.subtract({change.was: change.payments.all.count})
        for action in ACTIONS:
            counts = [side[action].all.count if action in side else 0 for side in (figures.before, figures.after)]
            assert counts[1] - counts[0] == moved[action]
    assert added([each.payments for each in report.changes])[0] == report.changed
    assert all(0 < len(each.examples) <= MOST_EXAMPLES for each in report.changes)
    assert [each.id for each in report.rules] == [each.id for each in RULES]


@given(decisions(), st.randoms(use_true_random=False))
def test_without_bounds_the_order_does_not_matter(made: list[Past], rng: random.Random) -> None:
    shuffled = rng.sample(made, len(made))
    assert backtest(shuffled, draft()) == backtest(made, draft())


def report_of(*made: Past, policy: Policy = POLICY, rules: tuple[Rule, ...] = ()) -> Report:
    return backtest(made, draft(policy, rules))


def test_a_change_is_told_with_money_verdicts_and_examples() -> None:
    report = report_of(
        past(1, amount=300, score=0.9, is_fraud=True),
        past(2, amount=200, score=0.9, is_fraud=False),
        past(3, amount=100, score=0.9),
        past(4, amount=70, decision="decline"),
    )
    first, second = report.changes
    assert (first.was, first.becomes, first.examples) == ("approve", "decline", ("t0001", "t0002", "t0003"))
    assert first.payments == ActionFigures(
        all=Total(count=3, amount=600),
        frauds=Total(count=1, amount=300),
        genuine=Total(count=1, amount=200),
        unknown=Total(count=1, amount=100),
    )
    assert (second.was, second.becomes, second.payments.all.amount) == ("decline", "approve", 70)
    assert (report.changed, report.labelled) == (4, 2)
    assert msgspec.to_builtins(first)["from"] == "approve"


def test_a_rule_is_told_with_its_precision_and_its_failures() -> None:
    rule = Rule(id="odd", when='100 / sum(card, "24h") > 1.0', action="review")
    silent = Rule(id="silent", when="amount > 1000000", action="decline")
    report = report_of(
        past(1, features={"card_amount_sum_24h": 50.0}, is_fraud=True),
        past(2, features={"card_amount_sum_24h": 50.0}, is_fraud=False),
        past(3, features={"card_amount_sum_24h": 5_000.0}, is_fraud=True),
        past(4, features={"card_amount_sum_24h": 0.0}),
        past(5),  # not known: neither matched nor failed
        rules=(rule, silent),
    )
    told, other = report.rules
    assert (told.matched["EUR"].all.count, told.matched["EUR"].frauds.count, told.failed) == (2, 1, 1)
    assert told.precision == wilson(1, 2)
    assert (other.matched, other.precision, other.failed) == ({}, None, 0)


def test_decisions_without_a_score_are_told_apart_and_decided_without_one() -> None:
    report = report_of(past(1, score=None, amount=9_999), past(2, score=None, amount=10), past(3))
    assert (report.decisions, report.degraded, report.degraded_changed) == (3, 2, 1)
    assert [(each.becomes, each.examples) for each in report.changes] == [("review", ("t0001",))]


def test_bounds_are_counted_in_the_order_given() -> None:
    bounded = Policy(version="b", thresholds=Thresholds(challenge=0.9, review=0.9, decline=0.9), most_declined=0.0)
    report = report_of(*(past(number, score=0.95) for number in range(3)), policy=bounded)
    assert {(each.becomes, each.examples[0]) for each in report.changes} == {
        ("decline", "t0000"),
        ("review", "t0001"),
    }


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_the_interval_holds_the_share_and_solves_the_score_equation(hits: int, trials: int) -> None:
    hits = min(hits, trials)
    found = wilson(hits, trials)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    # Each end p is where the observed share lies z standard errors of p away.
    for end in (found.low, found.high):
        assert math.isclose(abs(found.value - end), 1.959964 * math.sqrt(end * (1 - end) / trials), abs_tol=1e-6)


def test_nothing_is_said_of_a_rule_without_verdicts() -> None:
    assert wilson(0, 0) is None


@pytest.mark.parametrize("disabled", [True, False])
def test_lists_count_as_they_are_defined_now(disabled: bool) -> None:
    lists = (ListDefinition(name="stolen", field="card", action="block", enabled=not disabled),)
    report = backtest([past(1, lists=("stolen",))], Draft(POLICY, lists=lists))
    assert report.changed == (0 if disabled else 1)

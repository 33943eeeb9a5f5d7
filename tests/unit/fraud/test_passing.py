"""Declines that are let through: which, how many, and that what is learned from them is not biased."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.judgement import Judgement, judge, known_values
from fraud.lists import ListDefinition
from fraud.passing import MOST_SHARE, PassingBudget, PassThrough
from fraud.policy import Action, Policy, Thresholds
from fraud.rules import Rule, Rulebook
from fraud.rules.check import check_rules
from fraud.windows import DAY
from tests.unit.fraud.strategies import START, payment

WIDE = PassThrough(share=MOST_SHARE, most_amount=10_000, most_a_day=100_000)
STEPS = Thresholds(challenge=0.3, review=0.6, decline=0.85)


def policy(passing: PassThrough | None = WIDE, **more: float) -> Policy:
    return Policy(version="1", thresholds=STEPS, pass_through=passing, **more)  # type: ignore[arg-type]  # its bounds only


def judged(
    policy: Policy,
    paid: Transaction,
    *rules: Rule,
    score: float | None = 0.9,
    listed: str = "",
    allowed: bool = True,
) -> Judgement:
    lists = [ListDefinition(name="l", field="card", action="block")] if listed else []
    asked = known_values(
        paid, STANDARD.names, [0.0] * len(STANDARD.names), score=score, lists=["l"] * bool(listed), degraded=False
    )
    return judge(
        paid,
        asked,
        score=score,
        policy=policy,
        rulebook=Rulebook(check_rules(rules, STANDARD, ())),
        lists=lists,
        listed=["l"] if listed else [],
        allowance=policy.allowance() if allowed else None,
    )


def lucky(passing: PassThrough = WIDE) -> Transaction:
    """A payment that is let through at the whole share."""
    named = (payment(f"t{number}") for number in range(1_000))
    return next(each for each in named if passing.takes(each.event_id, passing.share))


def test_a_decline_that_is_let_through_is_an_approval_with_its_propensity() -> None:
    found = judged(policy(), lucky())
    assert (found.action, found.would_be, found.propensity, found.by_policy) == (
        "approve",
        "decline",
        MOST_SHARE,
        "decline",
    )


def test_off_by_default_and_without_a_count_nothing_is_let_through() -> None:
    for found in (judged(policy(None), lucky()), judged(policy(), lucky(), allowed=False)):
        assert (found.action, found.would_be, found.propensity) == ("decline", "", 0.0)
    assert Policy(version="1", thresholds=STEPS).pass_through is None


def rule(action: Action, when: str = "amount >= 0", stage: str = "after") -> Rule:
    return Rule(id="r", when=when, action=action, stage=stage)  # type: ignore[arg-type]  # one of two words


@pytest.mark.parametrize(
    ("rules", "more", "action"),
    [
        ([], {"listed": "l"}, "decline"),
        ([rule("decline", stage="before")], {}, "decline"),
        ([rule("decline")], {}, "decline"),
        ([rule("decline", 'decision == "decline"')], {}, "decline"),
        ([rule("decline", 'decision == "approve"')], {}, "decline"),
        ([rule("review", 'decision == "approve"')], {}, "decline"),
        ([rule("review")], {}, "review"),
        ([], {"score": 0.7}, "review"),
        ([], {"score": None}, "approve"),
    ],
)
def test_what_lists_rules_or_another_action_decide_is_not_drawn_for(
    rules: list[Rule], more: dict[str, object], action: Action
) -> None:
    found = judged(policy(), lucky(), *rules, **more)  # type: ignore[arg-type]  # what `judged` takes
    assert (found.action, found.draw, found.would_be) == (action, None, "")
    assert found.propensity == (0.0 if action == "decline" else 1.0)


def test_a_rule_that_has_nothing_to_say_does_not_stand_in_the_way() -> None:
    assert judged(policy(), lucky(), rule("review", 'decision == "challenge"')).would_be == "decline"


def test_a_larger_payment_is_never_let_through() -> None:
    for number in range(200):
        found = judged(policy(), payment(f"t{number}", amount=10_001))
        assert (found.action, found.draw) == ("decline", None)


def test_who_lost_the_draw_has_no_propensity_and_a_repeat_loses_again() -> None:
    unlucky = next(each for n in range(99) if not WIDE.takes((each := payment(f"t{n}")).event_id, MOST_SHARE))
    for _ in range(3):
        found = judged(policy(), unlucky)
        assert (found.action, found.would_be, found.propensity) == ("decline", "", 0.0)
        assert found.draw is not None


bounds = st.builds(
    PassThrough,
    share=st.floats(0.01, MOST_SHARE),
    most_amount=st.integers(1, 5_000),
    most_a_day=st.integers(1, 30),
    most_money_a_day=st.none() | st.integers(1_000, 30_000),
    salt=st.sampled_from(["", "a", "b"]),
)


@given(bounds, st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 2 * DAY)), max_size=300))
def test_a_day_keeps_to_its_bounds(given: PassThrough, drawn: list[tuple[int, int]]) -> None:
    budget = PassingBudget(given)
    counts: dict[int, list[float]] = {}
    for number, (amount, later) in enumerate(drawn):
        draw = budget.draw(payment(f"t{number}", at=START + later, amount=amount))
        assert (draw is None) == (amount > given.most_amount)
        if draw is not None:
            assert 0 < draw.propensity <= given.share
            sums = counts.setdefault(draw.day, [0.0, 0.0])
            sums[0] += draw.propensity
            sums[1] += draw.propensity * amount
    for count, money in counts.values():
        assert count <= given.most_a_day * (1 + 1e-9)
        assert money <= (given.most_money_a_day or given.most_a_day * given.most_amount) * (1 + 1e-9)


@given(bounds, st.lists(st.integers(0, 6_000), min_size=1, max_size=40))
def test_what_is_given_back_was_never_taken(given: PassThrough, amounts: list[int]) -> None:
    kept, tried = PassingBudget(given), PassingBudget(given)
    for number, amount in enumerate(amounts):
        lost = tried.draw(payment(f"lost{number}", amount=amount))
        if lost is not None:
            tried.give_back(lost)
        one, other = (each.draw(payment(f"t{number}", amount=amount)) for each in (kept, tried))
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.propensity == pytest.approx(other.propensity, rel=1e-9)


def test_nothing_is_given_back_to_another_day() -> None:
    budget = PassingBudget(PassThrough(share=0.2, most_amount=100, most_a_day=1))
    before = budget.draw(payment("a", amount=1))
    today = [budget.draw(payment(f"b{number}", amount=1, at=START + DAY)) for number in range(2)]
    assert before is not None
    budget.give_back(before)
    third = budget.draw(payment("c", amount=1, at=START + DAY))
    told = [each.propensity for each in (*today, third) if each is not None]
    assert told == pytest.approx([0.2, 0.2 * 0.8, 0.2 * 0.8**2])


def test_a_payment_counts_for_its_bounds_once() -> None:
    """As `Scorer` gives back what a repeated payment took: of the tokens and of the budget."""
    allowance = policy(WIDE, most_declined=0.5).allowance()
    assert allowance is not None
    assert allowance.passing is not None
    first = allowance.passing.draw(payment("t"))
    assert allowance.first(("decline", "approve")) == "decline"
    allowance.give_back("decline", first)
    assert allowance.first(("decline", "approve")) == "decline"
    again = allowance.passing.draw(payment("t"))
    assert again is not None
    assert first is not None
    assert again.propensity == pytest.approx(first.propensity, rel=1e-12)


def estimates(given: PassThrough, stream: Sequence[tuple[int, float]], salts: int) -> tuple[float, float, float]:
    """What is true of a day's declines, and the mean of its estimates over many draws with its standard error."""
    true = sum(value for amount, value in stream if amount <= given.most_amount)
    found = []
    for salt in range(salts):
        budget = PassingBudget(msgspec.structs.replace(given, salt=f"s{salt}"))
        total = 0.0
        for number, (amount, value) in enumerate(stream):
            draw = budget.draw(payment(f"t{number}", amount=amount))
            if draw is not None and draw.passed:
                total += value / draw.propensity
        found.append(total)
    mean = sum(found) / salts
    error = (sum((each - mean) ** 2 for each in found) / (salts - 1) / salts) ** 0.5
    return true, mean, error


@pytest.mark.parametrize(
    "given",
    [
        PassThrough(share=0.2, most_amount=5_000, most_a_day=1_000),
        PassThrough(share=0.2, most_amount=5_000, most_a_day=8),
        PassThrough(share=0.2, most_amount=5_000, most_a_day=1_000, most_money_a_day=15_000),
    ],
    ids=["no bound is touched", "the number binds", "the money binds"],
)
def test_what_is_let_through_stands_for_all_that_could_have_been(given: PassThrough) -> None:
    """An attack of small frauds comes late in the day: a bound that stopped early would not see it."""
    stream = [(500 + 37 * n % 5_500, 0.0) for n in range(60)] + [(900, 1.0) for _ in range(60)]
    true, mean, error = estimates(given, stream, 1_500)
    assert true == 60
    assert abs(mean - true) < 3.5 * error
    assert error < 2.5  # so that a bias of a sixth would be told


def test_a_bound_on_those_let_through_would_have_been_biased() -> None:
    """The other way to bound, of which the test before would tell: it stops at so many, and misses the evening."""
    given = PassThrough(share=0.2, most_amount=5_000, most_a_day=1_000)
    total = 0.0
    for salt in range(400):
        salted = msgspec.structs.replace(given, salt=f"s{salt}")
        taken = [n for n in range(120) if salted.takes(f"m1/t{n}", 0.2)][:8]
        total += sum(1 / 0.2 for n in taken if n >= 60)
    assert total / 400 < 20  # of 60


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0.0},
        {"share": 0.3},
        {"most_amount": 0},
        {"most_a_day": 0},
        {"most_money_a_day": 9},
        {"salt": "x" * 65},
        {"more": 1},
    ],
)
def test_one_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"share": 0.1, "most_amount": 100, **wrong}, PassThrough)

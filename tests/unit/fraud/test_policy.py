"""Policies: the cheapest action, and the bounds that it keeps to."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.policy import Action, Allowance, Costs, Policy, Thresholds
from tests.unit.fraud.strategies import START, payment

STEPS = Thresholds(challenge=0.3, review=0.6, decline=0.85)
ACTIONS: tuple[Action, ...] = ("approve", "challenge", "review", "decline")

shares = st.floats(0, 1)
fees = st.integers(0, 10**6)
some_costs = st.builds(
    Costs,
    loss_share=shares,
    chargeback_fee=fees,
    margin_share=shares,
    goodwill=fees,
    challenge_cost=fees,
    challenge_stops=shares,
    challenge_loses=shares,
    review_cost=fees,
    review_finds=shares,
    review_turns_away=shares,
)


def exactly(costs: Costs, amount: int, score: float) -> dict[Action, Fraction]:
    """The formulas of `Costs` once more, in fractions."""
    c = {name: Fraction(getattr(costs, name)) for name in Costs.__struct_fields__}
    p, loss = Fraction(score), c["loss_share"] * amount + c["chargeback_fee"]
    lost = c["margin_share"] * amount + c["goodwill"]
    return {
        "approve": p * loss,
        "challenge": c["challenge_cost"]
        + p * (1 - c["challenge_stops"]) * loss
        + (1 - p) * c["challenge_loses"] * lost,
        "review": c["review_cost"] + p * (1 - c["review_finds"]) * loss + (1 - p) * c["review_turns_away"] * lost,
        "decline": (1 - p) * lost,
    }


@given(some_costs, st.integers(0, 10**14), shares)
def test_the_cheapest_action_is_chosen(costs: Costs, amount: int, score: float) -> None:
    exact = exactly(costs, amount, score)
    policy = Policy(version="1", costs=costs)
    chosen = policy.decide(payment("t", at=START, amount=amount), score)
    assert float(exact[chosen]) <= float(min(exact.values())) * (1 + 1e-12) + 1e-6
    assert costs.expected(amount, score) == pytest.approx(
        {each: float(exact[each]) for each in ACTIONS}, rel=1e-9, abs=1e-6
    )


@given(some_costs, st.integers(0, 10**8), shares, shares)
def test_a_higher_score_never_lets_more_fraud_pass(costs: Costs, amount: int, one: float, other: float) -> None:
    """What an action costs is linear in the score: at a higher one, the cheapest rises no faster than before."""

    def slope(action: Action) -> Fraction:
        return exactly(costs, amount, 1.0)[action] - exactly(costs, amount, 0.0)[action]

    low, high = sorted((one, other))
    before, after = costs.ranking(amount, low)[0], costs.ranking(amount, high)[0]
    gap = exactly(costs, amount, low)[after] - exactly(costs, amount, low)[before]
    # Within rounding two actions may cost the same; then the order says nothing.
    assert slope(after) <= slope(before) or abs(gap) <= Fraction(1, 10**4)


def test_of_two_that_cost_the_same_the_milder_is_taken() -> None:
    free = Costs(loss_share=0, chargeback_fee=0, margin_share=0, goodwill=0, challenge_cost=0, review_cost=0)
    assert free.ranking(100, 0.5) == ACTIONS


@pytest.mark.parametrize(
    ("amount", "score", "action"),
    [(2_000, 0.001, "approve"), (2_000, 0.03, "challenge"), (100_000, 0.3, "review"), (2_000, 0.9, "decline")],
)
def test_the_defaults_use_every_action(amount: int, score: float, action: Action) -> None:
    assert Policy(version="1", costs=Costs()).decide(payment("t", at=START, amount=amount), score) == action


@pytest.mark.parametrize(
    ("score", "ranking"),
    [
        (0.9, ("decline", "review", "challenge", "approve")),
        (0.6, ("review", "challenge", "approve")),
        (0.3, ("challenge", "approve")),
        (0.29, ("approve",)),
    ],
)
def test_past_a_threshold_come_the_milder_actions(score: float, ranking: tuple[Action, ...]) -> None:
    assert Policy(version="1", thresholds=STEPS).ranking(payment("t", at=START), score) == ranking


@given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(0, 1) | st.none(), max_size=400))
def test_bounds_hold_over_every_beginning(declined: float, reviewed: float, scores: list[float | None]) -> None:
    policy = Policy(version="1", thresholds=STEPS, most_declined=declined, most_reviewed=reviewed)
    allowance = policy.allowance()
    seen: list[Action] = []
    for number, score in enumerate(scores, start=1):
        seen.append(policy.decide(payment("t", at=START, amount=9_000), score, allowance))
        assert seen.count("decline") <= 1 + Fraction(declined) * number
        assert seen.count("review") <= 1 + Fraction(reviewed) * number


def test_an_action_past_its_bound_becomes_the_next_and_recovers() -> None:
    policy = Policy(version="1", thresholds=STEPS, most_declined=0.25, most_reviewed=0.0)
    allowance = policy.allowance()
    high = [policy.decide(payment("t", at=START), 0.9, allowance) for _ in range(8)]
    assert high == ["decline", "review", "challenge", "decline", "challenge", "challenge", "challenge", "decline"]


def test_costs_go_on_to_the_next_cheapest() -> None:
    policy = Policy(version="1", costs=Costs(), most_declined=0.0)
    amount, allowance = 2_000, policy.allowance()
    cheapest, second, *_ = Costs().ranking(amount, 0.95)
    got = [policy.decide(payment("t", at=START, amount=amount), 0.95, allowance) for _ in range(3)]
    assert cheapest == "decline"
    assert got == ["decline", second, second]


def test_a_quiet_time_saves_no_more_than_a_hundred() -> None:
    allowance = Allowance(most_declined=1.0, most_reviewed=None)
    for _ in range(1_000):
        allowance.first(("approve",))
    never_more = Allowance(most_declined=0.0, most_reviewed=None)
    assert [never_more.first(("decline", "challenge")) for _ in range(2)] == ["decline", "challenge"]
    saved = Allowance(most_declined=0.5, most_reviewed=None)
    for _ in range(10_000):
        saved.first(("approve",))
    burst = [saved.first(("decline", "challenge")) for _ in range(400)]
    assert burst.count("decline") == Allowance.MOST_SAVED + 199
    assert set(burst[:199]) == {"decline"}


def test_without_a_bound_nothing_is_counted() -> None:
    assert Policy(version="1", thresholds=STEPS).allowance() is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"thresholds": {"challenge": 0.3, "review": 0.6, "decline": 0.85}, "costs": {}},
        {"costs": {"loss_share": 1.5}},
        {"costs": {"chargeback_fee": -1}},
        {"costs": {"loss": 1}},
        {"costs": {}, "most_declined": -0.1},
        {"costs": {}, "unscored_limit": -1},
        {"thresholds": {"challenge": 0.7, "review": 0.6, "decline": 0.85}},
    ],
)
def test_a_policy_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"version": "1", **wrong}, Policy)


def test_the_document_of_before_still_reads() -> None:
    old = {"version": "1", "thresholds": {"challenge": 0.3, "review": 0.6, "decline": 0.85}}
    assert msgspec.convert(old, Policy) == Policy(version="1", thresholds=STEPS, unscored_limit=5_000)
    assert msgspec.convert({"version": "2", "costs": {}}, Policy).costs == Costs()

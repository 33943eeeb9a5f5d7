"""The order in which lists, rules and policy decide, over all of their combinations."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fraud.features import STANDARD
from fraud.judgement import judge, known_values
from fraud.lists import ListDefinition
from fraud.policy import Action, Policy, Thresholds
from fraud.rules import Rule, Rulebook
from fraud.rules.check import check_rules
from tests.unit.fraud.strategies import payment

ACTIONS: tuple[Action, ...] = ("approve", "challenge", "review", "decline")
SAYS = {"block": "decline", "allow": "approve", "review": "review", "none": None}
NOTHING = [math.nan] * len(STANDARD.names)


def policy_of(action: Action) -> Policy:
    """A policy that takes one action whatever the score is."""
    at = {"approve": (1, 1, 1), "challenge": (0, 1, 1), "review": (0, 0, 1), "decline": (0, 0, 0)}[action]
    return Policy(version="p", thresholds=Thresholds(challenge=at[0], review=at[1], decline=at[2]))


def rulebook_of(before: Action | None, after: tuple[Action, Action] | None) -> Rulebook:
    """At most one rule before the policy, and one after it that turns an action into another."""
    rules = []
    if before:
        rules.append(Rule(id="before", when="amount >= 0", action=before))
    if after:
        rules.append(Rule(id="after", when=f'decision == "{after[0]}"', action=after[1], stage="after"))
    return Rulebook(check_rules(rules, STANDARD, ()))


def values_of(**given: Any) -> dict[str, object]:
    asked = {"score": 0.5, "lists": (), "degraded": False} | given
    return known_values(payment("t"), STANDARD.names, NOTHING, **asked)


@given(
    st.sampled_from([None, *SAYS]),
    st.sampled_from([None, *ACTIONS]),
    st.sampled_from(ACTIONS),
    st.none() | st.tuples(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS)),
)
def test_lists_come_before_rules_before_the_policy_and_rules_after_it_may_change_all(
    listed: Any, before: Action | None, policy: Action, after: tuple[Action, Action] | None
) -> None:
    lists = [ListDefinition(name="l", field="card", action=listed)] if listed else []
    names = ["l"] if listed else []
    judged = judge(
        payment("t"),
        values_of(lists=names),
        score=0.5,
        policy=policy_of(policy),
        rulebook=rulebook_of(before, after),
        lists=lists,
        listed=names,
    )
    by_list = SAYS.get(listed)
    decided = by_list or before or policy
    changed = after is not None and after[0] == decided
    assert judged.action == (after[1] if after is not None and changed else decided)
    asked = before is not None and by_list is None  # whoever a list decides on is not asked about by rules
    assert judged.rules == (("before",) if asked else ()) + (("after",) if changed else ())
    assert judged.failed == ()


def test_without_rules_and_lists_the_policy_decides_alone() -> None:
    for action in ACTIONS:
        assert judge(payment("t"), {}, score=0.5, policy=policy_of(action)).action == action


def test_what_is_not_known_is_no_ground_for_a_rule() -> None:
    rules = [
        Rule(id="score", when="score < 1.0", action="decline"),
        Rule(id="count", when='count(card, "24h") >= 0', action="decline"),
        Rule(id="mcc", when='mcc != "5411"', action="decline"),
    ]
    values = values_of(score=None, degraded=True)
    judged = judge(
        payment("t"),
        values,
        score=None,
        policy=Policy(version="p", thresholds=Thresholds(challenge=0, review=0, decline=0), unscored_limit=10**9),
        rulebook=Rulebook(check_rules(rules, STANDARD, ())),
    )
    assert (judged.action, judged.rules, judged.failed) == ("approve", (), ())

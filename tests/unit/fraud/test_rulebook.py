"""A rulebook: which rules are asked, in which order, and what follows."""

import math
import random
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.features import STANDARD
from fraud.policy import Action
from fraud.rules import Rule, Rulebook, StoredRule, StoredRules, Verdict
from fraud.rules.check import check_rules
from fraud.rules.documents import Mode
from fraud.rules.engine import engine

ACTIONS: tuple[Action, ...] = ("approve", "challenge", "review", "decline")
LAYER = Path(__file__).resolve().parents[3] / "layers/fraud/python"


def book(*rules: Rule, mode: Mode = "first_match") -> Rulebook:
    return Rulebook(check_rules(rules, STANDARD, ["vip"]), mode=mode, version="3")


def rule(id_: str, when: str = "amount > 10", action: Action = "review", priority: int = 100) -> Rule:
    return Rule(id=id_, when=when, action=action, priority=priority)


def test_the_first_match_decides_and_is_the_only_one_told() -> None:
    rules = book(
        rule("late", action="decline", priority=200),
        rule("other", when="amount > 1000"),
        rule("b", action="challenge"),
        rule("a", action="approve"),
    )
    assert rules.before({"amount": 11}) == Verdict("approve", ("a",))
    assert rules.before({"amount": 1}) == Verdict()


def test_of_all_matches_the_strictest_action_is_taken() -> None:
    rules = book(
        rule("c", action="challenge"),
        rule("a", action="approve", priority=1),
        rule("d", action="decline", priority=999),
        rule("never", when="amount > 1000"),
        mode="all_matches",
    )
    assert rules.before({"amount": 11}) == Verdict("decline", ("a", "c", "d"))


@given(
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3), st.booleans()), max_size=6),
    st.sampled_from(["first_match", "all_matches"]),
    st.randoms(use_true_random=False),
)
def test_the_order_in_the_document_does_not_matter(
    drawn: list[tuple[Action, int, bool]], mode: Mode, chance: random.Random
) -> None:
    rules = [
        rule(f"r{n}", action=action, priority=priority, when="amount > 10" if holds else "amount > 20")
        for n, (action, priority, holds) in enumerate(drawn)
    ]
    expected = sorted((each.priority, each.id, each.action) for each in rules if each.when == "amount > 10")
    verdict = book(*rules, mode=mode).before({"amount": 15})
    chance.shuffle(rules)
    assert book(*rules, mode=mode).before({"amount": 15}) == verdict
    told = expected[:1] if mode == "first_match" else expected
    assert verdict.matched == tuple(id_ for _, id_, _ in told)
    assert verdict.action == max((action for _, _, action in told), key=ACTIONS.index, default=None)


def test_rules_after_see_the_decision_and_may_change_it() -> None:
    rules = book(
        Rule(id="spare", when='decision == "decline" && "vip" in lists', action="review", stage="after"),
        rule("before"),
    )
    assert rules.needs == ("amount", "lists")
    assert rules.after({"lists": ["vip"]}, "decline") == Verdict("review", ("spare",))
    assert rules.after({"lists": ["vip"]}, "approve") == Verdict()
    assert rules.after({"lists": []}, "decline") == Verdict()
    assert rules.before({"amount": 11, "lists": ["vip"]}) == Verdict("review", ("before",))


def test_a_disabled_rule_is_not_asked_and_needs_nothing() -> None:
    off = Rule(id="off", when="score > 0", action="decline", enabled=False)
    rules = book(off, rule("on"))
    assert rules.needs == ("amount",)
    assert rules.before({"amount": 11, "score": 1.0}) == Verdict("review", ("on",))


def test_only_what_is_needed_is_looked_at() -> None:
    class Watched(dict[str, object]):
        def __init__(self) -> None:
            super().__init__(amount=11, score=0.5)
            self.asked: list[str] = []

        def get(self, name: str, default: object = None) -> object:
            self.asked.append(name)
            return super().get(name, default)

    values = Watched()
    book(rule("a")).before(values)
    assert values.asked == ["amount"]


@pytest.mark.parametrize(
    ("when", "values"),
    [
        ("amount / score > 1", {"amount": 11, "score": 0.0}),
        ("amount % amount == 0", {"amount": 0}),
        ("amount * amount * amount > 0", {"amount": 10**14}),
    ],
)
def test_what_cannot_be_computed_does_not_match_and_is_told(when: str, values: dict[str, object]) -> None:
    rules = book(rule("faulty", when=when, action="decline"), rule("sound", when="amount >= 0"))
    assert rules.before(values) == Verdict("review", ("sound",), ("faulty",))


@pytest.mark.parametrize("unknown", [{}, {"score": math.nan}, {"score": None}])
def test_what_is_missing_is_no_failure(unknown: dict[str, object]) -> None:
    assert book(rule("a", when="amount / score > 1")).before({"amount": 1, **unknown}) == Verdict()


def test_an_amount_out_of_the_vector_is_whole_again() -> None:
    assert book(rule("a", when="amount % 100 == 99")).before({"amount": 199.0}).matched == ("a",)


def test_a_rule_that_the_engine_refuses_does_not_stop_the_others() -> None:
    (sound,) = check_rules([rule("sound")], STANDARD)
    strange = StoredRule(id="strange", when="?", action="decline", cel="amount >", needs=("amount",), priority=1)
    assert Rulebook([strange, sound]).before({"amount": 11}) == Verdict("review", ("sound",), ("strange",))


def test_a_stored_version_comes_back_as_it_was() -> None:
    stored = StoredRules(
        version=12,
        mode="all_matches",
        rules=check_rules([rule("a"), rule("b", action="decline")], STANDARD),
        changed_at=1_700_000_000_000,
        changed_by="key:k1",
    )
    again = msgspec.json.decode(msgspec.json.encode(stored), type=StoredRules)
    assert again == stored
    assert Rulebook.of(again).version == "12"
    assert Rulebook.of(again).before({"amount": 11}) == Verdict("decline", ("a", "b"))


def test_no_rules_say_nothing() -> None:
    assert Rulebook().before({}) == Rulebook().after({}, "decline") == Verdict()
    assert Rulebook().needs == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "No Spaces"},
        {"id": ""},
        {"when": ""},
        {"action": "block"},
        {"priority": -1},
        {"stage": "middle"},
        {"x": 1},
    ],
)
def test_a_rule_of_another_form_is_refused(wrong: dict[str, object]) -> None:
    sent = {"id": "a", "when": "degraded", "action": "review"}
    assert msgspec.convert(sent, Rule).priority == 100
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(sent | wrong, Rule)


def test_serving_loads_neither_the_parser_nor_a_command_line() -> None:
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from fraud.rules import Rulebook, StoredRule\n"
        "assert 'cel.cel' not in sys.modules\n"
        "rule = StoredRule(id='a', when='', action='review', cel='amount > 10', needs=('amount',))\n"
        "assert Rulebook([rule]).before({'amount': 11}).action == 'review'\n"
        "print(*sorted({'cel', 'lark', 'typer', 'rich', 'difflib'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(LAYER)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


def test_a_missing_engine_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_: None)
    monkeypatch.delitem(sys.modules, "cel.cel", raising=False)
    with pytest.raises(ImportError, match="install common-expression-language"):
        engine.__wrapped__()

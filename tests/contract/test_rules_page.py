"""docs/rules.md says what is so: its examples run, its figures are computed, and nothing is left out."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest

from fraud.features import STANDARD
from fraud.lists import LISTED_FIELDS, MOST_LISTS
from fraud.policy import Allowance, Costs
from fraud.rules import Rule, Rulebook, Rules
from fraud.rules.check import MOST_ITEMS, check_expression, check_rules
from fraud.rules.documents import LONGEST_EXPRESSION, MOST_RULES
from fraud.rules.grammar import LONGEST_TEXT
from fraud.rules.tree import DEEPEST, MOST_NODES
from fraud.rules.vocabulary import Vocabulary
from infra.constructs.serving import SCHEMA
from runtime import api

PAGE = (Path(__file__).resolve().parents[2] / "docs/rules.md").read_text()
EXAMPLES = [line for block in re.findall(r"```cel\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
AFTER = Vocabulary(STANDARD, ["regulars"], stage="after")
_MISSING = re.findall(r"^\| `(.*)` \| (yes|no) \|$", PAGE, re.M)
_COST = r"^\| (approve|challenge|review|decline) \| .* \| ([0-9.]+) \|$"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted(example: str) -> None:
    check_expression(example, AFTER)


@pytest.mark.parametrize("document", re.findall(r"```json\n(.*?)```", PAGE, re.S))
def test_a_document_is_accepted(document: str) -> None:
    rules = msgspec.json.decode(document, type=Rules)
    assert len(check_rules(rules.rules, STANDARD)) == len(rules.rules) > 0


@pytest.mark.parametrize(("condition", "expected"), _MISSING)
def test_what_is_missing_is_as_told(condition: str, expected: str) -> None:
    rule = Rule(id="told", when=condition.replace("\\|", "|"), action="review")
    verdict = Rulebook(check_rules([rule], STANDARD)).before({"amount": 100})
    assert (verdict.action is not None) == (expected == "yes")


def test_the_tables_are_all_found() -> None:
    assert len(EXAMPLES) == 10
    assert len(_MISSING) == 5
    assert len(re.findall(_COST, PAGE, re.M)) == 4


def test_the_worked_example_is_computed() -> None:
    expected = Costs().expected(10_000, 0.05)
    told = {action: float(cost) for action, cost in re.findall(_COST, PAGE, re.M)}
    assert told == pytest.approx(expected, abs=0.005)
    assert Costs().ranking(10_000, 0.05)[0] == "challenge"


def test_every_assumption_is_told_with_its_default() -> None:
    told = re.findall(r"^\| `(\w+)` \| ([0-9.]+) \| ", PAGE, re.M)
    assert {name: float(default) for name, default in told} == msgspec.structs.asdict(Costs())
    properties = SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert set(properties["policy"]["properties"]["costs"]["properties"]) == set(Costs.__struct_fields__)


def test_every_name_and_limit_is_told() -> None:
    own = set(AFTER.variables) - set(STANDARD.names)
    for name in (*own, *AFTER.functions, *AFTER.keys, *LISTED_FIELDS):
        assert re.search(rf"`{name}[`(]", PAGE), name
    for limit in (MOST_RULES, LONGEST_EXPRESSION, MOST_NODES, DEEPEST, MOST_ITEMS, LONGEST_TEXT):
        assert f"| {limit:,} |" in PAGE
    assert f"at most {MOST_LISTS} lists" in PAGE
    assert f"at most {Allowance.MOST_SAVED} payments" in PAGE


@pytest.mark.parametrize("field", ["channel", "entry_mode", "three_ds"])
def test_rules_know_the_texts_that_the_api_takes(field: str) -> None:
    hint = get_type_hints(api.DecisionRequest)[field]
    taken = {text for each in (hint, *get_args(hint)) for text in get_args(each) if isinstance(text, str)}
    assert set(AFTER.variables[field].allowed) == taken

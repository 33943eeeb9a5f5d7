"""The OpenAPI document and its page: committed as the models have them, complete, true by their own examples."""

import ast
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import msgspec
import pytest

from infra.constructs import api as gateway
from ops.contract import DOCUMENT, PAGE
from ops.contract.document import document, written
from ops.contract.examples import EXAMPLES
from ops.contract.operations import OPERATIONS, Operation
from ops.contract.page import page
from ops.contract.problems import PROBLEMS, kind

ROOT = Path(__file__).resolve().parents[3]
REMEDY = "run `paywarden api export` and commit what it writes"
IDS = [each.id for each in OPERATIONS]


def named(identifier: str) -> Operation:
    return next(each for each in OPERATIONS if each.id == identifier)


def test_the_committed_document_and_page_are_those_of_the_models() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == written(), REMEDY
    assert PAGE.read_text(encoding="utf-8") == page(), REMEDY


def test_every_call_has_one_name_one_place_and_one_example() -> None:
    assert len(set(IDS)) == len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)
    assert set(EXAMPLES) == set(IDS)
    for each in OPERATIONS:
        assert (EXAMPLES[each.id].body is None) == (each.request is None), each.id
        assert set(re.findall(r"{(\w+)}", each.path)) == set(EXAMPLES[each.id].path), each.id


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_leads_somewhere() -> None:
    told = document()
    for reference in references(told):
        found: Any = told
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


def test_patterns_are_written_as_every_language_reads_them() -> None:
    for pattern in re.findall(r'"pattern": "(.*)"', written()):
        assert pattern.startswith("^")
        assert r"\\Z" not in pattern


def valid(instance: Any, name: str, told: dict[str, Any]) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": told["components"]}
    jsonschema.validate(instance, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("identifier", IDS)
def test_every_example_is_what_its_schema_says_and_its_model_reads(identifier: str) -> None:
    operation, example, told = named(identifier), EXAMPLES[identifier], document()
    valid(example.answer, operation.answer.__name__, told)
    msgspec.convert(example.answer, operation.answer)
    if operation.request is not None:
        valid(example.body, operation.request.__name__, told)


def raised(path: Path) -> Iterator[tuple[int, str, str]]:
    """Status, kind and title of every problem that a module makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
            status, name, title = (ast.literal_eval(each) for each in node.args[:3])
            yield status, name, title


def test_every_problem_that_our_code_makes_is_in_the_catalogue_as_it_is_made() -> None:
    catalogued = {(each.status, each.name, each.title) for each in PROBLEMS}
    made = {
        problem
        for room in ("lambdas", "layers/runtime/python/runtime")
        for path in (ROOT / room).rglob("*.py")
        for problem in raised(path)
    }
    assert len(made) > 10
    assert made <= catalogued
    by_gateway = {(each.status, each.kind, each.title) for each in gateway._PROBLEMS}
    assert by_gateway <= catalogued
    assert {name for _, name, _ in made | by_gateway} == {each.name for each in PROBLEMS}


def test_every_kind_of_problem_is_one_that_some_call_can_have() -> None:
    possible = {name for each in OPERATIONS for name in each.problems}
    assert {each.name for each in PROBLEMS} - possible == {"method-not-allowed"}
    for each in OPERATIONS:
        assert all(kind(name) for name in each.problems)
        assert len(list(each.problems)) == len(set(each.problems)), each.id


def test_the_page_has_every_call_and_every_problem_and_fetches_nothing() -> None:
    told = page()
    for each in OPERATIONS:
        assert f'id="{each.id}"' in told
    for problem in PROBLEMS:
        assert f'id="problems/{problem.name}"' in told
    targets = re.findall(r'(?:href|src|action)="([^"]*)"', told)
    assert targets
    for target in targets:
        assert target.startswith("#")
        assert f'id="{target[1:]}"' in told
    assert "<script" not in told
    assert "url(" not in told
    hosts = {urlsplit(each).hostname for each in re.findall(r"https?://[^\s\"<]+", told)}
    assert hosts <= {"api.example.com"}


def test_the_shell_examples_hold_the_bodies() -> None:
    told = unescape(page())
    for example in EXAMPLES.values():
        if example.body is not None:
            flat = re.sub(r"\s", "", json.dumps(example.body, ensure_ascii=False))
            assert flat in re.sub(r"\s", "", told)

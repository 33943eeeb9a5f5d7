"""What is counted is declared, what is declared is counted, and every handler is instrumented: by the code."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from fraud.measures import API, MEASURES, TIERS, tier_of
from fraud.policy import Action
from infra.environments import ENVIRONMENTS
from ops.capacity.cost import metrics

ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "fraud": ROOT / "layers/fraud/python/fraud",
    "runtime": ROOT / "layers/runtime/python/runtime",
}
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "lambdas").glob("*/handler.py"))
COMPUTED = {
    "lambdas/score_transaction/handler.py": {"outcome.action.capitalize()"},
    "lambdas/score_transaction/models.py": {"name"},
    "lambdas/update_features/handler.py": {"name"},
    "lambdas/watch_release/handler.py": {"name"},
    "lambdas/watch_drift/handler.py": {"name"},
    "layers/runtime/python/runtime/reports.py": {"counted"},
}
"""Calls of `count` with a name that is no literal; the literals it can be stand in the same function's code."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def file_of(module: str) -> Path | None:
    """The file of one of our own modules that functions share."""
    room, *rest = module.split(".")
    if room not in PLACES:
        return None
    path = PLACES[room].joinpath(*rest)
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (found for name in names if (found := file_of(name)) is not None)


@cache
def code_of(function: str) -> frozenset[Path]:
    """Every file of ours that a function is made of."""
    waiting = list((ROOT / "lambdas" / function).glob("*.py"))
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(imported(path))
    return frozenset(found)


def words(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def counts(path: Path) -> Iterator[ast.expr]:
    """The first argument of every call of `count` in a file that has it from telemetry."""
    if not any(
        isinstance(node, ast.ImportFrom)
        and node.module == "runtime.telemetry"
        and any(alias.name == "count" for alias in node.names)
        for node in ast.walk(tree(path))
    ):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count":
            yield node.args[0]


def literals(argument: ast.expr) -> set[str] | None:
    """The names that an argument can be; None if it is computed."""
    match argument:
        case ast.Constant(value=str(name)):
            return {name}
        case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))):
            return {one, other}
    return None


CODE = sorted({path for function in FUNCTIONS for path in code_of(function)})


def test_every_handler_is_instrumented() -> None:
    assert len(FUNCTIONS) >= 16
    for function in FUNCTIONS:
        [handler] = [
            node
            for node in tree(ROOT / "lambdas" / function / "handler.py").body
            if isinstance(node, ast.FunctionDef) and node.name == "handler"
        ]
        assert [ast.unparse(each) for each in handler.decorator_list] == ["instrumented"], function


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_counted_past_the_list(path: Path) -> None:
    names: set[str] = set()
    for argument in counts(path):
        found = literals(argument)
        if found is None:
            assert ast.unparse(argument) in COMPUTED.get(str(path.relative_to(ROOT)), ()), ast.unparse(argument)
        names |= found or set()
    for function in FUNCTIONS:
        if path in code_of(function):
            assert not [name for name in names if function not in MEASURES[name].of], function
    if "add_metric" in path.read_text(encoding="utf-8"):
        assert path == PLACES["runtime"] / "telemetry.py", "count, and declare it"


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_what_is_declared_is_counted_by_who_is_said_to(name: str) -> None:
    measure = MEASURES[name]
    for function in measure.of:
        assert function in FUNCTIONS, f"{name}: there is no function {function}"
        files = code_of(function) - {PLACES["fraud"] / "measures.py"}
        if name.lower() in get_args(Action):
            assert "outcome.action.capitalize()" in map(
                ast.unparse, counts(ROOT / f"lambdas/{function}/handler.py")
            )
        else:
            assert any(name in words(path) for path in files), f"{function} never counts {name}"


def test_the_functions_that_answer_merchants_are_those_that_answer_requests() -> None:
    answering = PLACES["runtime"] / "http.py"
    assert set(API) == {
        function
        for function in FUNCTIONS
        if any(path == answering for path in imported(ROOT / "lambdas" / function / "handler.py"))
    }


def test_tiers_are_the_usage_plans_and_one_for_all_else() -> None:
    plans = {plan.name for environment in ENVIRONMENTS.values() for plan in environment.plans}
    assert set(TIERS) == plans | {"none"}
    assert {tier_of(each) for each in (*plans, "", "gold", "x" * 99)} == set(TIERS)


def test_the_number_of_metrics_is_bounded_and_what_the_handbook_says() -> None:
    plain = sum(len(each.of) for each in MEASURES.values())
    tiered = [each for each in MEASURES.values() if each.by_tier]
    assert metrics() == plain + len(TIERS) * len(tiered)
    assert {each.of for each in tiered} == {("score_transaction",)}
    page = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    assert f"**{metrics()} metrics**" in page, f"docs/telemetry.md: say {metrics()} metrics"
    assert f"${metrics() * 0.30:.2f}" in page, f"docs/telemetry.md: at $0.30 that is ${metrics() * 0.30:.2f}"

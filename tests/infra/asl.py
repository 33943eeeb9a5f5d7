"""A strict reader of the Amazon States Language, as far as the state machine uses it.

It walks a definition with answers made up by the test, and fails where AWS would: a path that leads nowhere, an
intrinsic function with the wrong number of arguments, a field that is not known here.
"""

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Timeout", "Walk", "evaluate", "walk"]

_TOKEN = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|(-?\d+(?:\.\d+)?)|(\$\$?[\w.\[\]]*)|(States\.\w+)\(|(.))")


class Timeout(Exception):  # noqa: N818 - it stands for the error States.Timeout
    """An answer that never comes."""


@dataclass
class Walk:
    """The states that were entered, the requests that tasks made, and the output at the end."""

    states: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    output: Any = None
    seconds: float = 0.0
    largest: int = 0


def walk(
    definition: Mapping[str, Any],
    document: Any,
    answer: Callable[[str, dict[str, Any]], Any],
    *,
    name: str = "run-1",
    redrives: int = 0,
    most: int = 200,
) -> Walk:
    """Go from state to state until one succeeds.

    Parameters
    ----------
    answer : callable
        Given a state's name and its request, what the service answers; it may raise `Timeout`.
    """
    walked = Walk()
    context: dict[str, Any] = {
        "Execution": {
            "Id": f"arn:aws:states:eu-west-1:123456789012:execution:retrain:{name}",
            "Name": name,
            "StartTime": "2026-01-01T10:00:00.123Z",
            "RedriveCount": redrives,
        },
        "Task": {"Token": "token"},
    }
    state = definition["StartAt"]
    while len(walked.states) < most:
        walked.states.append(state)
        walked.largest = max(walked.largest, len(json.dumps(document)))
        context["State"] = {"Name": state, "EnteredTime": "2026-01-02T10:00:00Z"}
        current = definition["States"][state]
        match current["Type"]:
            case "Succeed":
                walked.output = document
                return walked
            case "Choice":
                state = _choose(current, document, context)
                continue
            case "Wait":
                walked.seconds += evaluate(current["SecondsPath"], document, context)
            case "Pass":
                made = (
                    current["Result"] if "Result" in current else _fill(current["Parameters"], document, context)
                )
                document = _put(document, current.get("ResultPath", "$"), made)
            case "Task":
                request = _fill(current["Parameters"], document, context)
                walked.requests.append((state, current["Resource"], request))
                if "TimeoutSecondsPath" in current:
                    assert evaluate(current["TimeoutSecondsPath"], document, context) > 0
                try:
                    result = answer(state, request)
                except Timeout:
                    (catch,) = current["Catch"]
                    assert (catch["ErrorEquals"], catch["ResultPath"]) == (["States.Timeout"], None)
                    state = catch["Next"]
                    continue
                if "ResultSelector" in current:
                    result = _fill(current["ResultSelector"], result, context)
                document = _put(document, current.get("ResultPath", "$"), result)
                document = evaluate(current.get("OutputPath", "$"), document, context)
            case other:
                raise AssertionError(f"{state}: a state of type {other}")
        state = current["Next"]
    raise AssertionError(f"no end after {most} states: {walked.states[-12:]}")


def evaluate(expression: str, document: Any, context: Mapping[str, Any]) -> Any:
    """The value of a path or of an intrinsic function."""
    if expression.startswith("States."):
        value, rest = _call(expression, document, context)
        assert not rest.strip(), f"{expression}: {rest!r} is left over"
        return value
    return _path(expression, document, context)


def _path(path: str, document: Any, context: Mapping[str, Any]) -> Any:
    value, names = (context, path[2:]) if path.startswith("$$") else (document, path[1:])
    for name in [each for each in names.split(".") if each]:
        assert isinstance(value, Mapping), f"{path}: nothing has a {name} there"
        assert name in value, f"{path}: there is no {name}, only {sorted(value)}"
        value = value[name]
    return value


def _call(text: str, document: Any, context: Mapping[str, Any]) -> tuple[Any, str]:
    name, rest = text.split("(", 1)
    arguments: list[Any] = []
    while True:
        found = _TOKEN.match(rest)
        assert found is not None, text
        quoted, number, path, call, sign = found.groups()
        if call is not None:
            value, rest = _call(rest.lstrip(), document, context)
            arguments.append(value)
            continue
        rest = rest[found.end() :]
        if quoted is not None:
            arguments.append(quoted)
        elif number is not None:
            arguments.append(json.loads(number))
        elif path is not None:
            arguments.append(_path(path, document, context))
        elif sign == ")":
            return _intrinsic(name.strip(), arguments), rest
        else:
            assert sign == ",", f"{text}: {sign!r}"


def _intrinsic(name: str, arguments: list[Any]) -> Any:
    if name == "States.Array":
        return arguments
    assert name == "States.Format", f"{name} is not known here"
    template, *values = arguments
    parts = template.split("{}")
    assert len(parts) == len(values) + 1, f"{template}: {len(values)} values"
    assert not [each for each in values if isinstance(each, dict | list) or each is None], f"{template}: {values}"
    texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
    return parts[0] + "".join(text + part for text, part in zip(texts, parts[1:], strict=True))


def _fill(template: Any, document: Any, context: Mapping[str, Any]) -> Any:
    if isinstance(template, list):
        return [_fill(each, document, context) for each in template]
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): evaluate(value, document, context)
        if name.endswith(".$")
        else _fill(value, document, context)
        for name, value in template.items()
    }


def _put(document: Any, path: str | None, value: Any) -> Any:
    if path is None:
        return document
    if path == "$":
        return value
    changed = copy.deepcopy(document)
    *parents, name = path.removeprefix("$.").split(".")
    inner = changed
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return changed


def _choose(state: Mapping[str, Any], document: Any, context: Mapping[str, Any]) -> str:
    for rule in state["Choices"]:
        if _holds(rule, document, context):
            return str(rule["Next"])
    return str(state["Default"])


def _holds(rule: Mapping[str, Any], document: Any, context: Mapping[str, Any]) -> bool:
    if "Not" in rule:
        return not _holds(rule["Not"], document, context)
    found = evaluate(rule["Variable"], document, context)
    (operator,) = rule.keys() - {"Variable", "Next"}
    wanted = rule[operator]
    if operator.endswith("Path"):
        wanted = evaluate(wanted, document, context)
    kind = {"B": bool, "S": str, "N": int}[operator[0]]
    assert isinstance(found, kind), f"{rule}: {found!r}"
    return bool(found == wanted)

"""Metric math: one value out of several, at one moment. A missing value is None and makes most results None."""

import functools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ExpressionError", "Query", "check", "solve"]

type Value = float | None
type Lookup = Callable[[str], Value]
type Node = Callable[[Lookup], Value]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^()<>,\[\]]))"
)
_LEVELS: Final[tuple[Mapping[str, Callable[[float, float], float]], ...]] = (
    {"||": lambda a, b: float(bool(a or b)), "OR": lambda a, b: float(bool(a or b))},
    {"&&": lambda a, b: float(bool(a and b)), "AND": lambda a, b: float(bool(a and b))},
    {
        "<": operator.lt,
        ">": operator.gt,
        "<=": operator.le,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv},
    {"^": operator.pow},
)
_OF_ONE: Final[Mapping[str, Callable[[float], float]]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_OF_SEVERAL: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
}


class ExpressionError(ValueError):
    """An expression that cannot be read, or uses what the local cloud does not know."""


@dataclass(frozen=True, slots=True)
class Query:
    """One of the metrics and expressions that belong together.

    Attributes
    ----------
    id : str
        The name that expressions use.
    expression : str or None
        None for a metric, whose values are given.
    """

    id: str
    expression: str | None = None


def solve(queries: Sequence[Query], given: Mapping[str, Value], wanted: str) -> Value:
    """The value of one query.

    Parameters
    ----------
    given
        The values of the metrics by id; None where there is none.

    Raises
    ------
    ExpressionError
        For an expression that cannot be read, names nothing, or leads back to itself.
    """
    expressions = {each.id: each.expression for each in queries if each.expression is not None}
    open_: list[str] = []

    def look_up(name: str) -> Value:
        if name in given:
            return given[name]
        if name not in expressions:
            raise ExpressionError(f"an expression uses {name}, which is the id of nothing")
        if name in open_:
            raise ExpressionError(f"the expression {name} uses itself")
        open_.append(name)
        try:
            return parse(expressions[name])(look_up)
        finally:
            open_.pop()

    return look_up(wanted)


def check(queries: Sequence[Query]) -> None:
    """Find out whether every expression can be read and names only what there is.

    Raises
    ------
    ExpressionError
        Names what is wrong.
    """
    ids = {each.id for each in queries}
    for each in queries:
        if each.expression is None:
            continue
        parse(each.expression)
        if unknown := sorted(_Parser(each.expression).ids() - ids):
            raise ExpressionError(f"the expression {each.id} uses {', '.join(unknown)}, the id of nothing")


@functools.cache
def parse(text: str) -> Node:
    """What works an expression out.

    Known are numbers, ids, ``+ - * / ^``, comparisons, AND and OR, ``IF(condition, then, else)``,
    ``FILL(value, number)``, ``ABS``, ``CEIL`` and ``FLOOR``, and ``MAX``, ``MIN``, ``SUM`` and ``AVG`` of a list
    in brackets, which leave out what is missing.

    Raises
    ------
    ExpressionError
        For any other, with the place.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*self._read(), ("end", "")]
        self._at = 0

    def _read(self) -> Iterator[tuple[str, str]]:
        at, text = 0, self._text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(text[at:])
            at = match.end()
            yield match.lastgroup or "", match[match.lastgroup or 0]

    def _error(self, found: str) -> ExpressionError:
        return ExpressionError(
            f"the local cloud cannot read {found or 'the end'!r} in the expression {self._text!r}"
        )

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _peek(self) -> str:
        return self._tokens[self._at][1]

    def _take(self, sign: str) -> None:
        if self._next()[1] != sign:
            self._at -= 1
            raise self._error(self._peek())

    def ids(self) -> set[str]:
        return {text for kind, text in self._tokens if kind == "name" and text[0].islower()}

    def whole(self) -> Node:
        node = self._level(0)
        if self._tokens[self._at][0] != "end":
            raise self._error(self._peek())
        return node

    def _level(self, depth: int) -> Node:
        if depth == len(_LEVELS):
            return self._operand()
        node = self._level(depth + 1)
        while self._peek() in _LEVELS[depth]:
            node = _binary(_LEVELS[depth][self._next()[1]], node, self._level(depth + 1))
        return node

    def _operand(self) -> Node:
        kind, text = self._next()
        if kind == "number":
            return _constant(float(text))
        if text == "-":
            return _binary(operator.sub, lambda _: 0.0, self._operand())
        if text == "(":
            node = self._level(0)
            self._take(")")
            return node
        if kind == "name" and self._peek() == "(":
            return self._call(text)
        if kind == "name" and text[0].islower():
            return lambda look_up: look_up(text)
        raise self._error(text)

    def _call(self, name: str) -> Node:
        self._take("(")
        if name in _OF_SEVERAL:
            self._take("[")
            values = self._listed("]")
            self._take(")")
            return _several(_OF_SEVERAL[name], values)
        arguments = self._listed(")")
        match name, arguments:
            case "IF", [condition, then, otherwise]:
                return _if(condition, then, otherwise)
            case "FILL", [value, filler]:
                return _fill(value, filler)
            case _, [value] if name in _OF_ONE:
                return _single(_OF_ONE[name], value)
        raise ExpressionError(
            f"the local cloud knows no {name} of {len(arguments)} in metric math, in {self._text!r}: see "
            "ops/localcloud/alarms/expressions.py for what it knows"
        )

    def _listed(self, closing: str) -> list[Node]:
        nodes = [self._level(0)]
        while self._peek() == ",":
            self._take(",")
            nodes.append(self._level(0))
        self._take(closing)
        return nodes


def _constant(number: float) -> Node:
    return lambda _: number


def _binary(apply: Callable[[float, float], Any], left: Node, right: Node) -> Node:
    def value(look_up: Lookup) -> Value:
        a, b = left(look_up), right(look_up)
        if a is None or b is None:
            return None
        try:
            result = float(apply(a, b))
        except (ZeroDivisionError, OverflowError, TypeError):
            # No number comes of it, so there is no point.
            return None
        return result if math.isfinite(result) else None

    return value


def _single(apply: Callable[[float], float], of: Node) -> Node:
    def value(look_up: Lookup) -> Value:
        found = of(look_up)
        return None if found is None else float(apply(found))

    return value


def _several(apply: Callable[[Sequence[float]], float], nodes: Sequence[Node]) -> Node:
    def value(look_up: Lookup) -> Value:
        found = [each for node in nodes if (each := node(look_up)) is not None]
        return float(apply(found)) if found else None

    return value


def _if(condition: Node, then: Node, otherwise: Node) -> Node:
    def value(look_up: Lookup) -> Value:
        holds = condition(look_up)
        if holds is None:
            return None
        return then(look_up) if holds else otherwise(look_up)

    return value


def _fill(of: Node, filler: Node) -> Node:
    def value(look_up: Lookup) -> Value:
        found = of(look_up)
        return filler(look_up) if found is None else found

    return value

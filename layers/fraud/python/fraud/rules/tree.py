"""An expression as a tree: what the grammar reads, what is checked, explained and written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from fraud.rules.documents import RuleError

__all__ = [
    "DEEPEST",
    "MOST_NODES",
    "Binary",
    "Call",
    "Chain",
    "Items",
    "Literal",
    "Name",
    "Node",
    "Place",
    "Unary",
    "count",
    "names",
    "walk",
]

DEEPEST = 20
"""How deeply operators, calls and lists may be nested; parentheses and chains of one operator do not count."""

MOST_NODES = 200
"""How many literals, names and operators an expression may have."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the source, counted from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of an expression; it refuses to be nested too deeply, so that walking a tree is safe."""

    at: Place = field(default=Place(), compare=False)
    depth: int = field(init=False, compare=False, repr=False)
    _parts: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        depth = 1 + max((child.depth for child in self.children), default=0)
        if depth > DEEPEST:
            raise RuleError(
                f"the expression is nested more than {DEEPEST} deep; split the rule into several",
                line=self.at.line,
                column=self.at.column,
            )
        object.__setattr__(self, "depth", depth)

    @property
    def children(self) -> tuple["Node", ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant: text, a whole number, a number with decimals, or true or false. Never negative."""

    value: bool | int | float | str


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list of expressions; the check allows constants only."""

    items: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.items


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``!`` or ``-`` before an operand."""

    sign: str
    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """A comparison, ``in`` or an arithmetic operator between two operands."""

    sign: str
    left: Node
    right: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Two or more terms that are joined by ``&&`` or by ``||``."""

    sign: str
    terms: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.terms


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function and its arguments; a method, such as ``.startsWith``, has what it is called on as the first."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.arguments


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def count(node: Node) -> int:
    """How many nodes a tree has."""
    return sum(1 for _ in walk(node))


def names(node: Node) -> tuple[str, ...]:
    """The names in a tree, sorted, each once."""
    return tuple(sorted({each.name for each in walk(node) if isinstance(each, Name)}))

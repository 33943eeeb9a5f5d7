"""A checked tree as an English sentence, for those who approve rules and do not write them."""

from fraud.rules.tree import Binary, Call, Chain, Items, Literal, Name, Node, Unary
from fraud.rules.vocabulary import Kind, Vocabulary

__all__ = ["explained"]

_RELATIONS = {
    "==": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}
_ARITHMETIC = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "%": "modulo"}
_JOINED = {"&&": " and ", "||": " or "}


def explained(node: Node, vocabulary: Vocabulary) -> str:
    """The condition in words.

    Parameters
    ----------
    node : Node
        As `fraud.rules.check` resolved it.
    """
    return _Words(vocabulary).condition(node)


class _Words:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._variables = vocabulary.variables

    def condition(self, node: Node) -> str:
        match node:
            case Chain(sign=sign, terms=terms):
                return _JOINED[sign].join(
                    f"({self.condition(term)})" if isinstance(term, Chain) else self.condition(term)
                    for term in terms
                )
            case Unary(operand=Binary(sign="in") as relation):
                return self._membership(relation, "is not")
            case Unary(operand=operand):
                return f"it is not so that ({self.condition(operand)})"
            case Binary(sign="in"):
                return self._membership(node, "is")
            case Binary(sign=sign, left=left, right=right):
                return f"{self.value(left)} {_RELATIONS[sign]} {self.value(right)}"
            case Call(arguments=(text, start)):
                return f"{self.value(text)} starts with {self.value(start)}"
            case Literal(value=value):
                return "always" if value else "never"
            case Name(name=name):
                return self._variables[name].words
        raise TypeError(f"a condition is no {type(node).__name__}")

    def value(self, node: Node) -> str:
        match node:
            case Literal(value=bool(value)):
                return "true" if value else "false"
            case Literal(value=str(value)):
                return f'"{value}"'
            case Literal(value=value):
                # Neither an exponent nor a thousand decimals: what was written, as people write it.
                return f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
            case Name(name=name):
                variable = self._variables[name]
                return f"whether {variable.words}" if variable.kind is Kind.TRUTH else variable.words
            case Unary(sign="-", operand=operand):
                return f"minus {self.value(operand)}"
            case Binary(sign=sign, left=left, right=right) if sign in _ARITHMETIC:
                return f"{self._operand(left)} {_ARITHMETIC[sign]} {self._operand(right)}"
            case Call(function="double", arguments=(whole,)):
                return self.value(whole)
            case Items(items=items):
                *first, last = map(self.value, items)
                return f"{', '.join(first)} or {last}" if first else last
        return f"whether ({self.condition(node)})"

    def _operand(self, node: Node) -> str:
        within = node.arguments[0] if isinstance(node, Call) else node
        return f"({self.value(node)})" if isinstance(within, Binary) else self.value(node)

    def _membership(self, node: Binary, verb: str) -> str:
        if isinstance(node.right, Items):
            one_of = "one of " if len(node.right.items) > 1 else ""
            return f"{self.value(node.left)} {verb} {one_of}{self.value(node.right)}"
        return f"the payment {verb} on the list {self.value(node.left)}"

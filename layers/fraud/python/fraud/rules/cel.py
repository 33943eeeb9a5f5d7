"""A checked tree as text in the Common Expression Language, with no more parentheses than it needs."""

import json

from fraud.rules.tree import Binary, Call, Chain, Items, Literal, Name, Node, Unary

__all__ = ["write"]

_LEVELS = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
_PREFIX, _PRIMARY = 6, 7


def write(node: Node, level: int = 1) -> str:
    """Write a tree such that it reads back as it is where operators of `level` and above may stand.

    A division by what may be zero is written as an error in that case: of doubles it would be infinite, and a
    rule that compares it would match.
    """
    match node:
        case Literal(value=value):
            # JSON's escapes are CEL's, but for the halves of a character beyond 16 bits.
            return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)
        case Name(name=name):
            return name
        case Items(items=items):
            return f"[{', '.join(map(write, items))}]"
        case Unary(sign=sign, operand=operand):
            return _enclosed(f"{sign}{write(operand, _PRIMARY)}", _PREFIX, level)
        case Chain(sign=sign, terms=terms):
            own = _LEVELS[sign]
            return _enclosed(f" {sign} ".join(write(term, own + 1) for term in terms), own, level)
        case Binary(sign="/", left=left, right=right) if not (isinstance(right, Literal) and right.value):
            quotient = f"{write(left, _LEVELS['/'])} / {write(right, _PREFIX)}"
            return f"({write(right, _LEVELS['+'])} == 0.0 ? double(1 / 0) : {quotient})"
        case Binary(sign=sign, left=left, right=right):
            own = _LEVELS[sign]
            # Comparisons do not chain, the others group from the left.
            text = f"{write(left, own + (own == _LEVELS['==']))} {sign} {write(right, own + 1)}"
            return _enclosed(text, own, level)
        case Call(function=function, arguments=arguments) if function.startswith("."):
            first, *rest = arguments
            return f"{write(first, _PRIMARY)}{function}({', '.join(map(write, rest))})"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(write, arguments))})"
    raise TypeError(f"a tree has no {type(node).__name__}")


def _enclosed(text: str, own: int, level: int) -> str:
    return f"({text})" if own < level else text

"""The grammar: a subset of the Common Expression Language, read by Lark without recursion.

What CEL has beyond this (macros, comprehensions, regular expressions, conditionals, maps, indexing) is no part of
the grammar, so what gets through costs at most one pass over its nodes.

Source of the precedences and of the form of literals: the CEL language definition, section "Syntax".
"""

import functools
import re
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from fraud.rules.documents import LONGEST_EXPRESSION, RuleError
from fraud.rules.tree import MOST_NODES, Binary, Call, Chain, Items, Literal, Name, Node, Place, Unary, count

__all__ = ["LARGEST_NUMBER", "LONGEST_TEXT", "parse"]

LONGEST_TEXT = 256
"""Characters of a text literal."""

LARGEST_NUMBER = 10**15
"""No number that a rule names is larger: a double holds every whole number up to here."""

_GRAMMAR = r"""
?start: either
?either: both ("||" both)*
?both: relation ("&&" relation)*
?relation: sum (RELATION sum)?
?sum: product | sum PLUS_MINUS product -> arithmetic
?product: unary | product TIMES unary -> arithmetic
?unary: primary | NOT unary -> prefixed | PLUS_MINUS unary -> prefixed
?primary: NAME -> name
    | TRUE -> truth
    | FALSE -> truth
    | WHOLE -> whole
    | DECIMAL -> decimal
    | TEXT -> text
    | "(" either ")"
    | OPEN [either ("," either)*] "]" -> items
    | NAME "(" [either ("," either)*] ")" -> call
    | primary "." NAME "(" [either ("," either)*] ")" -> method

RELATION: "==" | "!=" | "<=" | ">=" | "<" | ">" | /in(?![A-Za-z0-9_])/
PLUS_MINUS: "+" | "-"
TIMES: "*" | "/" | "%"
NOT: "!"
OPEN: "["
TRUE.2: /true(?![A-Za-z0-9_])/
FALSE.2: /false(?![A-Za-z0-9_])/
NAME: /(?!in(?![A-Za-z0-9_]))[A-Za-z_][A-Za-z0-9_]*/
DECIMAL.2: /[0-9]+\.[0-9]+(?![A-Za-z0-9_.])/
WHOLE: /[0-9]+(?![A-Za-z0-9_.])/
TEXT: /"(?:[^"\\\x00-\x1f\x7f\ud800-\udfff]|\\["'\\])*"/ | /'(?:[^'\\\x00-\x1f\x7f\ud800-\udfff]|\\["'\\])*'/
%ignore /[ \t\r\n]+/
"""

_HINTS = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "=": "==",
    "&": "&&",
    "|": "||",
    "<>": "!=",
    "is": "==",
}


def parse(source: str) -> Node:
    """Read an expression.

    Raises
    ------
    RuleError
        If it is no expression of the language, or too long, too large or too deeply nested.
    """
    if len(source) > LONGEST_EXPRESSION:
        raise RuleError(f"the expression is longer than {LONGEST_EXPRESSION} characters; split the rule")
    try:
        tree: Any = _parser().parse(source)
    except UnexpectedInput as error:
        raise _complaint(error, source) from None
    # With its transformer inside, the parser answers with what the last call of it built.
    node: Node = tree
    if count(node) > MOST_NODES:
        raise RuleError(f"the expression has more than {MOST_NODES} parts; split the rule into several")
    return node


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", transformer=_Builder(), maybe_placeholders=False)


class _Builder(Transformer[Token, Node]):
    """Builds the nodes while the parser reads: bottom up, so that no depth of nesting exhausts the stack."""

    def either(self, terms: list[Node]) -> Node:
        return Chain("||", tuple(terms), at=terms[0].at)

    def both(self, terms: list[Node]) -> Node:
        return Chain("&&", tuple(terms), at=terms[0].at)

    def relation(self, parts: list[Any]) -> Node:
        left, sign, right = parts
        return Binary(str(sign), left, right, at=left.at)

    arithmetic = relation

    def prefixed(self, parts: list[Any]) -> Node:
        sign, operand = parts
        if sign == "+":
            raise _at(sign, "a number needs no + before it; leave it out")
        return Unary(str(sign), operand, at=_place(sign))

    def name(self, parts: list[Token]) -> Node:
        return Name(str(parts[0]), at=_place(parts[0]))

    def truth(self, parts: list[Token]) -> Node:
        return Literal(parts[0] == "true", at=_place(parts[0]))

    def whole(self, parts: list[Token]) -> Node:
        return self._number(parts[0], int)

    def decimal(self, parts: list[Token]) -> Node:
        return self._number(parts[0], float)

    def text(self, parts: list[Token]) -> Node:
        value = re.sub(r"\\(.)", r"\1", parts[0][1:-1])
        if len(value) > LONGEST_TEXT:
            raise _at(parts[0], f"a text is longer than {LONGEST_TEXT} characters; shorten it, or keep a list")
        return Literal(value, at=_place(parts[0]))

    def items(self, parts: list[Any]) -> Node:
        return Items(tuple(parts[1:]), at=_place(parts[0]))

    def call(self, parts: list[Any]) -> Node:
        return Call(str(parts[0]), tuple(parts[1:]), at=_place(parts[0]))

    def method(self, parts: list[Any]) -> Node:
        called_on, function, *arguments = parts
        return Call(f".{function}", (called_on, *arguments), at=_place(function))

    @staticmethod
    def _number(token: Token, kind: type[int] | type[float]) -> Node:
        # Judged by its length first: reading thousands of digits takes a time that grows with their square.
        if len(token.lstrip("0").partition(".")[0]) > len(str(LARGEST_NUMBER)) or kind(token) > LARGEST_NUMBER:
            raise _at(token, "the number is larger than any amount; use one of up to 10^15")
        return Literal(kind(token), at=_place(token))


def _place(token: Token) -> Place:
    return Place(token.line or 1, token.column or 1)


def _at(token: Token, message: str) -> RuleError:
    return RuleError(message, line=token.line, column=token.column)


def _complaint(error: UnexpectedInput, source: str) -> RuleError:
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        lines = source.split("\n")
        message = "the expression ends too early; complete the comparison, or close the bracket"
        return RuleError(message, line=len(lines), column=len(lines[-1]) + 1)
    found = source[error.pos_in_stream :]
    word = re.match(r"[A-Za-z_]+|<>|.?", found)
    hint = _HINTS.get(word[0].lower(), "") if word else ""
    message = "the expression cannot go on like this"
    if isinstance(error, UnexpectedToken) and error.token.type == "RELATION" and not hint:
        message = "one comparison cannot follow another; join two of them with &&"
    if isinstance(error, UnexpectedCharacters) and not hint:
        message = "this character or number is not part of the language here"
        if found[:1] in ('"', "'"):
            message = r"the text does not end, or holds more than printable characters, \\ and \""
        elif found[:1] == "?":
            message = "there is no ? : in the language; write two rules"
    return RuleError(message, line=error.line, column=error.column, suggestion=hint)

"""What is checked when rules are saved: names, types, sizes; and what a rule then is in CEL and in words."""

from collections.abc import Iterable, Sequence

from fraud.features import FeatureSet
from fraud.rules.cel import write
from fraud.rules.documents import MOST_RULES, Rule, RuleError, StoredRule
from fraud.rules.grammar import parse
from fraud.rules.tree import Binary, Call, Chain, Items, Literal, Name, Node, Unary, names, walk
from fraud.rules.vocabulary import Kind, UnknownVelocityError, Variable, Vocabulary, nearest
from fraud.rules.words import explained

__all__ = ["MOST_ITEMS", "check_expression", "check_rules"]

MOST_ITEMS = 200
"""How many constants a list literal may have; what is longer is a list of the merchant's."""

_NUMBERS = (Kind.WHOLE, Kind.NUMBER)
# What identifies someone: known as tokens only, which differ from one platform to the next.
_TOKENS = ("card", "customer", "device", "ip", "email", "phone", "merchant", "merchant_id")


def check_rules(
    rules: Sequence[Rule], features: FeatureSet, list_names: Iterable[str] = ()
) -> tuple[StoredRule, ...]:
    """Check a merchant's rules, and make of them what is stored.

    Parameters
    ----------
    list_names : iterable of str
        The lists that conditions may ask for.

    Returns
    -------
    tuple of StoredRule
        In the order given.

    Raises
    ------
    RuleError
        For the first that cannot be kept, its place in the document in `field`.
    """
    if len(rules) > MOST_RULES:
        raise RuleError(f"there are more than {MOST_RULES} rules; join or remove some", field="rules")
    vocabularies = {
        "before": Vocabulary(features, list_names),
        "after": Vocabulary(features, list_names, stage="after"),
    }
    seen: set[str] = set()
    stored = []
    for index, rule in enumerate(rules):
        if rule.id in seen:
            raise RuleError("another rule has this id; give each its own", field=f"rules[{index}].id")
        seen.add(rule.id)
        vocabulary = vocabularies[rule.stage]
        try:
            checked = check_expression(rule.when, vocabulary)
        except RuleError as error:
            raise error.inside(f"rules[{index}].when") from None
        stored.append(
            StoredRule(
                **{name: getattr(rule, name) for name in Rule.__struct_fields__},
                cel=write(checked),
                needs=names(checked),
                words=explained(checked, vocabulary),
            )
        )
    return tuple(stored)


def check_expression(source: str, vocabulary: Vocabulary) -> Node:
    """Read a condition and check it.

    Returns
    -------
    Node
        The tree with velocities resolved to features, and numbers of one kind in every operation.

    Raises
    ------
    RuleError
        If it is not a condition over the vocabulary; without a `field`.
    """
    node = parse(source)
    kind, checked = _Checker(vocabulary).resolve(node)
    if kind is not Kind.TRUTH:
        raise _error(node, f"a condition is true or false, and this is {kind.value}; compare it, such as with > 0")
    return checked


class _Checker:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._known = vocabulary

    def resolve(self, node: Node) -> tuple[Kind, Node]:
        """The kind of a tree, and the tree as it is stored."""
        match node:
            case Literal(value=value):
                return _KINDS[type(value)], node
            case Name(name=name):
                return self._variable(node, name).kind, node
            case Chain(sign=sign, terms=terms):
                joined = tuple(self._truth(term, sign) for term in terms)
                return Kind.TRUTH, Chain(sign, joined, at=node.at)
            case Unary(sign="!", operand=operand):
                return Kind.TRUTH, Unary("!", self._truth(operand, "!"), at=node.at)
            case Unary(operand=operand):
                kind, checked = self._number(operand, "-")
                return kind, Unary("-", checked, at=node.at)
            case Binary(sign="in"):
                return Kind.TRUTH, self._membership(node)
            case Binary(sign="==" | "!="):
                return Kind.TRUTH, self._equality(node)
            case Binary(sign="<" | "<=" | ">" | ">="):
                (_, left), (_, right) = _alike(
                    self._number(node.left, node.sign), self._number(node.right, node.sign)
                )
                return Kind.TRUTH, Binary(node.sign, left, right, at=node.at)
            case Binary():
                return self._arithmetic(node)
            case Call():
                return self._call(node)
            case Items():
                raise _error(node, "a list stands to the right of `in` only")
        raise TypeError(f"a tree has no {type(node).__name__}")

    def _variable(self, node: Node, name: str) -> Variable:
        found = self._known.variables.get(name)
        if found is not None:
            return found
        if name == "decision":
            raise _error(node, 'only a rule of the stage "after" can ask for the decision')
        if name in _TOKENS:
            raise _error(
                node,
                "it is a token, which says nothing by itself; ask for a list that holds it, or for a velocity",
            )
        if name in self._known.functions:
            raise _error(node, f'a velocity needs what it is of and a window, such as {name}(card, "1h")')
        raise _error(
            node,
            "there is no such field or feature",
            nearest(name, (*self._known.variables, *self._known.functions)),
        )

    def _truth(self, node: Node, sign: str) -> Node:
        kind, checked = self.resolve(node)
        if kind is not Kind.TRUTH:
            remedy = "compare it, with == 1 if it is 0 or 1" if kind in _NUMBERS else "compare it with something"
            raise _error(node, f"{sign} takes what is true or false, and this is {kind.value}; {remedy}")
        return checked

    def _number(self, node: Node, sign: str) -> tuple[Kind, Node]:
        kind, checked = self.resolve(node)
        if kind not in _NUMBERS:
            raise _error(node, f"{sign} takes numbers, and this is {kind.value}; use == or in for texts")
        return kind, checked

    def _arithmetic(self, node: Binary) -> tuple[Kind, Node]:
        left, right = self._number(node.left, node.sign), self._number(node.right, node.sign)
        if node.sign in ("/", "%") and isinstance(right[1], Literal) and not right[1].value:
            raise _error(node.right, "nothing can be divided by zero")
        if node.sign == "/" and any(isinstance(each, Binary) and each.sign == "/" for each in walk(node.right)):
            # A divisor is written twice, see `fraud.rules.cel`: one within another would double with every level.
            raise _error(node.right, "what is divided by holds a division itself; multiply instead")
        if node.sign == "%":
            if Kind.NUMBER in (left[0], right[0]):
                raise _error(node, "% takes whole numbers: the amount and constants without decimals")
        elif node.sign == "/":
            left, right = _as_number(left), _as_number(right)
        else:
            left, right = _alike(left, right)
        return left[0], Binary(node.sign, left[1], right[1], at=node.at)

    def _equality(self, node: Binary) -> Node:
        left, right = self.resolve(node.left), self.resolve(node.right)
        if left[0] in _NUMBERS and right[0] in _NUMBERS:
            left, right = _alike(left, right)
        elif left[0] is not right[0]:
            raise _error(node.right, f"{left[0].value} is never {right[0].value}; compare like with like")
        elif left[0] is Kind.LISTS:
            raise _error(node, 'ask for a list with `in`, such as "vip" in lists')
        self._possible(node.left, node.right)
        self._possible(node.right, node.left)
        return Binary(node.sign, left[1], right[1], at=node.at)

    def _membership(self, node: Binary) -> Node:
        if isinstance(node.right, Items):
            return self._among(node, node.right)
        kind, right = self.resolve(node.right)
        if kind is not Kind.LISTS:
            raise _error(node.right, "to the right of `in` stands a list, such as [1, 2], or lists")
        if not (isinstance(node.left, Literal) and isinstance(node.left.value, str)):
            raise _error(node.left, 'ask for a list by its name, such as "vip" in lists')
        name = node.left.value
        if name not in self._known.list_names:
            near = nearest(name, self._known.list_names)
            raise _error(node.left, "there is no such list", f'"{near}"' if near else "")
        return Binary("in", node.left, right, at=node.at)

    def _among(self, node: Binary, items: Items) -> Node:
        if not 1 <= len(items.items) <= MOST_ITEMS:
            raise _error(items, f"a list has 1 to {MOST_ITEMS} items; keep more than that in a list of yours")
        left = self.resolve(node.left)
        found: list[tuple[Kind, Node]] = []
        for item in items.items:
            if not isinstance(item.operand if isinstance(item, Unary) else item, Literal):
                raise _error(item, "a list holds constants only; join comparisons with || instead")
            kind, checked = self.resolve(item)
            fits = kind in _NUMBERS if left[0] in _NUMBERS else kind is left[0]
            if not fits:
                raise _error(item, f"{left[0].value} is never {kind.value}; compare like with like")
            self._possible(node.left, item)
            found.append((kind, checked))
        if Kind.NUMBER in (left[0], *(kind for kind, _ in found)):
            left, found = _as_number(left), [_as_number(each) for each in found]
        return Binary("in", left[1], Items(tuple(each for _, each in found), at=items.at), at=node.at)

    def _possible(self, named: Node, constant: Node) -> None:
        """Refuse to compare a field with a text that no payment has there."""
        if not (isinstance(named, Name) and isinstance(constant, Literal) and isinstance(constant.value, str)):
            return
        variable = self._known.variables[named.name]
        if not variable.can_be(constant.value):
            near = nearest(constant.value, variable.allowed)
            few = f"one of {', '.join(variable.allowed)}" if len(variable.allowed) < 10 else "an ISO 4217 code"
            form = few if variable.allowed else f'written like "{variable.example}"'
            raise _error(constant, f"{variable.name} is never that; it is {form}", f'"{near}"' if near else "")

    def _call(self, node: Call) -> tuple[Kind, Node]:
        if node.function == ".startsWith":
            return Kind.TRUTH, self._starts_with(node)
        if node.function not in self._known.functions:
            known = (".startsWith", *self._known.functions)
            near = nearest(node.function, known).removeprefix(".")
            raise _error(node, f"there is no such function; there are {', '.join(known)}", near)
        return Kind.NUMBER, Name(self._velocity(node), at=node.at)

    def _starts_with(self, node: Call) -> Node:
        texts = [self.resolve(each) for each in node.arguments]
        if [kind for kind, _ in texts] != [Kind.TEXT, Kind.TEXT] or not isinstance(texts[1][1], Literal):
            raise _error(node, 'startsWith is asked of a text with a text, such as bin.startsWith("4111")')
        return Call(node.function, tuple(each for _, each in texts), at=node.at)

    def _velocity(self, node: Call) -> str:
        function, distinct = node.function, node.function == "distinct"
        *who, window = node.arguments or (node,)
        if len(who) != 1 + distinct or not all(isinstance(each, Name) for each in who):
            raise _error(node, f'write {function}({"card, device" if distinct else "card"}, "24h")')
        if not (isinstance(window, Literal) and isinstance(window.value, str)):
            raise _error(window, 'a window is a text such as "10m", "24h" or "7d"')
        entity, field = ([each.name for each in who if isinstance(each, Name)] + [""])[:2]
        try:
            return self._known.velocity(function, entity, field, window.value)
        except UnknownVelocityError as error:
            raise _error(node, str(error), error.suggestion) from None


_KINDS = {bool: Kind.TRUTH, int: Kind.WHOLE, float: Kind.NUMBER, str: Kind.TEXT}


def _alike(left: tuple[Kind, Node], right: tuple[Kind, Node]) -> tuple[tuple[Kind, Node], tuple[Kind, Node]]:
    """Two numbers as numbers of one kind: CEL has no operation between a whole one and another."""
    if left[0] is right[0]:
        return left, right
    return _as_number(left), _as_number(right)


def _as_number(number: tuple[Kind, Node]) -> tuple[Kind, Node]:
    kind, node = number
    if kind is Kind.NUMBER:
        return number
    return Kind.NUMBER, _doubled(node)


def _doubled(node: Node) -> Node:
    match node:
        case Literal(value=value):
            return Literal(float(value), at=node.at)
        case Unary(sign=sign, operand=operand):
            return Unary(sign, _doubled(operand), at=node.at)
    return Call("double", (node,), at=node.at)


def _error(node: Node, message: str, suggestion: str = "") -> RuleError:
    return RuleError(message, line=node.at.line, column=node.at.column, suggestion=suggestion)

"""Random conditions beside what they mean, by Kleene's logic of what is true, false and unknown."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

__all__ = ["LISTS", "UNKNOWN", "Condition", "conditions", "known_values"]

UNKNOWN = object()
"""What cannot be told: something was not sent, or cannot be computed."""

LISTS = ("vip", "banned")
_FEATURES = ("card_count_1h", "card_amount_mean_30d", "score")
_TEXTS = ("issuer_country", "billing_country")
_COUNTRIES = ("FR", "US", "DE")
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Condition:
    """An expression and the function that it is, of the values by name."""

    text: str
    of: Callable[[Mapping[str, Any]], Any]


def _named(name: str) -> Condition:
    return Condition(name, lambda values: values.get(name, UNKNOWN))


def _strict(text: str, parts: Sequence[Condition], of: Callable[..., Any]) -> Condition:
    """An operation that is unknown as soon as one of its parts is."""

    def evaluate(values: Mapping[str, Any]) -> Any:
        given = [part.of(values) for part in parts]
        return UNKNOWN if any(each is UNKNOWN for each in given) else of(*given)

    return Condition(text, evaluate)


def _chain(sign: str, terms: Sequence[Condition]) -> Condition:
    decisive = sign == "||"

    def evaluate(values: Mapping[str, Any]) -> Any:
        given = [term.of(values) for term in terms]
        if any(each is decisive for each in given):
            return decisive
        return UNKNOWN if any(each is UNKNOWN for each in given) else not decisive

    return Condition(f" {sign} ".join(f"({term.text})" for term in terms), evaluate)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    return (left, right) if type(left) is type(right) else (float(left), float(right))


def _computed(sign: str) -> Callable[[Any, Any], Any]:
    def of(left: Any, right: Any) -> Any:
        if sign == "/":
            return float(left) / float(right) if right else UNKNOWN
        if sign == "%":
            # CEL's remainder has the sign of the dividend.
            return int(math.copysign(1, left)) * (abs(left) % abs(right)) if right else UNKNOWN
        left, right = _alike(left, right)
        made = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](left, right)
        return UNKNOWN if isinstance(made, int) and not -(2**63) <= made < 2**63 else made

    return of


def _relation(left: Condition, sign: str, right: Condition) -> Condition:
    return _strict(
        f"({left.text}) {sign} ({right.text})",
        (left, right),
        lambda a, b: _RELATIONS[sign](*_alike(a, b)),
    )


def _numbers() -> st.SearchStrategy[Condition]:
    wholes = st.integers(0, 10**15).map(lambda n: Condition(str(n), lambda _: n))
    small = st.integers(1, 9).map(lambda n: Condition(str(n), lambda _: n))
    decimals = st.integers(0, 10**6).map(lambda n: Condition(f"{n / 8:.3f}", lambda _: n / 8))
    atoms = st.one_of(st.sampled_from([_named("amount"), *map(_named, _FEATURES)]), small, wholes, decimals)
    remainders = st.builds(
        lambda right: _strict(f"amount % {right.text}", (_named("amount"), right), _computed("%")),
        st.one_of(small, st.just(_named("amount"))),
    )
    quotients = st.builds(
        lambda left, right: _strict(f"{left.text} / {right.text}", (left, right), _computed("/")),
        atoms,
        st.one_of(small, st.sampled_from([*map(_named, _FEATURES)])),
    )

    def larger(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        return st.one_of(
            st.builds(
                lambda left, sign, right: _strict(
                    f"({left.text}) {sign} ({right.text})", (left, right), _computed(sign)
                ),
                inner,
                st.sampled_from("+-*"),
                inner,
            ),
            inner.map(lambda each: _strict(f"-({each.text})", (each,), operator.neg)),
        )

    return st.recursive(st.one_of(atoms, remainders, quotients), larger, max_leaves=4)


def _texts() -> st.SearchStrategy[Condition]:
    literals = st.sampled_from(_COUNTRIES).map(lambda text: Condition(f'"{text}"', lambda _: text))
    return st.one_of(st.sampled_from([*map(_named, _TEXTS)]), literals)


def _relations() -> st.SearchStrategy[Condition]:
    numbers = st.builds(_relation, _numbers(), st.sampled_from(sorted(_RELATIONS)), _numbers())
    texts = st.builds(_relation, _texts(), st.sampled_from(["==", "!="]), _texts())
    among = st.builds(
        lambda name, items: _strict(
            f"{name} in [{', '.join(map(str, items))}]", (_named(name),), lambda value: value in items
        ),
        st.sampled_from(["amount", "score"]),
        st.lists(st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0])), min_size=1, max_size=4),
    )
    countries = st.builds(
        lambda name, items: _strict(
            f"{name} in [{', '.join(f"'{each}'" for each in items)}]",
            (_named(name),),
            lambda value: value in items,
        ),
        st.sampled_from(_TEXTS),
        st.lists(st.sampled_from(_COUNTRIES), min_size=1, max_size=4),
    )
    listed = st.sampled_from(LISTS).map(
        lambda name: _strict(f'"{name}" in lists', (_named("lists"),), lambda names: name in names)
    )
    starts = st.sampled_from(["F", "", "US", "USA"]).map(
        lambda start: _strict(
            f'issuer_country.startsWith("{start}")',
            (_named("issuer_country"),),
            lambda text: text.startswith(start),
        )
    )
    plain = st.sampled_from([Condition("true", lambda _: True), Condition("false", lambda _: False)])
    return st.one_of(numbers, texts, among, countries, listed, starts, plain, st.just(_named("degraded")))


def conditions() -> st.SearchStrategy[Condition]:
    """Well-typed conditions of every operator over a handful of names."""

    def larger(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        return st.one_of(
            st.builds(_chain, st.sampled_from(["&&", "||"]), st.lists(inner, min_size=2, max_size=4)),
            inner.map(lambda each: _strict(f"!({each.text})", (each,), operator.not_)),
            st.builds(
                lambda left, right: _strict(f"({left.text}) == ({right.text})", (left, right), operator.eq),
                inner,
                inner,
            ),
        )

    return st.recursive(_relations(), larger, max_leaves=8)


def known_values() -> st.SearchStrategy[dict[str, Any]]:
    """Values of some of the names; those left out are not known."""
    numbers = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(-1e9, 1e9))
    return st.fixed_dictionaries(
        {},
        optional={
            "amount": st.one_of(st.integers(0, 3), st.integers(0, 10**14)),
            **dict.fromkeys(_FEATURES, numbers),
            **dict.fromkeys(_TEXTS, st.sampled_from(_COUNTRIES)),
            "lists": st.lists(st.sampled_from(LISTS), unique=True),
            "degraded": st.booleans(),
        },
    )

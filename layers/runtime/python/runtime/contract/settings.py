"""What merchants send of rules and policies, to keep them or only to try them: checked in one way."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from fraud.features import FeatureSet
from fraud.lists import ListDefinition
from fraud.passing import PassThrough
from fraud.policy import Costs, Policy, Share, Thresholds
from fraud.rules import Rule, RuleError, Rules, StoredRule
from fraud.rules.check import check_rules
from fraud.rules.grammar import parse as tree_of
from fraud.rules.tree import Binary, Literal, Name, walk
from runtime.http import Problem

__all__ = ["PolicyRequest", "checked", "lists_named"]


class PolicyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to do at which score: exactly one of `thresholds` and `costs`."""

    thresholds: Thresholds | None = None
    costs: Costs | None = None
    unscored_limit: Annotated[
        int, Meta(ge=0, le=10**12, description="Without a score, approve up to this many minor units.")
    ] = 5_000
    most_declined: Annotated[Share, Meta(description="The largest share of payments to decline.")] | None = None
    most_reviewed: Annotated[Share, Meta(description="The largest share of payments to review.")] | None = None
    pass_through: (
        Annotated[
            PassThrough,
            Meta(
                description="Let a few of the payments that your policy declines through at random, to learn from "
                "them; off by default. You bear what they cost."
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        self.policy("")

    def policy(self, version: str) -> Policy:
        """The policy that this asks for."""
        return Policy(version=version, **{name: getattr(self, name) for name in self.__struct_fields__})


def checked(
    rules: Rules, features: FeatureSet, lists: Iterable[ListDefinition], *, place: str = ""
) -> tuple[StoredRule, ...]:
    """Rules as they are stored.

    Parameters
    ----------
    lists : iterable of ListDefinition
        The merchant's, which conditions may ask for.
    place : str
        Where the rules stand in what was sent, such as ``rules.``; empty where they are the whole of it.

    Raises
    ------
    Problem
        400, for the first that cannot be kept.
    """
    enabled = {each.name: each.enabled for each in lists}
    try:
        stored = check_rules(rules.rules, features, enabled)
    except RuleError as error:
        raise _invalid(error, place) from None
    for index, rule in enumerate(rules.rules):
        if any(not enabled[name] for name in lists_named(rule)):
            detail = "A list that it asks for is disabled. Enable the list first, or disable the rule."
            raise Problem(400, "invalid-rule", "Invalid rule", detail, f"{place}rules[{index}].when")
    return stored


def lists_named(rule: Rule) -> Iterator[str]:
    """The lists that a rule asks for; none if it is disabled."""
    if rule.enabled and "lists" in rule.when:
        for node in walk(tree_of(rule.when)):
            match node:
                case Binary(sign="in", left=Literal(value=str(name)), right=Name(name="lists")):
                    yield name


def _invalid(error: RuleError, place: str) -> Problem:
    sentence = f"{error.message[:1].upper()}{error.message[1:]}"
    where = f" (line {error.line}, column {error.column})" if error.line is not None else ""
    hint = f" Did you mean {error.suggestion}?" if error.suggestion else ""
    field = f"{place}{error.field}" if error.field else None
    return Problem(400, "invalid-rule", "Invalid rule", f"{sentence}{where}.{hint}", field)

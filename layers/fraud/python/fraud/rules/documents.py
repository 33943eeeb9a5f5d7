"""Rules as they are sent and as they are stored, and the error that refuses them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fraud.policy import Action

__all__ = [
    "LONGEST_EXPRESSION",
    "MOST_RULES",
    "Mode",
    "Rule",
    "RuleError",
    "Rules",
    "Stage",
    "StoredRule",
    "StoredRules",
]

MOST_RULES = 100
"""So many rules may one merchant have, enabled or not."""

LONGEST_EXPRESSION = 2_000
"""In characters."""

Stage = Literal["before", "after"]
Mode = Literal["first_match", "all_matches"]


class RuleError(ValueError):
    """A rule cannot mean what it says.

    Attributes
    ----------
    field : str
        Where in the document, such as ``rules[2].when``; empty for an expression on its own.
    line, column : int or None
        Where in the expression, counted from 1.
    suggestion : str
        What may have been meant; empty where nothing comes near.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        line: int | None = None,
        column: int | None = None,
        suggestion: str = "",
    ) -> None:
        self.message, self.field = message, field
        self.line, self.column, self.suggestion = line, column, suggestion
        where = [field] if field else []
        if line is not None:
            where.append(f"line {line}, column {column}")
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"{', '.join(where)}: {message}{hint}" if where else f"{message}{hint}")

    def inside(self, field: str) -> "RuleError":
        """The same error, told of a place in a document."""
        return RuleError(self.message, field=field, line=self.line, column=self.column, suggestion=self.suggestion)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done when a condition holds.

    Attributes
    ----------
    when : str
        The condition, in the rule language.
    stage : str
        Whether it decides before the policy or may change what the lists, the rules before it and the policy gave.
    priority : int
        Rules are asked in the order of this number, the lowest first, and then of their ids.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
    when: Annotated[str, Meta(min_length=1, max_length=LONGEST_EXPRESSION)]
    action: Action
    stage: Stage = "before"
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    enabled: bool = True
    description: Annotated[str, Meta(max_length=500)] = ""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merchant's rules, as sent.

    Attributes
    ----------
    mode : str
        ``first_match``: in a stage the first rule that matches decides. ``all_matches``: every rule is asked, and
        the strictest of the actions is taken.
    """

    rules: Annotated[tuple[Rule, ...], Meta(max_length=MOST_RULES)]
    mode: Mode = "first_match"


class StoredRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule that was checked.

    Attributes
    ----------
    cel : str
        The condition in the Common Expression Language, velocities written as the features that they are.
    needs : tuple of str
        The variables that `cel` names, sorted.
    words : str
        The condition in English.
    """

    cel: str
    needs: tuple[str, ...]
    words: str = ""


class StoredRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merchant's rules that were checked: one version of them.

    Attributes
    ----------
    changed_at : int
        Milliseconds since the epoch, UTC.
    changed_by : str
        Who changed them, such as ``key:k1`` or ``operator:jane``.
    """

    version: int
    mode: Mode
    rules: tuple[StoredRule, ...]
    changed_at: int
    changed_by: str

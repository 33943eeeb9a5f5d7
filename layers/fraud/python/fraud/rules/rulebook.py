"""A merchant's rules, ready to be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from fraud.policy import Action
from fraud.rules.documents import Mode, StoredRule, StoredRules
from fraud.rules.engine import Program, engine

__all__ = ["Rulebook", "Verdict", "strictest"]

_STRICTNESS: dict[Action, int] = {"approve": 0, "challenge": 1, "review": 2, "decline": 3}


def strictest(actions: Sequence[Action]) -> Action | None:
    """The action that lets the least pass; None of none."""
    return max(actions, key=_STRICTNESS.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules of one stage say of a payment.

    Attributes
    ----------
    action : str or None
        What is to be done; None when no rule matched.
    matched : tuple of str
        The ids of the rules that matched and were asked, in their order.
    failed : tuple of str
        The ids of the rules that could not be evaluated though all that they need was known, for instance since
        they divide by zero. They do not match.
    """

    action: Action | None = None
    matched: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


_SILENT = Verdict()


class Rulebook:
    """Rules that were checked, compiled when they are first asked.

    A value that was not sent or is not known is left out of what the rules see: None, NaN or an empty text.
    A rule whose truth depends on it does not match, where `||` and `&&` do not decide without it.

    Parameters
    ----------
    version : str
        Which version of the merchant's rules this is; empty for no rules.

    Attributes
    ----------
    needs : tuple of str
        The names that the enabled rules look at, sorted. `decision` is not among them: `after` is told it.
    """

    def __init__(self, rules: Sequence[StoredRule] = (), *, mode: Mode = "first_match", version: str = "") -> None:
        self.version = version
        enabled = sorted((rule for rule in rules if rule.enabled), key=lambda rule: (rule.priority, rule.id))
        self.needs = tuple(sorted({name for rule in enabled for name in rule.needs} - {"decision"}))
        self._before = _Stage([rule for rule in enabled if rule.stage == "before"], mode)
        self._after = _Stage([rule for rule in enabled if rule.stage == "after"], mode)

    @classmethod
    def of(cls, stored: StoredRules) -> Self:
        """The rulebook of a stored version."""
        return cls(stored.rules, mode=stored.mode, version=str(stored.version))

    def before(self, values: Mapping[str, Any]) -> Verdict:
        """What the rules say that decide instead of the policy.

        Parameters
        ----------
        values : mapping
            By name: the payment's fields, the features, `score`, `lists`, `degraded`. What no rule needs is not
            looked at.
        """
        return self._before.ask(values)

    def after(self, values: Mapping[str, Any], action: Action) -> Verdict:
        """What the rules say that may change an action which lists, rules or policy gave."""
        return self._after.ask(values, decision=action)


class _Stage:
    def __init__(self, rules: Sequence[StoredRule], mode: Mode) -> None:
        self._rules, self._mode = rules, mode
        self._needs = tuple({name for rule in rules for name in rule.needs} - {"decision"})

    @cached_property
    def _compiled(self) -> list[tuple[StoredRule, Program | None]]:
        return [(rule, _program(rule)) for rule in self._rules]

    def ask(self, values: Mapping[str, Any], **more: str) -> Verdict:
        if not self._rules:
            return _SILENT
        known: dict[str, Any] = {
            name: value for name in self._needs if _is_known(value := values.get(name))
        } | more
        if "amount" in known:
            # The feature of this name is the same number, as a double.
            known["amount"] = int(known["amount"])
        context = engine().Context(known)
        matched: list[StoredRule] = []
        failed: list[str] = []
        for rule, program in self._compiled:
            holds = _holds(program, context)
            if holds is None:
                if program is None or all(name in known for name in rule.needs):
                    failed.append(rule.id)
            elif holds:
                matched.append(rule)
                if self._mode == "first_match":
                    break
        action = strictest([rule.action for rule in matched])
        return Verdict(action, tuple(rule.id for rule in matched), tuple(failed))


def _is_known(value: Any) -> bool:
    return value is not None and value != "" and value == value  # only NaN differs from itself


def _program(rule: StoredRule) -> Program | None:
    """The compiled rule; None if this engine does not take what an earlier one took, so that the others go on."""
    try:
        return engine().compile(rule.cel)
    except ValueError:
        return None


def _holds(program: Program | None, context: object) -> bool | None:
    """Whether a rule holds; None if the engine cannot tell."""
    if program is None:
        return None
    try:
        return program.execute(context) is True
    except (RuntimeError, ArithmeticError, TypeError, ValueError):
        return None

"""What other rules or another policy would have done over past decisions, in counts and in money.

The draft is asked through `fraud.judgement.judge`, as a payment that arrives is. What was known of a past payment
is what was recorded with its decision: the score, the features and the lists that it was on.
"""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from fraud.events import Transaction
from fraud.figures import ActionFigures, Change, CurrencyFigures, Report, RuleFigures, Total, wilson
from fraud.judgement import Judgement, judge, known_values
from fraud.lists import ListDefinition
from fraud.policy import Action, Allowance, Policy
from fraud.rules import Rulebook

__all__ = ["MOST_EXAMPLES", "Backtest", "Draft", "Past", "backtest"]

MOST_EXAMPLES = 5

type _Verdict = Literal["frauds", "genuine", "unknown"]


@dataclass(frozen=True, slots=True)
class Past:
    """A decision that was made.

    Attributes
    ----------
    lists : tuple of str
        Names of the lists that the payment was on.
    features : mapping of str to float
        As served, as far as the draft asks for them; what is absent was missing.
    is_fraud : bool or None
        What became known of it; None if nothing did.
    """

    transaction: Transaction
    decision: Action
    score: float | None
    lists: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    is_fraud: bool | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is tried.

    Attributes
    ----------
    rules : tuple of str
        Ids of the rulebook's rules, in the order in which they are told of.
    lists : tuple of ListDefinition
        The merchant's.
    """

    policy: Policy
    rulebook: Rulebook = field(default_factory=Rulebook)
    rules: tuple[str, ...] = ()
    lists: tuple[ListDefinition, ...] = ()

    def judged(self, past: Past, allowance: Allowance | None) -> Judgement:
        """What the draft would have done with one past decision."""
        return judge(
            past.transaction,
            known_values(
                past.transaction,
                tuple(past.features),
                tuple(past.features.values()),
                score=past.score,
                lists=past.lists,
                degraded=past.score is None,
            ),
            score=past.score,
            policy=self.policy,
            rulebook=self.rulebook,
            lists=self.lists,
            listed=past.lists,
            allowance=allowance,
        )


def backtest(decisions: Iterable[Past], draft: Draft) -> Report:
    """Ask a draft about past decisions, each given once.

    Parameters
    ----------
    decisions : iterable of Past
        In the order of their events, which only the policy's bounds on declines and reviews look at.
    """
    asked = Backtest(draft)
    for each in decisions:
        asked.add(each)
    return asked.report()


class Backtest:
    """The same, one decision after the other, for more of them than fit into memory."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._allowance = draft.policy.allowance()
        self._counts: Counter[str] = Counter()
        self._figures: dict[tuple[str, str, str], _Figures] = defaultdict(_Figures)
        self._changes: dict[tuple[Action, Action, str], _Figures] = defaultdict(_Figures)
        self._examples: dict[tuple[Action, Action, str], list[tuple[int, str]]] = defaultdict(list)
        self._matched: dict[tuple[str, str], _Figures] = defaultdict(_Figures)
        self._failed: Counter[str] = Counter()

    def add(self, past: Past) -> None:
        """Ask the draft about one more decision."""
        transaction = past.transaction
        judgement = self._draft.judged(past, self._allowance)
        verdict: _Verdict = "unknown" if past.is_fraud is None else "frauds" if past.is_fraud else "genuine"
        changed = judgement.action != past.decision
        self._counts.update(
            decisions=1,
            changed=changed,
            labelled=past.is_fraud is not None,
            degraded=past.score is None,
            degraded_changed=changed and past.score is None,
        )
        currency, amount = transaction.currency, transaction.amount
        self._figures[currency, "before", past.decision].add(verdict, amount)
        self._figures[currency, "after", judgement.action].add(verdict, amount)
        if changed:
            way = (past.decision, judgement.action, currency)
            self._changes[way].add(verdict, amount)
            insort(self._examples[way], (transaction.event_time, transaction.transaction_id))
            del self._examples[way][MOST_EXAMPLES:]
        for name in judgement.rules:
            self._matched[name, currency].add(verdict, amount)
        self._failed.update(judgement.failed)

    def report(self) -> Report:
        """What the draft would have done with all decisions so far."""
        counts = {name: int(self._counts[name]) for name in ("decisions", "changed", "labelled")}
        degraded = {name: int(self._counts[name]) for name in ("degraded", "degraded_changed")}
        return Report(
            **counts,
            **degraded,
            currencies={name: self._currency(name) for name in sorted({key[0] for key in self._figures})},
            changes=tuple(
                Change(
                    was=way[0],
                    becomes=way[1],
                    currency=way[2],
                    payments=figures.told(),
                    examples=tuple(name for _, name in self._examples[way]),
                )
                for way, figures in sorted(self._changes.items())
            ),
            rules=tuple(self._rule(name) for name in self._draft.rules),
        )

    def _currency(self, name: str) -> CurrencyFigures:
        def side(which: str) -> dict[Action, ActionFigures]:
            actions: tuple[Action, ...] = get_args(Action)
            return {
                action: self._figures[key].told()
                for action in actions
                if (key := (name, which, action)) in self._figures
            }

        return CurrencyFigures(before=side("before"), after=side("after"))

    def _rule(self, name: str) -> RuleFigures:
        matched = {
            currency: each.told() for (rule, currency), each in sorted(self._matched.items()) if rule == name
        }
        frauds = sum(each.frauds.count for each in matched.values())
        return RuleFigures(
            id=name,
            matched=matched,
            precision=wilson(frauds, frauds + sum(each.genuine.count for each in matched.values())),
            failed=self._failed[name],
        )


class _Figures:
    """Sums that grow."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[_Verdict, list[int]] = {}

    def add(self, verdict: _Verdict, amount: int) -> None:
        sums = self._sums.setdefault(verdict, [0, 0])
        sums[0] += 1
        sums[1] += amount

    def told(self) -> ActionFigures:
        totals: dict[str, Any] = {
            name: Total(count=count, amount=amount) for name, (count, amount) in self._sums.items()
        }
        whole = Total(
            count=sum(each.count for each in totals.values()), amount=sum(each.amount for each in totals.values())
        )
        return ActionFigures(all=whole, **totals)

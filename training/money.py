"""What scores are worth: the actions that a policy takes by them, and what those cost when the truth is known.

Costs are those of `fraud.policy.Costs`: what an action is expected to cost at a score, with the score 1 for a
fraud and 0 for a genuine payment. Amounts of several currencies are added up in minor units, as the policy takes
them.
"""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from fraud.policy import Action, Costs, Policy, Thresholds
from training.arrays import Labels, Scores

__all__ = ["ACTIONS", "BY_DEFAULT", "Ledger", "actions_of"]

ACTIONS: tuple[Action, ...] = get_args(Action)
"""The mildest first; an action's number is its place here."""

BY_DEFAULT = Policy(version="default costs", costs=Costs())
"""What counts where nothing says which policy serves."""

type Values = npt.NDArray[np.float64]
type Numbers = npt.NDArray[np.int64]


def actions_of(policy: Policy, amounts: Numbers, scores: Scores) -> Numbers:
    """The number of the action for each payment, in the order of the rows, which bounds on declines look at."""
    if policy.costs is not None:
        # Of two that cost the same, the milder first, as in serving.
        ranking = np.argsort(_expected(policy.costs, amounts, scores), axis=1, kind="stable")
    else:
        limits = policy.thresholds or Thresholds(challenge=1, review=1, decline=1)
        bounds = np.array([limits.challenge, limits.review, limits.decline])
        strictest = np.searchsorted(bounds, scores, side="right")
        ranking = np.maximum(strictest[:, None] - np.arange(len(ACTIONS)), 0)
    allowance = policy.allowance()
    if allowance is None:
        return ranking[:, 0].astype(np.int64)
    places = {action: place for place, action in enumerate(ACTIONS)}
    chosen = (allowance.first(tuple(ACTIONS[place] for place in row)) for row in ranking.tolist())
    return np.fromiter((places[action] for action in chosen), np.int64, len(ranking))


def _expected(costs: Costs, amounts: Numbers, scores: Scores | Labels) -> Values:
    # Written for one payment, and as good for a whole array of them.
    each: dict[Action, Any] = costs.expected(amounts, scores)  # type: ignore[arg-type]
    return np.column_stack([each[action] for action in ACTIONS])


@dataclass(frozen=True, slots=True)
class Ledger:
    """The payments of a set of rows under a policy, with their truth.

    Attributes
    ----------
    actions : array of int64, shape (rows,)
    costs : array of float64, shape (rows,)
        Minor units, of the action taken.
    approving : array of float64, shape (rows,)
        Minor units, of approving it.
    """

    labels: Labels
    amounts: Numbers
    actions: Numbers
    costs: Values
    approving: Values

    @classmethod
    def keep(cls, policy: Policy, labels: Labels, amounts: Numbers, scores: Scores) -> "Ledger":
        """Decide every payment by its score; a policy of thresholds is judged by the default costs."""
        actions = actions_of(policy, amounts, scores)
        true = _expected(policy.costs or Costs(), amounts, labels)
        return cls(labels, amounts, actions, true[np.arange(len(actions)), actions], true[:, 0])

    def of(self, rows: Numbers) -> "Ledger":
        """Some of the payments, decided as they were among all."""
        return Ledger(
            self.labels[rows], self.amounts[rows], self.actions[rows], self.costs[rows], self.approving[rows]
        )

    def saved_per_1000(self, weights: Values | None = None) -> float:
        """Minor units saved per 1,000 payments, against approving them all; negative if it costs more."""
        whole = np.ones(len(self.costs)) if weights is None else weights
        total = float(whole.sum())
        return 1_000 * float(np.dot(self.approving - self.costs, whole)) / total if total > 0 else float("nan")

    def figures(self, weights: Values | None = None) -> dict[str, float]:
        """Shares and money under the policy; nan where the rows cannot tell.

        ``frauds_stopped`` and ``fraud_value_stopped`` count what was not approved at once, and ``genuine_stopped``
        the genuine payments that shared their fate.
        """
        whole = np.ones(len(self.costs)) if weights is None else weights
        stopped, fraud = self.actions > 0, self.labels == 1
        shares = {f"{action}_share": _share(self.actions == place, whole) for place, action in enumerate(ACTIONS)}
        return {
            **shares,
            "frauds_stopped": _share(stopped, whole * fraud),
            "fraud_value_stopped": _share(stopped, whole * fraud * self.amounts),
            "genuine_stopped": _share(stopped, whole * ~fraud),
            "cost_per_1000": 1_000 * _mean(self.costs, whole),
            "cost_per_1000_approving_all": 1_000 * _mean(self.approving, whole),
            "saved_per_1000": self.saved_per_1000(whole),
        }


def _share(taken: npt.NDArray[np.bool_], weights: Values) -> float:
    return _mean(taken.astype(np.float64), weights)


def _mean(values: Values, weights: Values) -> float:
    total = float(weights.sum())
    return float(np.dot(values, weights)) / total if total > 0 else float("nan")

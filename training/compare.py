"""Compare a model in shadow with the champion, on the decisions that both scored and what became of them."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fraud.policy import Policy
from fraud.release import DataPolicy, ReleasePolicy
from training.arrays import Labels, Scores
from training.bootstrap import draws, interval, share_above
from training.comparison_report import render
from training.comparison_verdict import judge_shadow
from training.contract import Contract
from training.lake import read_labels, read_outcomes
from training.metrics import RankedScores
from training.money import ACTIONS, BY_DEFAULT, Ledger, actions_of
from training.outcomes import YOUNG, first_reports, labels_of, never_made, unsure, verdicts
from training.plan import read_plan
from training.shadow import Scored, read_scores

__all__ = ["Question", "compare"]

DOCUMENT = "comparison.json"
PAGE = "report.html"
_ROLES = ("challenger", "champion")
_BINS = 20

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to compare.

    Attributes
    ----------
    challenger, champion : str
        Versions.
    since, as_of : int
        The shadow began then, and nothing that became known after the second has any influence; in ms, UTC.
    maturity : int
        Milliseconds until the absence of a label is taken for a genuine payment.
    """

    challenger: str
    champion: str
    since: int
    as_of: int
    maturity: int


def compare(contract: Contract, asked: Question, *, resamples: int = 200, seed: int = 17) -> Path:
    """Run a comparison job: inputs `plan`, `decisions`, `labels`, `outcomes`; an absent one is an empty one.

    Returns
    -------
    Path
        comparison.json, with the verdict; beside it lies report.html, the same for people.

    Raises
    ------
    ProgramError
        An input cannot be used.
    """
    plan = read_plan(contract)
    policy = plan.payment_policy or BY_DEFAULT
    scored = read_scores(
        contract.processing_input("decisions"),
        challenger=asked.challenger,
        champion=asked.champion,
        since=asked.since,
        as_of=asked.as_of,
    )
    labels = _labels(contract, scored, asked, plan.policy.data)
    document: Document = {
        **{name: getattr(asked, name) for name in ("challenger", "champion", "since", "as_of", "maturity")},
        "seen": scored.seen,
        "decisions": len(scored.names),
        "matured": int((labels != YOUNG).sum()),
        "frauds": int((labels == 1).sum()),
        "policy": policy.version,
        "models": _models(scored, policy),
        "agreement": _agreement(scored, policy),
        "on_labels": _on_labels(scored, labels, policy, plan.policy.release, resamples, seed),
    }
    verdict = judge_shadow(document, plan.policy.release)
    document["verdict"] = {**msgspec.to_builtins(verdict), "policy": msgspec.to_builtins(plan.policy.release)}
    target = contract.processing_output("comparison")
    target.mkdir(parents=True, exist_ok=True)
    path = target / DOCUMENT
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    (target / PAGE).write_text(render(document))
    sys.stdout.write(verdict.reason + "\n")
    return path


def _labels(contract: Contract, scored: Scored, asked: Question, policy: DataPolicy) -> Labels:
    """What is known of each decision: fraud, genuine, or nothing that can be used yet.

    A payment that was declined and never went on could not become a fraud: without a label it tells nothing. Nor
    does one of which only unsure labels told.
    """
    told = read_labels(contract.processing_input("labels"), since=asked.since)
    known = verdicts(told, asked.as_of, policy.minimum_confidence)
    labels, labelled = labels_of(
        known,
        scored.names,
        scored.times,
        as_of=asked.as_of,
        maturity=asked.maturity,
        keep_young_labelled=False,
    )
    outcomes = read_outcomes(contract.processing_input("outcomes"), since=asked.since)
    blocked = never_made(scored.names, scored.decisions == "decline", first_reports(outcomes, asked.as_of).events)
    doubtful = np.isin(scored.names, unsure(told, asked.as_of, policy.minimum_confidence).to_numpy())
    labels[(blocked | doubtful) & ~labelled] = YOUNG
    return labels


def _scores(scored: Scored) -> dict[str, Scores]:
    return dict(zip(_ROLES, (scored.challenger, scored.champion), strict=True))


def _models(scored: Scored, policy: Policy) -> Document:
    """What either model says of all decisions, labelled or not."""
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    found: Document = {}
    for role, scores in _scores(scored).items():
        actions = actions_of(policy, scored.amounts, scores)
        shares = np.bincount(actions, minlength=len(ACTIONS)) / max(len(actions), 1)
        found[role] = {
            **{f"{action}_share": float(share) for action, share in zip(ACTIONS, shares, strict=True)},
            "mean_score": float(scores.mean()) if len(scores) else None,
            "score_histogram": [int(count) for count in np.histogram(scores, edges)[0]],
        }
    return found


def _agreement(scored: Scored, policy: Policy) -> list[list[int]]:
    """Decisions by the champion's action (rows) and the challenger's (columns)."""
    both = np.zeros((len(ACTIONS), len(ACTIONS)), np.int64)
    told = [actions_of(policy, scored.amounts, _scores(scored)[role]) for role in reversed(_ROLES)]
    np.add.at(both, (told[0], told[1]), 1)
    return [[int(count) for count in row] for row in both]


def _on_labels(
    scored: Scored, labels: Labels, policy: Policy, bounds: ReleasePolicy, resamples: int, seed: int
) -> Document | None:
    """Both models on the payments whose truth is known; None without both truths among them."""
    rows = np.flatnonzero(labels != YOUNG)
    truth = labels[rows]
    if not 0 < int((truth == 1).sum()) < len(truth):
        return None
    weights, amounts = scored.weights[rows], scored.amounts[rows]
    ranked = {role: RankedScores(truth, scores[rows], amounts) for role, scores in _scores(scored).items()}
    books = {role: Ledger.keep(policy, truth, amounts, scores[rows]) for role, scores in _scores(scored).items()}
    _, cards = np.unique(scored.cards[rows], return_inverse=True)

    def measured(under: npt.NDArray[np.float64]) -> dict[str, dict[str, float]]:
        return {
            role: {
                "average_precision": ranked[role].average_precision(under),
                "saved_per_1000": books[role].saved_per_1000(under),
            }
            for role in _ROLES
        }

    found = [measured(draw.rows * weights) for draw in draws(cards, resamples=resamples, seed=seed)]
    told = measured(weights)
    document: Document = {
        role: {**told[role], "auc": ranked[role].under(weights).auc(), **_finite(books[role].figures(weights))}
        for role in _ROLES
    }
    document["difference"] = {}
    asked = {"average_precision": bounds.minimum_shadow_gain, "saved_per_1000": bounds.minimum_shadow_saving}
    for name, least in asked.items():
        gained = np.array([each["challenger"][name] - each["champion"][name] for each in found])
        reach, sure = interval(gained), share_above(gained)
        short = share_above(-gained, -least)
        document["difference"][name] = {
            "value": told["challenger"][name] - told["champion"][name],
            "low": None if reach is None else reach.low,
            "high": None if reach is None else reach.high,
            "confidence": sure if np.isfinite(sure) else None,
            # Of the resamples, the share in which the policy's bound is kept.
            "kept": 1 - short if np.isfinite(short) else None,
        }
    return document


def _finite(figures: dict[str, float]) -> Document:
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}

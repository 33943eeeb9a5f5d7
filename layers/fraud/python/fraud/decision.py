"""Decisions: what the merchant is told, and the row that the lake keeps of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import FeatureSet
from fraud.policy import Action

__all__ = ["Decision", "GivenReason", "Model", "decision_row", "event_of", "explain", "label_row", "outcome_row"]

MOST_REASONS = 5

NO_MODEL = "MODEL_UNAVAILABLE"
NO_STATE = "STATE_UNAVAILABLE"


class GivenReason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in words, and whether it raised or lowered the score."""

    code: str
    text: str
    direction: Literal["raises", "lowers", "none"]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a merchant.

    Attributes
    ----------
    score : float or None
        Calibrated probability of fraud; None when nothing could be scored.
    signals : dict of str to float
        The counts that may be shown, such as how often the card was used in the past 24 hours.
    degraded : bool
        Whether the answer was made without state or without a model.
    evaluated_at : int
        Milliseconds since the epoch, UTC: the receipt time that the features look back from.
    """

    transaction_id: str
    decision: Action
    score: float | None
    reasons: tuple[GivenReason, ...]
    signals: dict[str, float]
    model: Model | None
    policy: str
    degraded: bool
    evaluated_at: int


def explain(features: FeatureSet, contributions: Mapping[str, float]) -> tuple[GivenReason, ...]:
    """The reasons for a score: contributions summed by reason code, the weightiest first.

    Parameters
    ----------
    contributions : mapping of feature name to its exact SHAP value, in log-odds

    Returns
    -------
    tuple of GivenReason
        At most five.
    """
    weights: dict[str, float] = {}
    texts: dict[str, str] = {}
    for feature in features.features:
        code = feature.reason.code
        texts[code] = feature.reason.text
        weights[code] = weights.get(code, 0.0) + contributions.get(feature.name, 0.0)
    ranked = sorted(weights.items(), key=lambda item: (-abs(item[1]), item[0]))
    return tuple(
        GivenReason(code=code, text=texts[code], direction="raises" if weight > 0 else "lowers")
        for code, weight in ranked[:MOST_REASONS]
        if weight
    )


def signals(features: FeatureSet, vector: Sequence[float]) -> dict[str, float]:
    """The part of a vector that an answer may show."""
    return {
        feature.name: value
        for feature, value in zip(features.features, vector, strict=True)
        if feature.shown and not math.isnan(value)
    }


def decision_row(
    transaction: Transaction,
    decision: Decision,
    *,
    features: FeatureSet,
    vector: Sequence[float],
    raw_score: float | None,
    recorded_at: int,
) -> dict[str, Any]:
    """The flat row of a decision: the event on the bus and the line in the lake.

    Parameters
    ----------
    vector : sequence of float
        As served; NaN values are left out of the row's map, and read back as missing.
    recorded_at : int
        Wall-clock milliseconds at which the decision was written.
    """
    return {
        "event_id": transaction.event_id,
        **msgspec.to_builtins(transaction),
        "decision": decision.decision,
        "score": decision.score,
        "raw_score": raw_score,
        "model_version": decision.model.version if decision.model else "",
        "policy_version": decision.policy,
        "degraded": decision.degraded,
        "features": {
            name: value for name, value in zip(features.names, vector, strict=True) if not math.isnan(value)
        },
        "feature_set": features.version,
        "recorded_at": recorded_at,
    }


def label_row(label: Label, recorded_at: int) -> dict[str, Any]:
    """The flat row of a label: its transaction, what became known, and when."""
    return {
        "event_id": label.event_id,
        **msgspec.to_builtins(label.transaction),
        "label": label.kind,
        "is_fraud": label.is_fraud,
        "known_at": label.known_at,
        "recorded_at": recorded_at,
    }


def outcome_row(outcome: Outcome, recorded_at: int) -> dict[str, Any]:
    """The flat row of an outcome: its transaction, what was done with it, and when that was received."""
    return {
        "event_id": outcome.event_id,
        **msgspec.to_builtins(outcome.transaction),
        "outcome": outcome.kind,
        "outcome_time": outcome.event_time,
        "recorded_at": recorded_at,
    }


def event_of(row: Mapping[str, Any]) -> Event:
    """The event that a row tells of: the inverse of `decision_row`, `label_row` and `outcome_row`.

    Raises
    ------
    msgspec.ValidationError
        If the row lacks a field or has one of the wrong type; the message names it.
    """
    transaction = msgspec.convert(row, Transaction)
    if "label" in row:
        told = {"transaction": transaction, "kind": row["label"], "known_at": row.get("known_at")}
        return msgspec.convert(told, Label)
    if "outcome" in row:
        told = {"transaction": transaction, "kind": row["outcome"], "event_time": row.get("outcome_time")}
        return msgspec.convert(told, Outcome)
    return transaction

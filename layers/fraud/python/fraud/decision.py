"""Decisions: what the merchant is told, and the row that the lake keeps of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import FeatureSet
from fraud.features.definitions import Reason
from fraud.policy import Action

__all__ = ["Decision", "GivenReason", "Model", "decision_row", "event_of", "explain", "label_row", "outcome_row"]

MOST_REASONS = 5

NO_MODEL = "MODEL_UNAVAILABLE"
NO_STATE = "STATE_UNAVAILABLE"


class GivenReason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in words, and whether it raised or lowered the score.

    Attributes
    ----------
    text : str
        For an analyst.
    customer_text : str
        May be shown to the payer.
    """

    code: str
    text: str
    customer_text: str
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
    reasons : tuple of GivenReason
        Empty for an approval: they are worked out when somebody asks for them.
    rules : tuple of str
        Ids of the merchant's rules that matched.
    lists : tuple of str
        Names of the merchant's lists that the payment is on.
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
    rules: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    signals: dict[str, float]
    model: Model | None
    policy: str
    degraded: bool
    evaluated_at: int


def explain(features: FeatureSet, contributions: Mapping[str, float]) -> tuple[GivenReason, ...]:
    """The reasons for a score: what pushed it to its side of the model's average, the weightiest first.

    Parameters
    ----------
    contributions : mapping of feature name to its exact SHAP value, in log-odds

    Returns
    -------
    tuple of GivenReason
        At most five reason codes, each with the sum of its features' contributions on the side of the total.
    """
    weights: dict[str, float] = {}
    reasons: dict[str, Reason] = {}
    for feature in features.features:
        code = feature.reason.code
        reasons[code] = feature.reason
        weights[code] = weights.get(code, 0.0) + contributions.get(feature.name, 0.0)
    raises = sum(weights.values()) > 0
    ranked = sorted(weights.items(), key=lambda item: (-abs(item[1]), item[0]))
    return tuple(
        GivenReason(
            code=code,
            text=reasons[code].text,
            customer_text=reasons[code].customer_text,
            direction="raises" if raises else "lowers",
        )
        for code, weight in [each for each in ranked if each[1] and (each[1] > 0) == raises][:MOST_REASONS]
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
    rules_version: str = "",
    shadow: Mapping[str, float] | None = None,
    previous_tokens: Mapping[str, str] | None = None,
    correlation_id: str = "",
    would_be: str = "",
    propensity: float | None = None,
) -> dict[str, Any]:
    """The flat row of a decision: the event on the bus and the line in the lake.

    Parameters
    ----------
    vector : sequence of float
        As served; NaN values are left out of the row's map, and read back as missing.
    recorded_at : int
        Wall-clock milliseconds at which the decision was written.
    shadow : mapping of str to float, optional
        Calibrated scores of models that looked at the same vector and did not decide, by version.
    previous_tokens : mapping of str to str, optional
        While the token key is changed: what these fields' tokens were under the key before.
    would_be : str
        What the policy would have done with a payment that it let through at random; empty for all others.
    propensity : float, optional
        As `fraud.judgement.Judgement` has it; where nothing was drawn, 0 for a decline and 1 for all else.
    """
    if propensity is None:
        propensity = 0.0 if decision.decision == "decline" else 1.0
    return {
        "event_id": transaction.event_id,
        **msgspec.to_builtins(transaction),
        "decision": decision.decision,
        "score": decision.score,
        "raw_score": raw_score,
        "model_version": decision.model.version if decision.model else "",
        "policy_version": decision.policy,
        "rules_version": rules_version,
        "rules": decision.rules,
        "lists": decision.lists,
        "shadow": dict(shadow or {}),
        "degraded": decision.degraded,
        "features": {
            name: value for name, value in zip(features.names, vector, strict=True) if not math.isnan(value)
        },
        "feature_set": features.version,
        "previous_tokens": dict(previous_tokens or {}),
        "correlation_id": correlation_id,
        "recorded_at": recorded_at,
        "would_be": would_be,
        "propensity": propensity,
    }


def label_row(label: Label, recorded_at: int, correlation_id: str = "") -> dict[str, Any]:
    """The flat row of a label: its transaction, what became known, when, from whom, and how surely.

    `correlation_id` is that of the request that reported it.
    """
    return {
        "event_id": label.event_id,
        **msgspec.to_builtins(label.transaction),
        "label": label.kind,
        "is_fraud": label.is_fraud,
        "known_at": label.known_at,
        "recorded_at": recorded_at,
        "source": label.source,
        "confidence": label.confidence,
        "correlation_id": correlation_id,
    }


def outcome_row(outcome: Outcome, recorded_at: int, correlation_id: str = "") -> dict[str, Any]:
    """The flat row of an outcome: its transaction, what was done with it, and when that was received.

    `correlation_id` is that of the request that reported it.
    """
    return {
        "event_id": outcome.event_id,
        **msgspec.to_builtins(outcome.transaction),
        "outcome": outcome.kind,
        "outcome_time": outcome.event_time,
        "recorded_at": recorded_at,
        "correlation_id": correlation_id,
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
        # Rows from before labels had a source have neither of these.
        told |= {name: row[name] for name in ("source", "confidence") if row.get(name) is not None}
        return msgspec.convert(told, Label)
    if "outcome" in row:
        told = {"transaction": transaction, "kind": row["outcome"], "event_time": row.get("outcome_time")}
        return msgspec.convert(told, Outcome)
    return transaction

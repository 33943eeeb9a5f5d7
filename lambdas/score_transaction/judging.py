"""From what was found about a payment to the decision on it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from fraud.decision import NO_MODEL, NO_STATE, Decision, GivenReason, Model, explain, signals
from fraud.events import Transaction
from fraud.features import FeatureSet
from fraud.features.definitions import RowFeature
from fraud.judgement import Judgement, judge, known_values
from fraud.policy import Allowance, Policy
from runtime.booster import BoosterError
from runtime.bundles import Live, ServedModel

from .settings import MerchantSettings

__all__ = ["Judged", "Scored", "decision_on", "row_level", "scored"]

_UNAVAILABLE = {
    NO_MODEL: "No model could score the payment: decided by rules and the amount",
    NO_STATE: "The history could not be read in time: decided by rules and the amount",
}
_TOLD_CUSTOMER = "The payment could not be checked in full."


@dataclass(frozen=True, slots=True)
class Scored:
    """What the models say of a vector.

    Attributes
    ----------
    raw, score : float or None
        Of the model that decides: its own probability and the calibrated one.
    shadow : dict of str to float
        Calibrated scores of the models that only look on, by version.
    columns : list of float
        The vector as the deciding model takes it.
    """

    model: ServedModel | None = None
    raw: float | None = None
    score: float | None = None
    shadow: dict[str, float] = field(default_factory=dict)
    columns: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision, and what it follows from."""

    decision: Decision
    judgement: Judgement


def row_level(features: FeatureSet, vector: tuple[float, ...]) -> tuple[float, ...]:
    """A vector with all but the row-level features missing: what is known of a payment without any history."""
    return tuple(
        value if isinstance(feature, RowFeature) else math.nan
        for feature, value in zip(features.features, vector, strict=True)
    )


def scored(
    live: Live, features: FeatureSet, vector: tuple[float, ...], event_id: str, failed: Callable[[Exception], None]
) -> Scored:
    """Score a vector with the model that decides and those that look on; one that fails is told and left out."""
    deciding = live.model_for(event_id)
    shadow: dict[str, float] = {}
    for model in live.shadows(event_id):
        try:
            shadow[model.manifest.version] = model.score(model.row(features.names, vector))[1]
        except BoosterError as error:
            failed(error)
    if deciding is None:
        return Scored(shadow=shadow)
    columns = deciding.row(features.names, vector)
    try:
        raw, score = deciding.score(columns)
    except BoosterError as error:
        failed(error)
        return Scored(shadow=shadow)
    return Scored(deciding, raw, score, shadow, columns)


def decision_on(
    transaction: Transaction,
    vector: tuple[float, ...],
    given: Scored,
    *,
    features: FeatureSet,
    settings: MerchantSettings,
    policy: Policy,
    allowance: Allowance | None,
    listed: tuple[str, ...] | None,
) -> Judged:
    """Decide by lists, rules and policy, and give reasons where the decision is not to approve.

    Parameters
    ----------
    listed : tuple of str or None
        Names of the merchant's lists that the payment is on; None where nothing could be read, so that there is no
        history either and the vector is row-level.
    """
    values = (
        known_values(
            transaction, features.names, vector, score=given.score, lists=listed, degraded=given.score is None
        )
        if settings.rulebook
        else {}
    )
    judgement = judge(
        transaction,
        values,
        score=given.score,
        policy=policy,
        rulebook=settings.rulebook,
        lists=settings.definitions,
        listed=listed or (),
        allowance=allowance,
    )
    decision = Decision(
        transaction_id=transaction.transaction_id,
        decision=judgement.action,
        score=given.score,
        reasons=_reasons(features, given, judgement, has_history=listed is not None),
        rules=judgement.rules,
        lists=listed or (),
        signals=signals(features, vector) if listed is not None else {},
        model=Model(name=given.model.manifest.name, version=given.model.manifest.version) if given.model else None,
        policy=policy.version,
        degraded=given.score is None,
        evaluated_at=transaction.event_time,
    )
    return Judged(decision, judgement)


def _reasons(
    features: FeatureSet, given: Scored, judgement: Judgement, *, has_history: bool
) -> tuple[GivenReason, ...]:
    if given.model is None:
        code = NO_MODEL if has_history else NO_STATE
        text = _UNAVAILABLE[code]
        return (GivenReason(code=code, text=text, customer_text=_TOLD_CUSTOMER, direction="none"),)
    if judgement.action == "approve":
        # Three in four of a millisecond that nearly nobody reads: GET /v1/decisions/{id} works them out on demand.
        return ()
    return explain(features, given.model.contributions(given.columns))

"""Whether a candidate may take the champion's place: pure data in, a verdict with its reason out."""

import math
from dataclasses import dataclass

__all__ = ["Facts", "GatePolicy", "Verdict", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """What is asked of a candidate.

    Attributes
    ----------
    minimum_gain : float
        Average precision that a candidate must be above the champion's by (absolute).
    minimum_lift : float
        Without a champion: average precision over the rate of fraud, which is what guessing reaches.
    maximum_calibration_error : float
        Thresholds are on probabilities, so a better ranking with wrong probabilities is not better.
    maximum_mismatch : float
        Share of settled decisions, those that no lag can excuse, in which a feature of the model was not what it
        should have been.
    maximum_lagging : float
        The same share of all decisions. Wide: a feature that is fresh after a second differs often for a busy
        merchant. It catches a feature store that stands still.
    """

    minimum_gain: float = 0.002
    minimum_lift: float = 3.0
    maximum_calibration_error: float = 0.05
    maximum_mismatch: float = 0.01
    maximum_lagging: float = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gate looks at; all of it measured on the same rows.

    Attributes
    ----------
    base_rate : float
        Share of frauds in the evaluation rows.
    champion_average_precision : float or None
        None when no model serves yet.
    settled_feature : str
        That of the model's features which differed in the largest share of its settled decisions; empty where none
        of those with enough of them did.
    settled : int
        Its settled decisions: those whose vector as served was compared with what it should have been, and whose
        key had no event so young that serving may not have had it yet.
    settled_mismatch : float
        The share of them in which it differed.
    lagging_feature, compared, lagging_mismatch
        The same of all decisions compared.
    unjudged : int
        Features of the model that have too few settled decisions.
    """

    rows: int
    frauds: int
    base_rate: float
    average_precision: float
    calibration_error: float
    champion_average_precision: float | None = None
    champion_version: str = ""
    settled_feature: str = ""
    settled: int = 0
    settled_mismatch: float = 0.0
    lagging_feature: str = ""
    compared: int = 0
    lagging_mismatch: float = 0.0
    unjudged: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Promote or not, and the sentence that a person reads."""

    promote: bool
    reason: str


def judge(facts: Facts, policy: GatePolicy) -> Verdict:
    """Decide. The first reason against the candidate wins; a figure that is not finite is one."""
    figures = [
        facts.base_rate,
        facts.average_precision,
        facts.calibration_error,
        facts.settled_mismatch,
        facts.lagging_mismatch,
    ]
    if facts.champion_average_precision is not None:
        figures.append(facts.champion_average_precision)
    if not all(math.isfinite(figure) for figure in figures):
        return Verdict(False, "Not promoted: a metric could not be computed on the evaluation rows.")
    if skew := _skew(facts, policy):
        return Verdict(False, f"Not promoted: serving saw another {skew}; see consistency.html of the dataset.")
    if facts.calibration_error > policy.maximum_calibration_error:
        return Verdict(
            False,
            f"Not promoted: the calibration error {facts.calibration_error:.4f} is above the bound "
            f"{policy.maximum_calibration_error:.4f}, so its scores cannot be read as probabilities.",
        )
    seen = f"on {facts.rows} later rows with {facts.frauds} frauds"
    if facts.champion_average_precision is None:
        needed = policy.minimum_lift * facts.base_rate
        text = f"average precision {facts.average_precision:.4f} {seen}"
        rate = f"{policy.minimum_lift:g} times the fraud rate of {facts.base_rate:.4f}"
        # A part that is mostly fraud could ask for more than 1, which nothing reaches: then a perfect one passes.
        if facts.average_precision >= min(needed, 1.0):
            return Verdict(True, f"Promoted as the first model: {text} is at least {rate}.")
        return Verdict(False, f"Not promoted: {text} is below {rate}, hardly better than guessing.")
    gain = facts.average_precision - facts.champion_average_precision
    text = (
        f"average precision {facts.average_precision:.4f} against {facts.champion_average_precision:.4f} "
        f"of champion {facts.champion_version} {seen}, a difference of {gain:+.4f}"
    )
    if gain > 0 and gain >= policy.minimum_gain:
        return Verdict(True, f"Promoted: {text}.")
    return Verdict(False, f"Not promoted: {text}, below the minimal gain of {policy.minimum_gain:g}.")


def _skew(facts: Facts, policy: GatePolicy) -> str:
    """What serving saw otherwise than it should have; empty where that is within bounds."""
    if facts.settled_mismatch > policy.maximum_mismatch:
        return (
            f"{facts.settled_feature} than it should have in {facts.settled_mismatch:.2%} of {facts.settled:,} "
            f"decisions that no lag explains, above the bound of {policy.maximum_mismatch:.2%}"
        )
    if facts.lagging_mismatch > policy.maximum_lagging:
        few = (
            f" ({facts.unjudged} of its features had too few decisions without a possible lag to be judged apart)"
            if facts.unjudged
            else ""
        )
        return (
            f"{facts.lagging_feature} than it should have in {facts.lagging_mismatch:.2%} of {facts.compared:,} "
            f"decisions, above the bound of {policy.maximum_lagging:.2%}: the features are far behind{few}"
        )
    return ""

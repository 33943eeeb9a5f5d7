"""Whether a candidate may take the champion's place: pure data in, a verdict with its reason out."""

import math
from dataclasses import dataclass

import msgspec

from fraud.release import GatePolicy, Verdict

__all__ = ["Check", "CheckedVerdict", "Facts", "check", "first_failure", "judge", "times_apart"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One bound, and what was measured against it.

    Attributes
    ----------
    name : str
        The bound's name in the policy.
    measured : float or None
        None where there was nothing to measure.
    reason : str
        Why it fails; empty if it passes.
    """

    name: str
    measured: float | None
    bound: float
    passed: bool
    reason: str = ""


class CheckedVerdict(Verdict, frozen=True, kw_only=True):
    """A verdict with all the checks that it rests on, in their order; the first that fails is its sentence."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gate looks at; all of it measured on the same rows.

    Attributes
    ----------
    base_rate : float
        Share of frauds in the evaluation rows, by their weights.
    calibration_factor : float
        Frauds that the scores promise over those that there were, or the other way round, whichever is above 1.
    champion_average_precision : float or None
        None when no model serves yet.
    confidence : float
        Share of the resamples by card in which the candidate is the better one; nan where none could tell.
    slice_name : str
        The slice, among those with enough frauds to judge and an interval of the difference that shows a loss, in
        which the candidate loses most; empty without any.
    slice_loss : float
        The champion's average precision in it less the candidate's.
    slice_frauds : int
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
    latency_us : float
        Median time of a score with exact reasons, in microseconds.
    bundle_bytes : int
        All files of the bundle.
    """

    rows: int
    frauds: int
    base_rate: float
    average_precision: float
    calibration_error: float
    champion_average_precision: float | None = None
    champion_version: str = ""
    calibration_factor: float = 1.0
    confidence: float = math.nan
    slice_name: str = ""
    slice_loss: float = 0.0
    slice_frauds: int = 0
    settled_feature: str = ""
    settled: int = 0
    settled_mismatch: float = 0.0
    lagging_feature: str = ""
    compared: int = 0
    lagging_mismatch: float = 0.0
    unjudged: int = 0
    latency_us: float = 0.0
    bundle_bytes: int = 0


def judge(facts: Facts, policy: GatePolicy) -> CheckedVerdict:
    """Decide. The first reason against the candidate wins; a figure that is not finite is one."""
    quality = (
        [_lift(facts, policy)]
        if facts.champion_average_precision is None
        else [_gain(facts, policy), _confidence(facts, policy), _slices(facts, policy)]
    )
    checks = (*_skew(facts, policy), *_calibration(facts, policy), *quality, *_weight(facts, policy))
    figures = [facts.base_rate, facts.average_precision, facts.calibration_error]
    figures += [facts.settled_mismatch, facts.lagging_mismatch]
    if facts.champion_average_precision is not None:
        figures.append(facts.champion_average_precision)
    if not all(math.isfinite(figure) for figure in figures):
        reason = "Not promoted: a metric could not be computed on the evaluation rows."
        return CheckedVerdict(passed=False, reason=reason, checks=checks)
    if failure := first_failure(checks):
        return CheckedVerdict(passed=False, reason=f"Not promoted: {failure}.", checks=checks)
    return CheckedVerdict(passed=True, reason=_praise(facts, policy), checks=checks)


def first_failure(checks: tuple[Check, ...]) -> str:
    """Why the first check that fails does; empty if all pass."""
    return next((each.reason for each in checks if not each.passed), "")


def check(name: str, measured: float, bound: float, reason: str, *, passed: bool) -> Check:
    """A check; the reason is kept where it fails, and a figure that is not finite is none."""
    return Check(
        name=name,
        measured=measured if math.isfinite(measured) else None,
        bound=float(bound),
        passed=passed,
        reason="" if passed else reason,
    )


def times_apart(first: float, second: float) -> float:
    """How many times the smaller of two figures is the larger; infinite if only one of them is 0.

    Examples
    --------
    >>> times_apart(0.5, 2.0), times_apart(3.0, 3.0), times_apart(0.0, 0.0)
    (4.0, 1.0, 1.0)
    """
    if first == second:
        return 1.0
    smaller, larger = sorted((first, second))
    return larger / smaller if smaller > 0 else math.inf


def _skew(facts: Facts, policy: GatePolicy) -> tuple[Check, Check]:
    """What serving saw otherwise than it should have."""
    few = (
        f" ({facts.unjudged} of its features had too few decisions without a possible lag to be judged apart)"
        if facts.unjudged
        else ""
    )
    return (
        check(
            "maximum_mismatch",
            facts.settled_mismatch,
            policy.maximum_mismatch,
            f"serving saw another {facts.settled_feature} than it should have in {facts.settled_mismatch:.2%} of "
            f"{facts.settled:,} decisions that no lag explains, above the bound of {policy.maximum_mismatch:.2%}; "
            "see consistency.html of the dataset",
            passed=facts.settled_mismatch <= policy.maximum_mismatch,
        ),
        check(
            "maximum_lagging",
            facts.lagging_mismatch,
            policy.maximum_lagging,
            f"serving saw another {facts.lagging_feature} than it should have in {facts.lagging_mismatch:.2%} of "
            f"{facts.compared:,} decisions, above the bound of {policy.maximum_lagging:.2%}: the features are far "
            f"behind{few}; see consistency.html of the dataset",
            passed=facts.lagging_mismatch <= policy.maximum_lagging,
        ),
    )


def _calibration(facts: Facts, policy: GatePolicy) -> tuple[Check, Check]:
    return (
        check(
            "maximum_calibration_error",
            facts.calibration_error,
            policy.maximum_calibration_error,
            f"the calibration error {facts.calibration_error:.4f} is above the bound "
            f"{policy.maximum_calibration_error:.4f}, so its scores cannot be read as probabilities",
            passed=facts.calibration_error <= policy.maximum_calibration_error,
        ),
        check(
            "maximum_calibration_factor",
            facts.calibration_factor,
            policy.maximum_calibration_factor,
            f"the frauds that its scores promise and those that there were are a factor of "
            f"{facts.calibration_factor:.2f} apart, above the bound of {policy.maximum_calibration_factor:g}, so "
            "its scores cannot be read as probabilities",
            passed=facts.calibration_factor <= policy.maximum_calibration_factor,
        ),
    )


def _lift(facts: Facts, policy: GatePolicy) -> Check:
    # A part that is mostly fraud could ask for more than 1, which nothing reaches: then a perfect one passes.
    needed = min(policy.minimum_lift * facts.base_rate, 1.0)
    return check(
        "minimum_lift",
        facts.average_precision / facts.base_rate if facts.base_rate else math.nan,
        policy.minimum_lift,
        f"{_alone(facts)} is below {_rate(facts, policy)}, hardly better than guessing",
        passed=facts.average_precision >= needed,
    )


def _gain(facts: Facts, policy: GatePolicy) -> Check:
    gain = facts.average_precision - (facts.champion_average_precision or 0.0)
    return check(
        "minimum_gain",
        gain,
        policy.minimum_gain,
        f"{_against(facts)}, below the minimal gain of {policy.minimum_gain:g}",
        # An equal is not better, unless the bound itself lets a worse one pass.
        passed=gain >= policy.minimum_gain and (gain > 0 or policy.minimum_gain < 0),
    )


def _confidence(facts: Facts, policy: GatePolicy) -> Check:
    return check(
        "minimum_confidence",
        facts.confidence,
        policy.minimum_confidence,
        f"{_against(facts)}, but it was the better one in only {facts.confidence:.0%} of the resamples by card "
        f"where {policy.minimum_confidence:.0%} are needed: the gain may be luck",
        passed=facts.confidence >= policy.minimum_confidence,
    )


def _slices(facts: Facts, policy: GatePolicy) -> Check:
    return check(
        "maximum_slice_loss",
        facts.slice_loss,
        policy.maximum_slice_loss,
        f"for {facts.slice_name} its average precision is {facts.slice_loss:.4f} below that of champion "
        f"{facts.champion_version} on {facts.slice_frauds} frauds, above the bound of "
        f"{policy.maximum_slice_loss:g}",
        passed=facts.slice_loss <= policy.maximum_slice_loss,
    )


def _weight(facts: Facts, policy: GatePolicy) -> tuple[Check, Check]:
    """What it costs to serve."""
    return (
        check(
            "maximum_latency_us",
            facts.latency_us,
            policy.maximum_latency_us,
            f"one score with its reasons takes {facts.latency_us:,.0f} microseconds in the median, above the "
            f"bound of {policy.maximum_latency_us:,.0f}; train fewer or shallower trees",
            passed=facts.latency_us <= policy.maximum_latency_us,
        ),
        check(
            "maximum_bundle_bytes",
            facts.bundle_bytes,
            policy.maximum_bundle_bytes,
            f"its bundle has {facts.bundle_bytes:,} bytes, above the bound of {policy.maximum_bundle_bytes:,}; "
            "train fewer or shallower trees",
            passed=facts.bundle_bytes <= policy.maximum_bundle_bytes,
        ),
    )


def _praise(facts: Facts, policy: GatePolicy) -> str:
    if facts.champion_average_precision is None:
        return f"Fit to serve as the first model: {_alone(facts)} is at least {_rate(facts, policy)}."
    sure = f"it was the better one in {facts.confidence:.0%} of the resamples by card"
    return f"Fit to serve: {_against(facts)}; {sure}."


def _seen(facts: Facts) -> str:
    return f"on {facts.rows} later rows with {facts.frauds} frauds"


def _alone(facts: Facts) -> str:
    return f"average precision {facts.average_precision:.4f} {_seen(facts)}"


def _rate(facts: Facts, policy: GatePolicy) -> str:
    return f"{policy.minimum_lift:g} times the fraud rate of {facts.base_rate:.4f}"


def _against(facts: Facts) -> str:
    champion = facts.champion_average_precision or 0.0
    return (
        f"average precision {facts.average_precision:.4f} against {champion:.4f} of champion "
        f"{facts.champion_version} {_seen(facts)}, a difference of {facts.average_precision - champion:+.4f}"
    )

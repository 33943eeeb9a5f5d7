"""What the figures and the bounds of the reports are called, and how their numbers are written."""

from collections.abc import Callable, Mapping
from functools import partial

__all__ = ["BOUNDS", "FIGURES", "Show", "money", "number"]

type Show = Callable[..., str]

_NOTHING = "–"


def number(value: float | None, digits: int = 4, *, sign: bool = False) -> str:
    """A plain number; a dash where there is none."""
    if value is None:
        return _NOTHING
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def money(minor: float | None, *, sign: bool = False) -> str:
    """Minor units as units of a hundred."""
    if minor is None:
        return _NOTHING
    return f"{minor / 100:+,.2f}" if sign else f"{minor / 100:,.2f}"


def share(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """A part of a whole, in percent."""
    if value is None:
        return _NOTHING
    return f"{100 * value:+.{digits}f}%" if sign else f"{100 * value:.{digits}f}%"


FIGURES: Mapping[str, tuple[str, Show]] = {
    "average_precision": ("average precision", number),
    "auc": ("AUC: a fraud scores above a genuine payment", number),
    "card_precision_at_100": ("of the 100 worst cards a day, compromised", share),
    "recall_at_0_1_percent_fpr": ("frauds found, 1 genuine payment in 1,000 stopped", share),
    "recall_at_0_5_percent_fpr": ("frauds found, 5 in 1,000 stopped", share),
    "recall_at_1_percent_fpr": ("frauds found, 10 in 1,000 stopped", share),
    "value_detected_at_0_1_percent": ("fraud money found, 1 payment in 1,000 stopped", share),
    "value_detected_at_0_5_percent": ("fraud money found, 5 in 1,000 stopped", share),
    "value_detected_at_1_percent": ("fraud money found, 10 in 1,000 stopped", share),
    "expected_calibration_error": ("calibration error (less is better)", number),
    "brier": ("Brier score (less is better)", partial(number, digits=5)),
    "log_loss": ("log loss (less is better)", partial(number, digits=5)),
    "mean_score": ("mean score", partial(share, digits=3)),
    "saved_per_1000": ("saved per 1,000 payments", money),
}
"""Name of a figure to its words and to how its numbers are written, in the order of the table."""


def _count(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:,.0f}"


BOUNDS: Mapping[str, tuple[str, Show]] = {
    "maximum_mismatch": ("features seen wrongly when serving, where no lag explains it, at most", share),
    "maximum_lagging": ("features behind when serving, at most", share),
    "maximum_calibration_error": ("calibration error, at most", number),
    "maximum_calibration_factor": (
        "frauds promised by the scores over frauds there were, or the other way round, at most",
        partial(number, digits=2),
    ),
    "minimum_lift": ("average precision over the rate of fraud, at least", partial(number, digits=1)),
    "minimum_gain": ("average precision above the champion's by, at least", partial(number, sign=True)),
    "minimum_confidence": ("resamples in which it is the better one, at least", partial(share, digits=0)),
    "maximum_slice_loss": ("average precision lost in any part of the payments, at most", number),
    "maximum_latency_us": ("microseconds for a score with reasons, at most", _count),
    "maximum_bundle_bytes": ("bytes of the bundle, at most", _count),
    "minimum_shadow_gain": (
        "average precision above the champion's in shadow by, at least",
        partial(number, sign=True),
    ),
    "minimum_shadow_saving": (
        "saved per 1,000 payments above the champion's in shadow, at least",
        partial(money, sign=True),
    ),
    "minimum_shadow_confidence": (
        "resamples in which it keeps those two bounds, at least",
        partial(share, digits=0),
    ),
    "minimum_shadow_frauds": ("frauds in shadow that are old enough to be known, at least", _count),
    "maximum_approval_change": ("change of the share approved, at most", share),
    "maximum_score_change": ("change of the mean score, at most", number),
    "maximum_score_factor": (
        "mean score over the champion's, or the other way round, at most",
        partial(number, digits=2),
    ),
}
"""Name of a bound in the policy to its words and to how its numbers are written."""

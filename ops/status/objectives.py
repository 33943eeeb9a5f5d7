"""What is left of the month's allowance of each objective."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from infra.slos import SLOS, Slo
from ops.status.metrics import Series, ours

__all__ = ["Objective", "objectives", "series"]


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """An objective, and how it was kept over 30 days.

    Attributes
    ----------
    counted : float
        What it is a share of: calls, events, labels.
    good : float or None
        The share that was good; None if nothing was counted.
    left : float or None
        The share of the allowance that is left; negative if it is overdrawn.
    """

    name: str
    objective: float
    counted: float
    good: float | None
    left: float | None


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is counted in all, and the bad ones as a number or the good ones as a percentage."""

    counted: Series
    bad: Series | None = None
    good: Series | None = None


_DECIDE = (("Method", "POST"), ("Resource", "/v1/decisions"), ("Stage", "live"))
"""The call that decides on one payment; batches and backtests take as long as what is in them."""


def series(api: str) -> dict[str, Series]:
    """What `objectives` wants to know, by name.

    Parameters
    ----------
    api : str
        The name of the API, as CloudWatch knows it.
    """
    found = {}
    for name, each in _measured(api).items():
        for part, of in (("counted", each.counted), ("bad", each.bad), ("good", each.good)):
            if of is not None:
                found[f"{name} {part}"] = of
    return found


def objectives(days: Mapping[str, Mapping[int, float]]) -> list[Objective]:
    """Every objective, from what `series` names, day by day."""
    return [_kept(slo, days) for slo in SLOS.values()]


def _measured(api: str) -> dict[str, _Measured]:
    def timed(slo: Slo, metric: Series) -> _Measured:
        within = f"PR(:{slo.within:.0f})" if slo.within is not None else ""
        return _Measured(
            counted=Series(metric.namespace, metric.metric, metric.dimensions, "SampleCount"),
            good=Series(metric.namespace, metric.metric, metric.dimensions, within),
        )

    def calls(metric: str, statistic: str = "Sum", of: tuple[tuple[str, str], ...] = ()) -> Series:
        return Series("AWS/ApiGateway", metric, (("ApiName", api), *of), statistic)

    return {
        "decision-availability": _Measured(counted=calls("Count"), bad=calls("5XXError")),
        "decision-latency": timed(SLOS["decision-latency"], calls("Latency", of=_DECIDE)),
        "feature-freshness": timed(SLOS["feature-freshness"], ours("FeatureLag", "update_features")),
        "label-lag": timed(SLOS["label-lag"], ours("LabelLag", "record_label")),
    }


def _kept(slo: Slo, days: Mapping[str, Mapping[int, float]]) -> Objective:
    counts = days[f"{slo.name} counted"]
    counted = sum(counts.values())
    if f"{slo.name} bad" in days:
        bad = sum(days[f"{slo.name} bad"].values())
    else:
        good = days[f"{slo.name} good"]
        # A day without a percentage was measured otherwise than one with it: it counts as good.
        bad = sum(count * (1 - good.get(day, 100.0) / 100) for day, count in counts.items())
    share = bad / counted if counted else None
    return Objective(
        name=slo.name,
        objective=slo.objective,
        counted=counted,
        good=None if share is None else 1 - share,
        left=None if share is None else 1 - share / slo.allowance,
    )

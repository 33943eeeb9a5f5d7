"""What is left of the month's allowance of each objective."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from infra.environment import Environment
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
    """What is counted in all, and the bad ones as numbers or the good ones as a percentage."""

    counted: tuple[Series, ...]
    bad: tuple[Series, ...] = ()
    good: tuple[Series, ...] = ()


_DECIDE, _BATCH = (
    (("Method", "POST"), ("Resource", path), ("Stage", "live"))
    for path in ("/v1/decisions", "/v1/decisions/batch")
)
"""The calls that decide on one payment, and on several."""


def series(environment: Environment) -> dict[str, Series]:
    """What `objectives` wants to know of an environment, by name."""
    return {
        f"{name} {part} {number}": of
        for name, each in _measured(environment).items()
        for part, several in (("counted", each.counted), ("bad", each.bad), ("good", each.good))
        for number, of in enumerate(several)
    }


def objectives(days: Mapping[str, Mapping[int, float]]) -> list[Objective]:
    """Every objective, from what `series` names, day by day."""
    return [_kept(slo, days) for slo in SLOS.values()]


def _measured(environment: Environment) -> dict[str, _Measured]:
    def timed(slo: Slo, metric: Series) -> _Measured:
        within = f"PR(:{slo.within:.0f})" if slo.within is not None else ""
        return _Measured(
            counted=(Series(metric.namespace, metric.metric, metric.dimensions, "SampleCount"),),
            good=(Series(metric.namespace, metric.metric, metric.dimensions, within),),
        )

    def calls(metric: str, of: tuple[tuple[str, str], ...]) -> Series:
        # The API has the name of its deployment: CloudWatch knows it by that.
        return Series("AWS/ApiGateway", metric, (("ApiName", environment.prefix), *of), "Sum")

    mine = partial(ours, environment.name)
    failed_batches = calls("5XXError", _BATCH)
    return {
        # As the alarms have it, see infra/observability/decisions.py.
        "decision-availability": _Measured(
            counted=(calls("Count", _DECIDE), mine("Batched", "score_transaction"), failed_batches),
            bad=(calls("5XXError", _DECIDE), failed_batches, mine("FailedInBatch", "score_transaction")),
        ),
        "decision-latency": timed(SLOS["decision-latency"], calls("Latency", _DECIDE)),
        "feature-freshness": timed(SLOS["feature-freshness"], mine("FeatureLag", "update_features")),
        "label-lag": timed(SLOS["label-lag"], mine("LabelLag", "record_label")),
    }


def _kept(slo: Slo, days: Mapping[str, Mapping[int, float]]) -> Objective:
    counted = _total(f"{slo.name} counted ", days)
    if slo.within is None:
        bad = _total(f"{slo.name} bad ", days)
    else:
        counts, good = days[f"{slo.name} counted 0"], days[f"{slo.name} good 0"]
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


def _total(prefix: str, days: Mapping[str, Mapping[int, float]]) -> float:
    return sum(sum(counts.values()) for name, counts in days.items() if name.startswith(prefix))

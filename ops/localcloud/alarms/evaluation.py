"""When an alarm goes off: datapoints, how many of them have to breach, and what missing ones count for."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ops.localcloud.alarms.expressions import ExpressionError, Query, check, solve
from ops.localcloud.alarms.metrics import MINUTE, Metric, Metrics, Scope
from ops.localcloud.alarms.statistics import statistic

__all__ = ["Alarm", "State", "Verdict", "evaluate"]

type State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
type Missing = Literal["missing", "ignore", "breaching", "notBreaching"]

_COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
# CloudWatch looks further back than the evaluation periods for points that are there; by how far it tells only in
# its examples, where it is two periods.
_FURTHER: Final = 2


@dataclass(frozen=True, slots=True)
class _Source:
    metric: Metric
    statistic: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A metric alarm, as far as it matters for its evaluation.

    Attributes
    ----------
    queries : tuple of Query
        Metrics and expressions; `wanted` is the id of the one that is compared.
    period : int
        Seconds, a multiple of 60.
    """

    queries: tuple[Query, ...]
    sources: Mapping[str, _Source]
    wanted: str
    period: int
    periods: int
    breaching: int
    threshold: float
    comparison: str
    missing: Missing

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Alarm":
        """An alarm in the shape of PutMetricAlarm.

        Raises
        ------
        ValueError
            Names what the local cloud does not know, or what does not fit together.
        """
        queries, sources, periods = [], {}, set()
        entries = record.get("Metrics") or [_single(record)]
        for each in entries:
            queries.append(Query(each["Id"], each.get("Expression")))
            if stat := each.get("MetricStat"):
                sources[each["Id"]] = _source(stat)
                periods.add(int(stat["Period"]))
        returned = [each["Id"] for each in entries if each.get("ReturnData", True)]
        if len(returned) != 1:
            raise ValueError(
                f"exactly one of an alarm's metrics has ReturnData, not {', '.join(returned) or 'none'}"
            )
        if len(periods) != 1 or (period := periods.pop()) % MINUTE or period <= 0:
            raise ValueError("the metrics of an alarm have one period between them, in full minutes")
        comparison: str = record.get("ComparisonOperator") or "none"
        missing: Any = record.get("TreatMissingData") or "missing"
        if comparison not in _COMPARISONS:
            raise ValueError(f"the local cloud knows no alarms with ComparisonOperator {comparison}")
        if missing not in {"missing", "ignore", "breaching", "notBreaching"}:
            raise ValueError(f"TreatMissingData is {missing}: missing, ignore, breaching or notBreaching")
        whole = int(record.get("EvaluationPeriods", 1))
        breaching = int(record.get("DatapointsToAlarm") or whole)
        if not 1 <= breaching <= whole:
            raise ValueError(f"DatapointsToAlarm is {breaching}, which is not between 1 and EvaluationPeriods")
        alarm = cls(
            tuple(queries),
            sources,
            returned[0],
            period,
            whole,
            breaching,
            float(record["Threshold"]),
            comparison,
            missing,
        )
        # An expression that cannot be read is told when the alarm is made, not when it should go off.
        check(queries)
        return alarm

    @property
    def metrics(self) -> list[Metric]:
        """Those whose values it hangs on."""
        return [each.metric for each in self.sources.values()]

    def datapoints(self, metrics: Metrics, scope: Scope, now: float) -> list[tuple[float, float | None]]:
        """Start and value of the periods that are looked at, oldest first; the last one ends with this minute."""
        end = (int(now) // MINUTE + 1) * MINUTE
        starts = [end - back * self.period for back in range(self.periods + _FURTHER, 0, -1)]
        return [(start, self._value(metrics, scope, start)) for start in starts]

    def _value(self, metrics: Metrics, scope: Scope, start: float) -> float | None:
        given: dict[str, float | None] = {}
        for id_, source in self.sources.items():
            observed = metrics.window(scope, source.metric, start, start + self.period)
            given[id_] = statistic(source.statistic)(observed) if observed else None
        return solve(self.queries, given, self.wanted)

    def breaches(self, value: float) -> bool:
        """Whether a value is beyond the threshold."""
        return _COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, why, and the points that it was found by, newest first."""

    state: State
    reason: str
    points: tuple[tuple[float, float], ...]


def evaluate(alarm: Alarm, points: Sequence[tuple[float, float | None]], state: State) -> Verdict:
    """The state of an alarm by its datapoints.

    Parameters
    ----------
    points
        Start and value of periods, oldest first: the evaluation range.
    state
        The present one, which stays where the points decide nothing.
    """
    values = [value for _, value in points]
    there = [(start, value) for start, value in points if value is not None][-alarm.periods :]
    flags = [None if value is None else alarm.breaches(value) for value in values]
    found = decide(flags, alarm.periods, alarm.breaching, alarm.missing, state)
    return Verdict(found, _reason(alarm, there, found), tuple(reversed(there)))


def decide(flags: Sequence[bool | None], periods: int, breaching: int, missing: Missing, state: State) -> State:
    """The state by which of the points breach; None is a missing point.

    Parameters
    ----------
    flags
        The evaluation range, oldest first.
    periods, breaching : int
        Of so many points, so many have to breach.
    """
    there = [each for each in flags if each is not None]
    # With points enough, how missing ones are to be treated does not matter: older ones take their places.
    bad = sum(there[-periods:])
    short = max(periods - len(there), 0)
    if missing == "breaching":
        bad += short
    if bad >= breaching:
        return "ALARM"
    if not short or missing in {"breaching", "notBreaching"}:
        return "OK"
    if not there:
        return "INSUFFICIENT_DATA" if missing == "missing" else state
    if not all(there):
        return "OK"
    # All that is there breaches, but there are too few points. One that is old enough suffices, so that rare data
    # are not waited for in vain; before, the next point may still be a good one.
    age = len(flags) - flags.index(True)
    return "ALARM" if missing == "missing" and age >= breaching else state


def _single(record: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm on one metric, in the shape of one on several."""
    names = ("Namespace", "MetricName", "Dimensions")
    return {
        "Id": "m1",
        "MetricStat": {
            "Metric": {name: record.get(name) for name in names},
            "Period": record.get("Period") or MINUTE,
            "Stat": record.get("ExtendedStatistic") or record.get("Statistic") or "Average",
        },
    }


def _source(stat: Mapping[str, Any]) -> _Source:
    metric = stat["Metric"]
    if not metric.get("Namespace") or not metric.get("MetricName"):
        raise ExpressionError("an alarm's metric has a Namespace and a MetricName")
    statistic(stat["Stat"])
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []}
    return _Source(Metric.of(metric["Namespace"], metric["MetricName"], dimensions), stat["Stat"])


def _reason(alarm: Alarm, there: Sequence[tuple[float, float]], state: State) -> str:
    short = alarm.periods - len(there)
    if not there:
        treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(alarm.missing)
        told = f" and {short} missing datapoints were treated as [{treated}]" if treated else ""
        return f"no datapoints were received for {alarm.periods} periods{told}."
    bad = [value for _, value in there if alarm.breaches(value)]
    shown = bad if state == "ALARM" and bad else [value for _, value in there]
    return (
        f"Threshold Crossed: {len(shown)} out of the last {alarm.periods} datapoints "
        f"[{', '.join(f'{value:.6g}' for value in reversed(shown))}] "
        f"{'were' if state == 'ALARM' else 'were not all'} {_COMPARISONS[alarm.comparison][1]} the threshold "
        f"({alarm.threshold:.6g}); {alarm.breaching} are enough for an alarm."
    )

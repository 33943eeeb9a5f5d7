"""When an alarm goes off, against the tables of the CloudWatch User Guide and a slow reading of its text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.localcloud.alarms import Alarm, Metric, Metrics, Scope, evaluate
from ops.localcloud.alarms.evaluation import State, decide

HERE = Scope("000000000000", "eu-west-1")
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
NOON = 1_800_000_000 // 60 * 60

# "Configuring how CloudWatch alarms treat missing data": X breaches, 0 does not, - is missing; oldest first.
THREE_OF_THREE = (
    ("0 - X - X", ("OK", "OK", "OK", "OK")),
    ("0 - - - -", ("OK", "OK", "OK", "OK")),
    ("- - - - -", ("INSUFFICIENT_DATA", "kept", "ALARM", "OK")),
    ("0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("- - X - -", ("ALARM", "kept", "ALARM", "OK")),
)
TWO_OF_THREE = (
    ("0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("0 - X - -", ("OK", "OK", "ALARM", "OK")),
    ("- - - - 0", ("OK", "OK", "ALARM", "OK")),
    ("- - - X -", ("ALARM", "kept", "ALARM", "OK")),
)
# "Avoiding premature transitions to alarm state": the next point may yet be a good one.
PREMATURE = ("- - - - X", "- - - X -")


def flags(text: str) -> list[bool | None]:
    return [{"X": True, "0": False, "-": None}[each] for each in text.split()]


@pytest.mark.parametrize(
    ("breaching", "text", "expected"),
    [(3, *row) for row in THREE_OF_THREE] + [(2, *row) for row in TWO_OF_THREE],
    ids=str,
)
@pytest.mark.parametrize("state", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_the_tables_of_the_guide_hold(breaching: int, text: str, expected: tuple[str, ...], state: State) -> None:
    found = tuple(decide(flags(text), 3, breaching, each, state) for each in TREATMENTS)  # type: ignore[arg-type]  # from a tuple of text
    assert found == tuple(state if each == "kept" else each for each in expected)


@pytest.mark.parametrize("text", PREMATURE)
def test_a_first_bad_point_is_waited_out(text: str) -> None:
    assert decide(flags(text), 3, 3, "missing", "OK") == "OK"


def slowly(range_: list[bool | None], periods: int, breaching: int, missing: str, state: str) -> str:
    """The guide's text, sentence by sentence."""
    newest_first = list(reversed(range_))
    real = [each for each in newest_first if each is not None]
    if len(real) >= periods:
        return "ALARM" if real[:periods].count(True) >= breaching else "OK"
    if missing in {"breaching", "notBreaching"}:
        filled = real + [missing == "breaching"] * (periods - len(real))
        return "ALARM" if filled.count(True) >= breaching else "OK"
    if real.count(True) >= breaching:
        return "ALARM"
    if not real:
        return "INSUFFICIENT_DATA" if missing == "missing" else state
    if False in real:
        return "OK"
    oldest = max(place for place, each in enumerate(newest_first, start=1) if each)
    return "ALARM" if missing == "missing" and oldest >= breaching else state


@given(st.data())
def test_any_range_is_judged_as_the_text_says(data: st.DataObject) -> None:
    periods = data.draw(st.integers(1, 6))
    breaching = data.draw(st.integers(1, periods))
    range_ = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=periods + 2, max_size=periods + 2))
    missing = data.draw(st.sampled_from(TREATMENTS))
    state = data.draw(st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"]))
    found = decide(range_, periods, breaching, missing, state)  # type: ignore[arg-type]  # drawn as text
    assert found == slowly(range_, periods, breaching, missing, state)


def record(**changes: Any) -> dict[str, Any]:
    whole = {
        "AlarmName": "tried",
        "Namespace": "Tests",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "service", "Value": "a"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    return whole | changes


def state_of(alarm: Alarm, metrics: Metrics, now: float) -> str:
    return evaluate(alarm, alarm.datapoints(metrics, HERE, now), "OK").state


@pytest.mark.parametrize(
    ("comparison", "value", "expected"),
    [
        ("GreaterThanOrEqualToThreshold", 5, "ALARM"),
        ("GreaterThanThreshold", 5, "OK"),
        ("LessThanOrEqualToThreshold", 5, "ALARM"),
        ("LessThanThreshold", 5, "OK"),
    ],
)
def test_what_is_at_the_threshold(comparison: str, value: float, expected: str) -> None:
    alarm, metrics = Alarm.of(record(ComparisonOperator=comparison)), Metrics()
    for back in (0, 60):
        metrics.record(HERE, alarm.metrics[0], value, at=NOON - back)
    assert state_of(alarm, metrics, NOON) == expected


def test_another_metric_of_that_name_does_not_count() -> None:
    alarm, metrics = Alarm.of(record()), Metrics()
    for back in (0, 60):
        metrics.record(HERE, Metric.of("Tests", "Errors", {"service": "b"}), 9, at=NOON - back)
        metrics.record(HERE, Metric.of("Tests", "Errors", {}), 9, at=NOON - back)
        metrics.record(Scope("1", "eu-west-1"), alarm.metrics[0], 9, at=NOON - back)
    assert state_of(alarm, metrics, NOON) == "OK"


def test_a_period_ends_with_the_present_minute() -> None:
    alarm, metrics = Alarm.of(record(Period=300, EvaluationPeriods=1, DatapointsToAlarm=1)), Metrics()
    metrics.record(HERE, alarm.metrics[0], 9, at=NOON - 230)
    assert [value for _, value in alarm.datapoints(metrics, HERE, NOON + 30)] == [None, None, 9.0]
    assert [value for _, value in alarm.datapoints(metrics, HERE, NOON + 59)] == [None, None, 9.0]
    # A minute later it is in the period before that.
    assert [value for _, value in alarm.datapoints(metrics, HERE, NOON + 60)] == [None, 9.0, None]


def ratio(expression: str) -> dict[str, Any]:
    def counted(name: str) -> dict[str, Any]:
        metric = {"Namespace": "Tests", "MetricName": name, "Dimensions": []}
        return {"Metric": metric, "Period": 3600, "Stat": "Sum"}

    whole = record(Threshold=0.1, EvaluationPeriods=1, DatapointsToAlarm=1)
    for name in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period"):
        del whole[name]
    return whole | {
        "Metrics": [
            {"Id": "share", "Expression": expression},
            {"Id": "bad", "MetricStat": counted("Bad"), "ReturnData": False},
            {"Id": "all_", "MetricStat": counted("All"), "ReturnData": False},
        ]
    }


@pytest.mark.parametrize(("bad", "expected"), [(5, "OK"), (6, "OK"), (60, "ALARM")])
def test_a_share_over_an_hour_with_a_floor(bad: int, expected: str) -> None:
    alarm, metrics = Alarm.of(ratio("IF(FILL(bad, 0) > 5, bad / all_, 0)")), Metrics()
    for minute in range(60):
        metrics.record(HERE, Metric("Tests", "All"), 1, at=NOON - 60 * minute, count=2)
    metrics.record(HERE, Metric("Tests", "Bad"), bad, at=NOON - 3_000)
    assert state_of(alarm, metrics, NOON) == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ExtendedStatistic": "tm90"}, "no statistic 'tm90'"),
        ({"Period": 30}, "full minutes"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "GreaterThanUpperThreshold"),
        ({"DatapointsToAlarm": 4}, "between 1 and EvaluationPeriods"),
        ({"TreatMissingData": "perhaps"}, "TreatMissingData is perhaps"),
        (ratio("RATE(bad)"), "no RATE of 1"),
        (ratio("bad / others"), "uses others"),
        (ratio("bad /"), "cannot read 'the end'"),
        (ratio("bad") | {"Metrics": ratio("bad")["Metrics"][1:]}, "not none"),
    ],
    ids=str,
)
def test_what_is_not_known_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Alarm.of(record() | changed)


def test_a_reason_tells_the_points() -> None:
    alarm, metrics = Alarm.of(record()), Metrics()
    for back in (0, 60):
        metrics.record(HERE, alarm.metrics[0], 7 + back, at=NOON - back)
    verdict = evaluate(alarm, alarm.datapoints(metrics, HERE, NOON), "OK")
    assert verdict.points == ((NOON, 7.0), (NOON - 60, 67.0))
    assert "[7, 67] were greater than or equal to the threshold (5)" in verdict.reason
    nothing = evaluate(alarm, alarm.datapoints(Metrics(), HERE, NOON), "ALARM")
    assert nothing.reason == (
        "no datapoints were received for 3 periods and 3 missing datapoints were treated as [NonBreaching]."
    )

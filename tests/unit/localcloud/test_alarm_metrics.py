"""Metrics by the minute, their statistics, metric math and the embedded metric format, against slow readings."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.localcloud.alarms import (
    Distribution,
    ExpressionError,
    Metric,
    Metrics,
    Query,
    Scope,
    StatisticError,
    data_of,
    message_of,
    solve,
    statistic,
)

HERE, ERRORS = Scope("000000000000", "eu-west-1"), Metric("Tests", "Errors")
VALUES = st.lists(st.integers(0, 50).map(float), min_size=1, max_size=30)


def observed(values: list[float]) -> Distribution:
    found = Distribution()
    for each in values:
        found.add(each)
    return found


@given(VALUES, st.floats(0.1, 99.9).map(lambda each: round(each, 1)))
def test_statistics_are_those_of_the_single_values(values: list[float], percent: float) -> None:
    found = observed(values)
    expected = {
        "SampleCount": len(values),
        "Sum": sum(values),
        "Average": np.mean(values),
        "Minimum": min(values),
        "Maximum": max(values),
        f"p{percent}": np.percentile(values, percent),
        "PR(:20)": 100 * np.mean([each <= 20 for each in values]),
        "PR(10:20)": 100 * np.mean([10 < each <= 20 for each in values]),
        "TC(20:)": sum(each > 20 for each in values),
    }
    for name, value in expected.items():
        assert statistic(name)(found) == pytest.approx(value), name


@given(st.lists(st.tuples(st.integers(0, 3_600), st.integers(0, 9)), max_size=40), st.integers(0, 59), st.data())
def test_a_window_holds_what_was_told_within_it(
    told: list[tuple[int, int]], first: int, data: st.DataObject
) -> None:
    last = data.draw(st.integers(first, 60))
    metrics = Metrics()
    for at, value in told:
        metrics.record(HERE, ERRORS, value, at=at)
    expected = [value for at, value in told if first * 60 <= at < last * 60]
    found = metrics.window(HERE, ERRORS, first * 60, last * 60)
    assert (found.count if found else 0) == len(expected)
    assert (found.total if found else 0) == sum(expected)


def test_many_different_values_of_a_minute_are_kept_by_three_digits() -> None:
    values = [float(each) for each in range(1_000, 21_000, 3)]
    found = observed(values)
    assert len(found.values) < 2_500
    assert found.count == len(values)
    assert found.total == sum(values)
    for name, percent in (("p50", 50), ("p99", 99)):
        assert statistic(name)(found) == pytest.approx(np.percentile(values, percent), rel=0.005)


def test_a_statistic_set_has_no_percentiles_unless_all_its_values_are_one() -> None:
    metrics = Metrics()
    metrics.record_set(HERE, ERRORS, {"SampleCount": 3, "Sum": 9, "Minimum": 1, "Maximum": 5}, at=60)
    metrics.record_set(HERE, ERRORS, {"SampleCount": 3, "Sum": 9, "Minimum": 3, "Maximum": 3}, at=120)
    mixed, single = metrics.window(HERE, ERRORS, 60, 120), metrics.window(HERE, ERRORS, 120, 180)
    assert mixed is not None
    assert single is not None
    assert (statistic("Average")(mixed), statistic("p50")(mixed)) == (3, None)
    assert (statistic("Average")(single), statistic("p50")(single)) == (3, 3)


def test_old_points_are_forgotten() -> None:
    metrics, day = Metrics(), 24 * 3_600
    metrics.record(HERE, ERRORS, 1, at=0)
    metrics.record(HERE, Metric("Tests", "Others"), 1, at=day)
    metrics.evict(15.5 * day)
    assert [each.name for each in metrics.known(HERE)] == ["Others"]


@pytest.mark.parametrize("name", ["tm90", "p101", "PR(:)", "Mean", "TS(1:2)"])
def test_an_unknown_statistic_is_refused(name: str) -> None:
    with pytest.raises(StatisticError, match="SampleCount, Sum"):
        statistic(name)


NUMBERS = st.integers(-9, 9).map(float)
EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "2", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "<", ">=", "=="]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda each: f"-({each})"),
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(" ".join),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS, NUMBERS, NUMBERS)
def test_arithmetic_is_that_of_python(text: str, a: float, b: float) -> None:
    expected = eval(text, {"__builtins__": {}}, {"a": a, "b": b})  # noqa: S307 - made of the signs above
    assert solve([Query("e", text)], {"a": a, "b": b}, "e") == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("text", "a", "b", "expected"),
    [
        ("a / b", 1, 0, None),
        ("a / b", None, 2, None),
        ("FILL(a, 3) / b", None, 2, 1.5),
        ("IF(a > 5, a / b, 0)", 6, 12, 0.5),
        ("IF(a > 5, a / b, 0)", 5, 0, 0),
        ("IF(a, 1, 2)", None, 1, None),
        ("MAX([a, b, 4])", None, 7, 7),
        ("MIN([a, b])", None, None, None),
        ("SUM([a, b])", 1, 2, 3),
        ("AVG([a, b])", 1, 2, 1.5),
        ("1 - a / b", 1, 4, 0.75),
        ("a > 1 AND b > 1 || a == 0", 0, 0, 1),
        ("2 ^ 3 + ABS(0 - a)", 1, 0, 9),
        ("a ^ 0.5", -1, 0, None),
    ],
)
def test_missing_values_and_functions(text: str, a: float | None, b: float | None, expected: float | None) -> None:
    assert solve([Query("e", text)], {"a": a, "b": b}, "e") == expected


def test_expressions_use_each_other_but_not_themselves() -> None:
    queries = [Query("e", "2 * f"), Query("f", "a + 1"), Query("g", "h"), Query("h", "g")]
    assert solve(queries, {"a": 3}, "e") == 8
    with pytest.raises(ExpressionError, match="g uses itself"):
        solve(queries, {"a": 3}, "g")


def line(**changes: object) -> str:
    names = {"Namespace": "Paywarden", "Dimensions": [["service"], ["service", "tier"]]}
    metrics = [{"Name": "Approve", "Unit": "Count"}, {"Name": "Lag", "Unit": "Milliseconds"}]
    document = {
        "_aws": {"Timestamp": 1_800_000_000_000, "CloudWatchMetrics": [names | {"Metrics": metrics}]},
        "service": "score_transaction",
        "tier": "high",
        "Approve": 1,
        "Lag": [3, 4.5],
    }
    return json.dumps(document | changes)


def test_metrics_are_found_in_a_log() -> None:
    log = "\n".join(["START", '{"level": "INFO"}', line(), "no { json", "END"])
    found = {(each.metric.name, each.metric.dimensions): each for each in data_of(log)}
    alone, tiered = (("service", "score_transaction"),), (("service", "score_transaction"), ("tier", "high"))
    assert found.keys() == {("Approve", alone), ("Approve", tiered), ("Lag", alone), ("Lag", tiered)}
    lag = found["Lag", tiered]
    assert (lag.values, lag.unit, lag.at, lag.metric.namespace) == (
        (3, 4.5),
        "Milliseconds",
        1_800_000_000,
        "Paywarden",
    )


@pytest.mark.parametrize(
    "broken", [line(_aws={"CloudWatchMetrics": 7}), line(Approve=None), line()[:-1], '"CloudWatchMetrics"']
)
def test_a_line_that_is_broken_is_passed_over(broken: str) -> None:
    assert not [each for each in data_of(broken) if each.metric.name == "Lag"]


def test_a_message_tells_what_is_watched() -> None:
    alarm = {
        "AlarmName": "errors",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:000000000000:alarm:errors",
        "AlarmDescription": "A function fails.",
        "AlarmActions": ["arn:topic"],
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Dimensions": [{"Name": "FunctionName", "Value": "score"}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }
    told = message_of(alarm, old="OK", new="ALARM", reason="so", account="1", region="eu-west-1", at=0.5)
    assert told["StateChangeTime"] == "1970-01-01T00:00:00.500+0000"
    assert (told["OldStateValue"], told["NewStateValue"], told["NewStateReason"]) == ("OK", "ALARM", "so")
    assert told["Trigger"]["Dimensions"] == [{"value": "score", "name": "FunctionName"}]
    assert (told["Trigger"]["StatisticType"], told["Trigger"]["Statistic"]) == ("Statistic", "SUM")
    assert not math.isnan(told["Trigger"]["Threshold"])

"""When alarms go off that compute something, minute by minute, as the templates have them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ops.localcloud.alarms import Alarm, Metric, Metrics, evaluate
from tests.infra.test_alarm_trips import HERE, METRIC, MINUTE, Templates

NOW = 10 * 24 * 60 * MINUTE
DAY = 24 * 60
OURS = "Paywarden/prod"
FOLDED = ("Applied", "Duplicate", "Late", "Covered", "Mismatched", "Rejected", "Poison")

type Found = Callable[[str], Alarm]
type Values = Mapping[tuple[Metric, int], tuple[float, int]]


def of(service: str, *names: str) -> tuple[Metric, ...]:
    return tuple(Metric.of(OURS, name, {"service": service}) for name in names)


APPROVE, REVIEW, DEGRADED = of("score_transaction", "Approve", "Review", "Degraded")
BATCHED, FAILED_IN_BATCH = of("score_transaction", "Batched", "FailedInBatch")
(RELAYED,) = of("relay_decisions", "Relayed")
(MONITORED,) = of("watch_drift", "MonitoredDecisions")


@pytest.fixture(scope="module")
def found(platform: Callable[[str], Any]) -> Found:
    made = {each["AlarmName"]: each for each in Templates(platform("prod"), str).alarms(METRIC)}
    return lambda kind: Alarm.of(made[f"paywarden-prod-{kind}"])


def state(alarm: Alarm, values: Values) -> str:
    """Its state by values that were told so many minutes ago, each so often."""
    metrics = Metrics()
    for (metric, ago), (value, count) in values.items():
        metrics.record(HERE, metric, value, at=NOW - ago * MINUTE, count=count)
    return evaluate(alarm, alarm.datapoints(metrics, HERE, NOW), "OK").state


def test_a_relay_that_nobody_calls_is_told_after_ten_minutes_with_decisions(found: Found) -> None:
    alarm = found("relay-stopped")
    assert alarm.period * alarm.periods == 10 * MINUTE
    decided: Values = {(APPROVE, 8): (1, 1), (REVIEW, 2): (1, 1)}
    assert state(alarm, decided) == "ALARM"
    assert state(alarm, {**decided, (RELAYED, 8): (0, 1), (RELAYED, 2): (0, 1)}) == "ALARM"
    assert state(alarm, {**decided, (RELAYED, 1): (1, 1)}) == "OK"
    assert state(alarm, {(APPROVE, 2): (5, 1)}) == "OK", "they may be on their way"
    assert state(alarm, {}) == "OK", "a night without payments"


@pytest.mark.parametrize("end", FOLDED)
def test_events_that_no_longer_reach_their_features_are_told(found: Found, end: str) -> None:
    alarm = found("updates-stopped")
    assert alarm.period * alarm.periods == 10 * MINUTE
    relayed: Values = {(RELAYED, 8): (3, 1), (RELAYED, 2): (3, 1)}
    assert state(alarm, relayed) == "ALARM"
    (ended,) = of("update_features", end)
    assert state(alarm, {**relayed, (ended, 1): (1, 1)}) == "OK"
    assert state(alarm, {}) == "OK"


def test_a_few_decisions_without_state_wake_nobody(found: Found) -> None:
    alarm = found("degraded-decisions")
    assert state(alarm, {(DEGRADED, 8): (1, 2), (DEGRADED, 2): (1, 2)}) == "OK"
    assert state(alarm, {(DEGRADED, 8): (1, 3), (DEGRADED, 2): (1, 3)}) == "ALARM"
    assert state(alarm, {(DEGRADED, 2): (1, 300)}) == "OK", "a blip"
    # Three of each hundred.
    few: Values = {(DEGRADED, ago): value for ago, value in ((9, (0, 97)), (8, (1, 3)), (3, (0, 97)), (2, (1, 3)))}
    assert state(alarm, few) == "OK"


def test_no_report_is_missed_before_there_were_two_days_of_decisions(found: Found) -> None:
    alarm = found("monitoring-missing")
    assert state(alarm, {}) == "OK", "a first deployment"
    assert state(alarm, {(APPROVE, 60): (9, 1)}) == "OK", "its first day"
    two_days: Values = {(APPROVE, 60): (9, 1), (APPROVE, DAY + 60): (9, 1)}
    assert state(alarm, two_days) == "ALARM"
    assert state(alarm, {**two_days, (MONITORED, 60): (0, 1)}) == "OK", "a report, even on nothing"


def test_payments_that_fail_within_an_answered_batch_use_up_the_allowance(found: Found) -> None:
    alarm = found("decision-availability-fast-short")

    named = {(each.name, dict(each.dimensions).get("Resource", "")): each for each in alarm.metrics}
    of_api = {
        "calls": named["Count", "/v1/decisions"],
        "failed": named["5XXError", "/v1/decisions"],
        "failed_batches": named["5XXError", "/v1/decisions/batch"],
    }

    def share(**counts: int) -> float | None:
        metrics = Metrics()
        for name, value in counts.items():
            metric = {**of_api, "batched": BATCHED, "failed_in_batch": FAILED_IN_BATCH}[name]
            metrics.record(HERE, metric, value, at=NOW - 2 * MINUTE)
        return alarm.datapoints(metrics, HERE, NOW)[-1][1]

    assert share(calls=80, failed=4) == pytest.approx(4 / 80)
    assert share(batched=100, failed_in_batch=100) == 1
    assert share(calls=80, failed=4, batched=100, failed_in_batch=3) == pytest.approx(7 / 180)
    # Nobody knows how many payments were in a batch that was not answered.
    assert share(failed_batches=5, batched=95) == pytest.approx(5 / 100)
    assert share() is None

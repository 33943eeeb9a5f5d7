"""Every drill says what it breaks and who would tell, in the words of the catalogues."""

from typing import Any

import msgspec
import pytest

from fraud.measures import MEASURES
from infra.alarms import KINDS
from tests.drills.catalogue import DRILLS
from tests.drills.drill import Drill, Result, Sign
from tests.drills.proxy import rule
from tests.drills.stage import metric_in
from tests.load.report import Finding

WANTED = {
    *("store-throttled", "store-slow", "bus-down", "backlog", "killed", "poison", "duplicate-storm", "clock-skew"),
    *("stale-configuration", "corrupt-model", "storage-down", "key-denied"),
}


def test_there_is_a_drill_for_every_fault_that_was_asked_for() -> None:
    assert set(DRILLS) == WANTED
    assert list(DRILLS)[-1] == "backlog"


@pytest.mark.parametrize("drill", DRILLS.values(), ids=list(DRILLS))
def test_its_alarms_and_metrics_are_in_the_catalogues(drill: type[Drill]) -> None:
    assert drill.fault
    assert drill.holds
    for sign in drill.signs:
        assert sign.alarm in KINDS
        assert bool(sign.queue) != bool(sign.function)
        if sign.function and sign.metric != "Errors":
            assert sign.function in MEASURES[sign.metric].of


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        ({"_aws": {}, "Degraded": 1}, 1.0),
        ({"_aws": {}, "Degraded": [1.0, 0.0, 1.0]}, 2.0),
        ({"_aws": {}, "Repeated": 1}, 0.0),
        ({"message": "Degraded", "Degraded": 1}, 0.0),
    ],
    ids=["one", "several", "another", "no metric"],
)
def test_metrics_are_read_out_of_log_lines(line: dict[str, Any], counted: float) -> None:
    assert metric_in(msgspec.json.encode(line).decode(), "Degraded") == counted


def test_a_line_that_is_cut_off_counts_nothing() -> None:
    assert metric_in('{"_aws": {}, "Degraded": 1', "Degraded") == 0.0


def test_a_result_holds_only_if_everything_did() -> None:
    def result(*held: bool) -> Result:
        findings = [Finding(str(number), each, "") for number, each in enumerate(held)]
        return Result("n", "f", "h", 0, 0, 1.0, 1, 0, 0, findings)

    assert result(True, True).held
    assert not result(True, False).held
    assert [each.name for each in result(True, False).broken] == ["1"]


def test_a_rule_says_what_the_proxy_is_to_do() -> None:
    assert rule("s3", "GetObject", code="SlowDown", status=503, share=0.5, latency=1.5) == {
        "service": "s3",
        "operation": "GetObject",
        "probability": 0.5,
        "latency": 1_500,
        "error": {"code": "SlowDown", "status": 503, "message": "SlowDown, by a drill"},
    }
    assert "error" not in rule("dynamodb", latency=1.0)


def test_a_sign_says_what_it_looks_at() -> None:
    assert str(Sign("degraded-decisions", "score_transaction", "Degraded")) == "score_transaction Degraded"
    assert str(Sign("dead-letters-updates", queue="UpdateDeadLetterQueueUrl")).endswith("UpdateDeadLetterQueueUrl")

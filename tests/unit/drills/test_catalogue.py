"""Every drill says what it breaks and who would tell, in the words of the catalogues."""

from typing import Any

import msgspec
import pytest

from infra.alarms import KINDS
from tests.drills.catalogue import DRILLS
from tests.drills.counting import metric_in
from tests.drills.drill import Drill, Result, Sign
from tests.drills.proxy import rule
from tests.drills.report import table
from tests.load.report import Finding

WANTED = {
    *("store-throttled", "store-slow", "bus-down", "backlog", "killed", "poison", "duplicate-storm", "clock-skew"),
    *("stale-configuration", "corrupt-model", "storage-down", "key-denied", "relay-stopped", "unrelayed"),
}


def test_there_is_a_drill_for_every_fault_that_was_asked_for() -> None:
    assert set(DRILLS) == WANTED
    assert list(DRILLS)[-1] == "backlog"


@pytest.mark.parametrize("drill", DRILLS.values(), ids=list(DRILLS))
def test_its_alarms_are_in_the_catalogue(drill: type[Drill]) -> None:
    assert drill.fault
    assert drill.holds
    for sign in drill.signs:
        assert sign.alarm in KINDS


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


def test_the_table_says_what_did_not_hold() -> None:
    findings = [Finding("no decision is lost", False, "1 such"), Finding("all else", True, "")]
    lines = table([Result("n", "f", "h", 1, 0, 1_234.56, 9, 2, 3, findings)]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| n | f | h | not: no decision is lost | 1 | 0 | 1,234.6 | 2 of 9 | 3 |"


def test_a_rule_says_what_the_proxy_is_to_do() -> None:
    assert rule("s3", "GetObject", code="SlowDown", status=503, share=0.5, latency=1.5) == {
        "service": "s3",
        "operation": "GetObject",
        "probability": 0.5,
        "latency": 1_500,
        "error": {"code": "SlowDown", "status": 503, "message": "SlowDown, by a drill"},
    }
    assert "error" not in rule("dynamodb", latency=1.0)
    assert rule("dynamodb", latency=1.0, body="Key")["body"] == "Key"


def test_a_sign_is_named_as_its_alarm_is() -> None:
    assert str(Sign("degraded-decisions")) == "degraded-decisions"
    assert str(Sign("function-errors", "score_transaction")) == "function-errors-score_transaction"

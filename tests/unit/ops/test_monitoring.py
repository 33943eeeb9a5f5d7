"""`paywarden monitor`: starts a look, follows it to whatever end it has, and fetches its report."""

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from fraud.monitoring import Figures, MonitoringPolicy
from fraud.monitoring_verdict import judge
from ops import monitoring
from ops.cli import app
from ops.monitoring import FILES, Look, MonitoringError, fetch, follow, start
from tests.unit.ops.clock import Clock, stopped

ARN = "arn:aws:states:eu-west-1:123456789012:execution:monitor:look-1"
DONE = {
    "run_id": "look-1",
    "looks": True,
    "place": "s3://models/monitoring/look-1/",
    "passed": False,
    "reason": "the scores moved",
    "retraining": "drift-00001",
    "told": "drift-00001 was started",
}


class Deployed:
    """Step Functions and S3 around one execution, which runs for some looks and then ends."""

    port = 4566

    def __init__(self, ending: dict[str, Any], *, looks: int = 3) -> None:
        self.ending, self.looks, self.asked = ending, looks, dict[str, Any]()
        verdict = judge(Figures(decisions=5_000, score_index=0.9), MonitoringPolicy())
        self.stored = {f"monitoring/look-1/{name}": b"a page" for name in FILES}
        self.stored["monitoring/look-1/monitoring.json"] = msgspec.json.encode({"verdict": verdict, "rows": 1})

    def __getitem__(self, name: str) -> str:
        return {"MonitorStateMachine": "arn:machine:monitor", "ModelsBucket": "models"}[name]

    def client(self, service: str) -> Any:
        assert service in ("stepfunctions", "s3")
        return self

    def start_execution(self, **asked: Any) -> dict[str, str]:
        self.asked = asked
        return {"executionArn": ARN}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert executionArn == ARN
        self.looks -= 1
        return {"status": "RUNNING"} if self.looks > 0 else self.ending

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_execution_history"
        return self

    def paginate(self, *, executionArn: str, **_page: Any) -> list[dict[str, Any]]:  # noqa: N803 - AWS's name
        assert executionArn == ARN
        names = ("PlanMonitoring", "MonitorLake")[: 2 if self.looks < 2 else 1]
        entered = [{"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name}} for name in names]
        return [{"events": [{"type": "ExecutionStarted"}]}, {"events": entered}]

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - AWS's names
        assert Bucket == "models"
        if Key not in self.stored:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.stored[Key])}


def ended(status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
    return {"status": status, **(more or {"output": msgspec.json.encode(DONE).decode()})}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped(monkeypatch)


def test_a_look_is_started_with_what_was_asked() -> None:
    deployed: Any = Deployed(ended())
    assert start(deployed, "look-1", days=2.5) == ARN
    assert deployed.asked["stateMachineArn"] == "arn:machine:monitor"
    assert msgspec.json.decode(deployed.asked["input"]) == {
        "reason": "started by `paywarden monitor`",
        "look_only": True,
        "days": 2.5,
    }
    start(deployed, "look-1", act=True)
    assert msgspec.json.decode(deployed.asked["input"]).keys() == {"reason", "look_only"}
    assert msgspec.json.decode(deployed.asked["input"])["look_only"] is False


def test_it_is_followed_from_state_to_state_to_what_came_of_it() -> None:
    deployed: Any = Deployed(ended())
    seen: list[str] = []
    look = follow(deployed, ARN, entered=seen.append)
    assert seen == ["PlanMonitoring", "MonitorLake"]
    assert look == Look(
        run_id="look-1",
        looked=True,
        passed=False,
        reason="the scores moved",
        retraining="drift-00001",
        told="drift-00001 was started",
    )


def test_before_the_first_decision_there_is_nothing_to_tell() -> None:
    deployed: Any = Deployed({"status": "SUCCEEDED", "output": '{"run_id": "look-1", "looks": false}'})
    assert follow(deployed, ARN) == Look(run_id="look-1", looked=False)


def test_a_failure_is_told_with_its_state_and_cause() -> None:
    deployed: Any = Deployed(ended("FAILED", error="States.TaskFailed", cause="no plan.json"))
    with pytest.raises(
        MonitoringError, match=r"look-1 ended as FAILED in MonitorLake: States.TaskFailed \| no plan"
    ):
        follow(deployed, ARN)


def test_patience_has_an_end(clock: Clock) -> None:
    deployed: Any = Deployed(ended(), looks=10**6)
    with pytest.raises(MonitoringError, match=r"is not done after 60 s; follow it in the console: arn:"):
        follow(deployed, ARN, timeout=60)
    assert clock.now < 70


def test_a_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    deployed: Any = Deployed(ended())
    assert [path.name for path in fetch(deployed, "look-1", tmp_path)] == list(FILES)
    with pytest.raises(MonitoringError, match="there is no report look-2 under s3://models/monitoring/"):
        fetch(deployed, "look-2", tmp_path)


def test_the_command_prints_a_table_and_keeps_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(monitoring, "connect", lambda _env, **_port: Deployed(ended()))
    done = CliRunner().invoke(app, ["monitor"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "The champion's scores have an index of 0.900" in done.output
    assert "retraining: drift-00001 was started" in done.output
    assert (tmp_path / "build/monitoring/look-1/report.html").read_bytes() == b"a page"


def test_the_report_of_a_look_is_fetched_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deployed = Deployed(ended())
    monkeypatch.setattr(monitoring, "connect", lambda _env, **_port: deployed)
    done = CliRunner().invoke(app, ["monitor", "--fetch", "look-1"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert deployed.asked == {}
    assert "The champion's scores have an index of 0.900" in done.output
    assert (tmp_path / "build/monitoring/look-1/report.html").read_bytes() == b"a page"
    missing = CliRunner().invoke(app, ["monitor", "--fetch", "look-2"])
    assert "the look has not ended, failed, or found no payment" in str(missing.exception)


def test_a_look_can_be_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "connect", lambda _env, **_port: Deployed(ended()))
    done = CliRunner().invoke(app, ["monitor", "--no-wait", "--days", "3"])
    assert done.exit_code == 0, done.output
    assert "goes on by itself" in done.output
    assert "`paywarden monitor --fetch look-1 --env local` has its report" in done.output


@pytest.mark.parametrize(
    ("words", "answer", "look_only"),
    [
        ([], "", True),
        (["--act"], "n\n", None),
        (["--act"], "y\n", False),
        (["--act", "--yes"], "", False),
    ],
)
def test_it_only_looks_unless_it_is_told_to_act_and_then_it_asks(
    monkeypatch: pytest.MonkeyPatch, words: list[str], answer: str, look_only: bool | None
) -> None:
    deployed = Deployed(ended())
    monkeypatch.setattr(monitoring, "connect", lambda _env, **_port: deployed)
    done = CliRunner().invoke(app, ["monitor", "--no-wait", *words], input=answer)
    assert done.exit_code == (look_only is None), done.output
    assert ("Let the alarms of local go by what this look finds" in done.output) == bool(answer)
    asked = msgspec.json.decode(deployed.asked["input"])["look_only"] if deployed.asked else None
    assert asked == look_only

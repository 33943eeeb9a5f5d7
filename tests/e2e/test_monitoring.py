"""Traffic that is not what the champion learned from: a report tells of it, and one retraining is started."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from urllib3.exceptions import HTTPError

from ops.client import Api
from ops.deployment import Deployment
from ops.functions import calling
from ops.inputs import World, decision_body
from ops.lake import query
from ops.monitoring import Look, fetch, follow, start
from tests.waiting import until
from training.monitoring_document import Report

from .conftest import function_logs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.usefixtures("first_model")]

PAYMENTS = 220
RAISED = 20
"""All amounts are so many times what they were."""


def drifting_traffic(api: Api, world: World) -> int:
    """Payments of the world, but for their amounts; returns a moment before the first one, in ms."""
    began = time.time_ns() // 1_000_000
    # The looks begin some moments after their days are counted, and see so much less of the beginning.
    time.sleep(3)

    def pay(number: int) -> None:
        transaction = world.live[number].transaction
        body = decision_body(transaction) | {"transaction_id": f"drift-{number}"}
        body["amount"] = transaction.amount * RAISED
        # As a merchant does whose call failed while the functions were starting: the answer is the same.
        for _ in range(10):
            with suppress(HTTPError):
                if (
                    api.post(transaction.merchant_id, "/v1/decisions", body, at=transaction.event_time).status
                    < 300
                ):
                    return
            time.sleep(0.5)
        raise AssertionError(f"payment {number} was never decided")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(pay, range(PAYMENTS)))
    return began


def wait_for_lake(deployment: Deployment) -> None:
    words = "SELECT count(DISTINCT event_id) AS found FROM decisions WHERE transaction_id LIKE 'drift-%'"
    until(
        lambda: int(query(deployment, words)[0]["found"]) >= PAYMENTS,
        within=60,
        pause=1,
        what="all decisions in the lake",
    )


def retrainings(deployment: Deployment, *, running: bool = False) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = deployment.client("stepfunctions").list_executions(
        stateMachineArn=deployment["RetrainStateMachine"]
    )["executions"]
    return [each for each in listed if not running or each["status"] == "RUNNING"]


def test_drift_is_reported_counted_and_starts_one_retraining(
    deployment: Deployment, api: Api, world: World, tmp_path: Path
) -> None:
    states = deployment.client("stepfunctions")
    for each in retrainings(deployment, running=True):
        states.stop_execution(executionArn=each["executionArn"], cause="another test left it")
    before = {each["name"] for each in retrainings(deployment)}
    began = drifting_traffic(api, world)
    wait_for_lake(deployment)
    # Only what this test sent; two people look at the same time.
    days = (time.time_ns() // 1_000_000 - began) / 86_400_000
    arns = [start(deployment, f"look-{name}", days=days, act=True) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        looks: list[Look] = list(pool.map(lambda arn: follow(deployment, arn, timeout=120), arns))
    began_now = [each for each in retrainings(deployment) if each["name"] not in before]
    for each in began_now:
        states.stop_execution(executionArn=each["executionArn"], cause="the test has seen it start")

    assert [each["name"] for each in began_now] == ["drift-00001"]
    # Where they meet in the middle, both tell of it; the input names the one that asked for it.
    asked = states.describe_execution(executionArn=began_now[0]["executionArn"])["input"]
    [first] = [each for each in looks if f"drift, see the report {each.run_id}" in asked]
    assert first.retraining == "drift-00001"
    assert {each.retraining for each in looks} <= {"", "drift-00001"}

    paths = fetch(deployment, first.run_id, tmp_path)
    report = msgspec.json.decode(paths[0].read_bytes(), type=Report)
    assert report.figures.decisions == PAYMENTS
    assert report.verdict.retrain
    assert "amount" in {each.name for each in report.features if each.drifted}
    assert report.scores[0].against == "evaluation"
    assert (report.audit.decided_twice, report.audit.lost) == (0, 0)
    assert report.verdict.reason in first.reason or first.reason in report.verdict.reason
    page = (tmp_path / "report.html").read_text()
    assert "The world is not what the champion learned from" in page

    lines = [msgspec.json.decode(line) for group, line in function_logs(deployment) if '"ScoreDrift"' in line]
    counted = [each for each in lines if each["service"] == "watch_drift"]
    assert len(counted) == 2
    assert counted[0]["ScoreDrift"] == [report.figures.score_index]
    assert counted[0]["MonitoredDecisions"] == [float(PAYMENTS)]

    # Who comes later reads who asked for it, and what became of that.
    [second] = [each for each in looks if each is not first]
    report_of = f"s3://{deployment['ModelsBucket']}/monitoring/{second.run_id}/monitoring.json"
    late = calling(deployment, "watch_drift")({"uri": report_of})
    assert late["told"].startswith("drift-00001 was started for drift less than")

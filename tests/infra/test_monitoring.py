"""The state machine `monitor`: its ways, what it asks of AWS, what it may do, and when it runs."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.validate import ParamValidator

from infra.environments import PROD
from infra.workflows.monitor import MONITOR_FUNCTIONS, MONITOR_SUBSTITUTIONS, monitor
from lambdas.plan_training.monitoring import monitoring
from lambdas.plan_training.plans import Part
from tests.infra.asl import Walk, walk
from tests.infra.test_permissions import actions, listed
from tests.infra.test_workflow import FILLED, SAGEMAKER, named

DEFINITION = monitor()
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]


def go(
    *,
    sources: tuple[str, ...] = ("decisions", "labels"),
    size: int = 1,
    redrives: int = 0,
    look_only: bool = False,
) -> Walk:
    part = Part(objects=1, bytes=size, fingerprint="f")

    def answer(state: str, request: dict[str, Any]) -> Any:
        if state == "PlanMonitoring":
            look = monitoring(
                request["Payload"],
                champion="run-0",
                evaluated=True,
                snapshots=dict.fromkeys(sources, part),
                since=0,
                own=PROD.run_policy,
                bounds=PROD.monitoring_policy,
            )
            return {"Payload": look.state(models="models")}
        if state == "MonitorLake":
            return {}
        report = "s3://models/monitoring/run-1/monitoring.json"
        assert request["Payload"] == {"uri": report, "look_only": look_only}
        told = {"passed": False, "reason": "it drifted", "retraining": "drift-00001", "told": "started"}
        return {"Payload": {"run_id": "run-1", **told}}

    text = re.sub(r"\$\{\w+\}", FILLED, json.dumps(DEFINITION))
    asked = {"reason": "the daily schedule"} | ({"look_only": True} if look_only else {})
    return walk(json.loads(text), asked, answer, redrives=redrives)


def test_a_look_plans_measures_and_tells() -> None:
    walked = go()
    assert walked.states == ["PlanMonitoring", "HasDecisions", "MonitorLake", "WatchDrift", "Looked", "Reported"]
    assert walked.output == {
        "run_id": "run-1",
        "looks": True,
        "place": "s3://models/monitoring/run-1/",
        "passed": False,
        "reason": "it drifted",
        "retraining": "drift-00001",
        "told": "started",
    }
    assert walked.largest < 16_000


def test_who_only_looks_goes_the_same_way_and_says_so() -> None:
    assert go(look_only=True).states == go().states


def test_before_the_first_decision_nothing_is_measured() -> None:
    walked = go(sources=("history",))
    assert walked.states[-2:] == ["NothingYet", "NothingToReport"]
    assert walked.output == {"run_id": "run-1", "looks": False}


@pytest.mark.parametrize("size", [1, 3 * 10**9])
def test_the_job_is_one_that_sagemaker_takes(size: int) -> None:
    jobs = [request for _, resource, request in go(size=size).requests if "sagemaker" in resource]
    jobs += [request for _, resource, request in go(size=size, redrives=1).requests if "sagemaker" in resource]
    shape = SAGEMAKER.operation_model("CreateProcessingJob").input_shape
    assert shape is not None
    for request in jobs:
        found = ParamValidator().validate(request, shape)
        assert not found.has_errors(), found.generate_report()
        for pattern, value in named(request, shape):
            assert re.fullmatch(pattern, value), (pattern, value)
        assert request["StoppingCondition"]["MaxRuntimeInSeconds"] < STATES["MonitorLake"]["TimeoutSeconds"]
        assert request["NetworkConfig"]["EnableNetworkIsolation"] is (size == 1)
    assert [each["ProcessingJobName"] for each in jobs] == ["run-1-monitor-r0", "run-1-monitor-r1"]


def test_no_failure_is_caught_and_every_task_has_a_limit() -> None:
    tasks = [each for each in STATES.values() if each["Type"] == "Task"]
    assert not [each for each in STATES.values() if "Catch" in each or each["Type"] == "Fail"]
    assert sum(each["TimeoutSeconds"] for each in tasks) <= DEFINITION["TimeoutSeconds"]
    assert all(1 <= retry["MaxAttempts"] <= 5 for each in tasks for retry in each["Retry"])


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_every_environment_runs_the_very_same_text(platform: Callable[[str], Any], name: str) -> None:
    (properties,) = [
        each["Properties"]
        for each in platform(name).resources("training", "AWS::StepFunctions::StateMachine").values()
        if each["Properties"]["StateMachineName"] == f"paywarden-{name}-monitor"
    ]
    assert json.loads(properties["DefinitionString"]) == DEFINITION
    assert set(properties["DefinitionSubstitutions"]) == MONITOR_SUBSTITUTIONS
    assert "MonitorStateMachine" in platform(name).raw("training")["Outputs"]


def test_it_is_daily_where_the_platform_stays_up(platform: Callable[[str], Any]) -> None:
    def scheduled(name: str) -> dict[str, str]:
        found = [each["Properties"] for each in platform(name).resources("training", "AWS::Events::Rule").values()]
        return {each["Description"]: each["ScheduleExpression"] for each in found if "ScheduleExpression" in each}

    assert scheduled("prod")["Paywarden: how models and data do"] == "cron(0 5 * * ? *)"
    assert scheduled("local") == {}


def test_it_knows_only_its_own_job_role_and_functions(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "monitoringrole")
    (jobs,) = [each for each in statements if any("sagemaker:" in action for action in listed(each["Action"]))]
    assert json.dumps(jobs["Resource"]).endswith('processing-job/*-monitor-r*"]]}')
    (calls,) = [each for each in statements if "lambda:InvokeFunction" in listed(each["Action"])]
    called = {each["Fn::GetAtt"][0].partition("function")[0] for each in listed(calls["Resource"])}
    assert called == {each.replace("_", "") for each in MONITOR_FUNCTIONS}
    (passing,) = [each for each in statements if "iam:PassRole" in listed(each["Action"])]
    assert passing["Resource"]["Fn::GetAtt"][0].startswith("monitorrole")


def test_its_job_writes_reports_and_nothing_that_anybody_serves_by(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "monitorrole")
    (writing,) = [each for each in statements if "s3:PutObject" in listed(each["Action"])]
    assert json.dumps(writing["Resource"]).endswith('"/monitoring/*"]]}')
    assert "s3:DeleteObject" not in actions(statements)


def test_drift_may_start_the_retraining_and_nothing_else(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "watchdriftrole")
    (starting,) = [each for each in statements if "states:StartExecution" in listed(each["Action"])]
    assert starting["Resource"]["Ref"].startswith("retraining")
    (writing,) = [each for each in statements if "s3:PutObject" in listed(each["Action"])]
    assert json.dumps(writing["Resource"]).endswith('"/drift/*"]]}')
    (asking,) = [each for each in statements if "states:DescribeExecution" in listed(each["Action"])]
    assert json.dumps(asking["Resource"]).endswith(':execution:paywarden-prod-retrain:drift-*"]]}')


def test_a_plan_asks_which_retrainings_run(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "plantrainingrole")
    (asking,) = [each for each in statements if "states:ListExecutions" in listed(each["Action"])]
    assert json.dumps(asking["Resource"]).endswith(':stateMachine:paywarden-prod-retrain"]]}')
    for name, loose in (("prod", "false"), ("staging", "false"), ("dev", "true"), ("local", "true")):
        (variables,) = [
            each["Properties"]["Environment"]["Variables"]
            for id_, each in platform(name).resources("training", "AWS::Lambda::Function").items()
            if id_.startswith("plantraining")
        ]
        assert variables["LOOSE_RUNS"] == loose
        assert json.dumps(variables["RETRAIN_STATE_MACHINE"]).endswith(f':paywarden-{name}-retrain"]]}}')


def test_a_look_that_fails_or_hangs_is_told(platform: Callable[[str], Any]) -> None:
    (alarm,) = [
        each["Properties"]
        for each in platform("prod").resources("training", "AWS::CloudWatch::Alarm").values()
        if each["Properties"]["AlarmName"] == "paywarden-prod-monitoring-failed"
    ]
    counted = {each["MetricStat"]["Metric"]["MetricName"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert counted == {"ExecutionsFailed", "ExecutionsTimedOut"}

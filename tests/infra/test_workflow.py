"""The state machine `retrain`: one way to succeed, one way to fail, and limits on everything."""

import json
import re
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest

from infra.workflows import SUBSTITUTIONS, retrain

DEFINITION = retrain()
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
TASKS = {name: each for name, each in STATES.items() if each["Type"] == "Task"}
JOBS = {name: each for name, each in TASKS.items() if "sagemaker" in each["Resource"]}


def path_of_success() -> list[str]:
    names = [DEFINITION["StartAt"]]
    while (state := STATES[names[-1]])["Type"] != "Succeed":
        names.append(state["Choices"][0]["Next"] if state["Type"] == "Choice" else state["Next"])
    return names


def test_the_phases_come_in_this_order() -> None:
    assert path_of_success() == [
        *("PlanTraining", "BuildDataset", "TrainModel", "EvaluateModel"),
        *("RegisterModel", "IsBetter", "PromoteModel", "ModelServes"),
    ]


def test_a_model_that_is_not_better_does_not_serve() -> None:
    choice = STATES["IsBetter"]
    assert choice["Choices"] == [
        {"Variable": "$.registration.promote", "BooleanEquals": True, "Next": "PromoteModel"}
    ]
    assert STATES[choice["Default"]]["Type"] == "Succeed"


@pytest.mark.parametrize("name", [each for each in TASKS if each != "NotifyFailure"])
def test_every_failure_goes_the_one_way(name: str) -> None:
    assert TASKS[name]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "NotifyFailure"}
    ]


def test_the_one_way_tells_people_and_fails_even_if_that_fails() -> None:
    notify = STATES["NotifyFailure"]
    assert notify["Resource"] == "arn:aws:states:::sns:publish"
    assert notify["Next"] == notify["Catch"][0]["Next"] == "RetrainFailed"
    assert STATES["RetrainFailed"] == {
        "Type": "Fail",
        "ErrorPath": "$.failure.Error",
        "CausePath": "$.failure.Cause",
    }
    assert [name for name, each in STATES.items() if each["Type"] == "Fail"] == ["RetrainFailed"]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_limit_and_a_retry_budget(name: str) -> None:
    assert 0 < TASKS[name]["TimeoutSeconds"] < DEFINITION["TimeoutSeconds"]
    for retry in TASKS[name]["Retry"]:
        assert 1 <= retry["MaxAttempts"] <= 5
        # An error of our own code, or of a job that ran, is not tried again.
        assert "States.ALL" not in retry["ErrorEquals"]


def test_the_whole_takes_longer_than_the_jobs_together() -> None:
    assert sum(each["TimeoutSeconds"] for each in JOBS.values()) <= DEFINITION["TimeoutSeconds"]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_stops_before_its_task_gives_up(name: str) -> None:
    parameters = JOBS[name]["Parameters"]
    assert parameters["StoppingCondition"]["MaxRuntimeInSeconds"] < JOBS[name]["TimeoutSeconds"]
    machines = parameters.get("ResourceConfig") or parameters["ProcessingResources"]["ClusterConfig"]
    network = parameters.get("NetworkConfig", parameters)
    if name == "BuildDataset":
        # The plan says it; tests/unit/lambdas/test_plan_training.py holds what it may say.
        places = [*machines.values(), *network.values()]
        assert places == [
            f"$.dataset_machines.{each}" for each in ("count", "type", "volume_gb", "isolated", "encrypted")
        ]
    else:
        assert machines == {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        assert network["EnableNetworkIsolation"] is True


def _field_names(value: Any) -> set[str]:
    return {name.removesuffix(".$") for name in value}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_request_has_only_fields_that_sagemaker_knows(name: str) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    operation = JOBS[name]["Resource"].rsplit(":", 1)[-1].removesuffix(".sync")
    shape = model.operation_model(operation[0].upper() + operation[1:]).input_shape
    assert shape is not None

    def check(given: Any, known: Any) -> None:
        if known.type_name == "structure":
            assert _field_names(given) <= set(known.members), given
            assert set(known.required_members) <= _field_names(given), given
            for field, value in given.items():
                # A value taken from the state is checked where it is made.
                if not field.endswith(".$"):
                    check(value, known.members[field])
        elif known.type_name == "list":
            for each in given:
                check(each, known.member)

    check(JOBS[name]["Parameters"], shape)


def test_the_definition_asks_for_exactly_its_placeholders() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(DEFINITION))) == SUBSTITUTIONS


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_every_environment_runs_the_very_same_text(platform: Callable[[str], Any], name: str) -> None:
    (machine,) = platform(name).resources("training", "AWS::StepFunctions::StateMachine").values()
    properties = machine["Properties"]
    assert json.loads(properties["DefinitionString"]) == DEFINITION
    assert set(properties["DefinitionSubstitutions"]) == SUBSTITUTIONS
    assert properties["TracingConfiguration"] == {"Enabled": True}
    assert properties["LoggingConfiguration"]["Level"] == "ALL"


def test_only_the_image_differs_where_there_are_no_containers(platform: Callable[[str], Any]) -> None:
    images = {}
    for name in ("local", "dev"):
        (machine,) = platform(name).resources("training", "AWS::StepFunctions::StateMachine").values()
        images[name] = machine["Properties"]["DefinitionSubstitutions"]["training_image"]
    assert images["local"] == "paywarden-training:local"
    assert "container-assets" in json.dumps(images["dev"])


def test_retraining_is_weekly_where_the_platform_stays_up(platform: Callable[[str], Any]) -> None:
    (rule,) = platform("prod").resources("training", "AWS::Events::Rule").values()
    assert rule["Properties"]["ScheduleExpression"] == "cron(0 3 ? * MON *)"
    (target,) = rule["Properties"]["Targets"]
    assert json.loads(target["Input"]) == {"reason": "the weekly schedule"}
    assert not platform("local").resources("training", "AWS::Events::Rule")

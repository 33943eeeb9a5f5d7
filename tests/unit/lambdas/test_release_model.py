"""The steps of a release as the state machine asks for them, and as the rule for failed executions does."""

import dataclasses
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from fraud.bundle import CorruptBundleError
from fraud.release import ReleasePolicy
from fraud.serving import Canary, Serving
from runtime import clients
from runtime.publishing import BusyError
from runtime.stores.lineages import Event
from runtime.stores.releases import DynamoReleaseStore
from tests.unit.lambdas.releases import GROUP, Executions, Registry, lineage, releases_table
from tests.unit.lambdas.support import POLICY, REGION, Context, bundle
from tests.unit.runtime.appconfig import AppConfig

EXECUTION = f"arn:aws:states:{REGION}:123456789012:execution:paywarden-test-retrain:run-2"


@pytest.fixture
def config() -> AppConfig:
    return AppConfig(Serving(policy=POLICY, champion="run-1", challengers=("run-7",)))


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.put(f"{GROUP}/run-2", "Approved")
    made.put(f"{GROUP}/run-3")
    return made


@pytest.fixture
def store(aws: None) -> DynamoReleaseStore:
    del aws
    made = releases_table()
    for version in ("run-2", "run-3"):
        made.register(lineage(version))
    return made


@pytest.fixture
def executions() -> Executions:
    return Executions(statuses={EXECUTION: "FAILED"})


@pytest.fixture
def function(
    load: Any,
    store: DynamoReleaseStore,
    config: AppConfig,
    registry: Registry,
    executions: Executions,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    del store
    monkeypatch.setattr(clients, "appconfig", lambda: config)
    monkeypatch.setattr(clients, "stepfunctions", lambda: executions)
    monkeypatch.setattr(clients, "sagemaker", lambda: registry)
    boto3.client("sns").create_topic(Name="alarms")
    clients.s3().create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    module: ModuleType = load("release_model")
    for version in ("run-1", "run-2", "run-3"):
        module.releaser.bundles.add(*bundle(version))
    return module


@pytest.fixture
def told(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What people were told, message by message."""
    found: list[dict[str, str]] = []
    publish = function.topic.publish

    def listen(**message: str) -> Any:
        found.append(message)
        return publish(**message)

    monkeypatch.setattr(function.topic, "publish", listen)
    return found


def event(action: str, version: str = "run-2", **policy: Any) -> dict[str, Any]:
    """What the state machine sends."""
    return {
        "action": action,
        "run_id": version,
        "version": version,
        "champion": "run-1",
        "policy": msgspec.to_builtins(msgspec.structs.replace(ReleasePolicy(), **policy)),
        "reason": "It finds more fraud.",
        "execution": EXECUTION,
    }


def test_the_policy_says_the_share_and_whether_there_is_a_probation(
    function: ModuleType, config: AppConfig
) -> None:
    function.handler(event("canary", canary_share=0.25), Context())
    assert config.serving.canary == Canary(version="run-2", share=0.25)
    answer = function.handler(event("promote", probation_minutes=5.0), Context())
    assert config.serving == Serving(policy=POLICY, champion="run-2", challengers=("run-7", "run-1"))
    assert (answer["champion"], answer["changed"], answer["number"]) == ("run-2", True, 3)
    function.handler(event("confirm"), Context())
    assert config.serving == Serving(policy=POLICY, champion="run-2", challengers=("run-7",))


def test_without_a_probation_the_champion_before_is_gone(function: ModuleType, config: AppConfig) -> None:
    function.handler(event("promote", probation_minutes=0.0), Context())
    assert config.serving == Serving(policy=POLICY, champion="run-2", challengers=("run-7",))
    assert config.told == ["release 2: promote run-2: It finds more fraud."]


def test_since_is_when_the_stage_was_entered_last(function: ModuleType, store: DynamoReleaseStore) -> None:
    first = function.handler(event("shadow"), Context())
    again = function.handler(event("shadow"), Context())
    found = store.lineage("run-2")
    assert found is not None
    shadow, anew = found.events[-2:]
    assert (first["since"], again["since"]) == (shadow.at, anew.at)
    assert 1 < shadow.at <= anew.at
    assert (first["changed"], again["changed"]) == (True, False)
    assert found.events[-1].by == "retrain:run-2"


def test_what_the_registry_does_not_have_as_approved_decides_on_nothing(
    function: ModuleType, config: AppConfig, registry: Registry
) -> None:
    answer = function.handler(event("canary", "run-3"), Context())
    assert (answer["refused"], answer["changed"], "not approved" in answer["reason"]) == (True, False, True)
    assert config.serving.canary is None
    registry.put(f"{GROUP}/run-3", "Approved")
    assert function.handler(event("canary", "run-3"), Context())["refused"] is False
    assert config.serving.canary is not None
    registry.packages.clear()  # whose approval is gone with it
    assert function.handler(event("promote", "run-3"), Context())["refused"] is True
    assert config.serving.champion == "run-1"


@pytest.mark.parametrize("action", ["canary", "promote"])
@pytest.mark.parametrize("planned", ["run-7", ""])
def test_a_run_is_refused_when_the_champion_is_not_the_one_it_was_planned_for(
    function: ModuleType, config: AppConfig, action: str, planned: str
) -> None:
    answer = function.handler({**event(action), "champion": planned}, Context())
    assert (answer["refused"], answer["changed"], answer["since"]) == (True, False, 0)
    assert "the champion is run-1 meanwhile" in answer["reason"]
    assert config.serving.deciding == ("run-1",)


def test_a_model_that_was_withdrawn_is_not_confirmed(
    function: ModuleType, config: AppConfig, store: DynamoReleaseStore
) -> None:
    function.handler(event("promote"), Context())
    function.handler({"action": "withdraw", "execution": EXECUTION, "reason": "it failed"}, Context())
    answer = function.handler(event("confirm"), Context())
    assert (answer["refused"], answer["reason"]) == (True, "the champion is run-1, and no longer run-2")
    assert config.serving.champion == "run-1"
    found = store.lineage("run-2")
    assert found is not None
    assert found.last("confirmed") is None


def test_what_never_was_registered_is_a_mistake_and_no_refusal(function: ModuleType) -> None:
    with pytest.raises(ValueError, match="never registered"):
        function.handler(event("shadow", "run-1"), Context())


def test_a_roll_back_takes_the_approval_too_and_a_failure_does_not(
    function: ModuleType, config: AppConfig, registry: Registry, store: DynamoReleaseStore
) -> None:
    for stopped_at in (1_767_268_800_000, "1767268800000", ""):
        function.handler(event("promote"), Context())
        failed = {"action": "withdraw", "execution": EXECUTION, "stopped_at": stopped_at, "reason": "it failed"}
        assert function.handler(failed, Context())["champion"] == "run-1"
    assert registry.packages[f"{GROUP}/run-2"]["ModelApprovalStatus"] == "Approved"
    function.handler(event("promote"), Context())
    for _ in range(2):
        function.handler({**event("withdraw"), "reason": "too many declined"}, Context())
    assert config.serving.champion == "run-1"
    package = registry.packages[f"{GROUP}/run-2"]
    assert package["ModelApprovalStatus"] == "Rejected"
    assert package["ApprovalDescription"] == "withdraw run-2: too many declined"
    found = store.lineage("run-2")
    assert found is not None
    told = [*["champion", "withdrawn"] * 4, "declined"]
    assert [each.what for each in found.events[1:]] == told
    assert found.state == "withdrawn"


def test_a_roll_back_leaves_what_a_person_said(function: ModuleType, registry: Registry) -> None:
    function.handler(event("shadow", "run-3"), Context())
    registry.put(f"{GROUP}/run-3", "Rejected", ApprovalDescription="I do not like it.")
    function.handler(event("withdraw", "run-3"), Context())
    assert registry.packages[f"{GROUP}/run-3"]["ApprovalDescription"] == "I do not like it."


def test_people_are_told_of_a_run_that_ended_badly_and_what_came_of_it(
    function: ModuleType, executions: Executions, told: list[dict[str, str]]
) -> None:
    failed = {"action": "withdraw", "execution": EXECUTION, "stopped_at": 1, "reason": "the run ended as FAILED"}
    function.handler(event("withdraw"), Context())
    assert told == [], "no run has failed where a model is rolled back"
    function.handler(event("promote"), Context())
    function.handler(failed, Context())
    executions.statuses[EXECUTION], executions.redriven = "RUNNING", datetime.now(UTC)
    function.handler(failed, Context())
    for each in told:
        assert each["TopicArn"] == function.settings.alarm_topic
        assert each["Subject"] == "Paywarden: run run-2 ended badly"
        assert each["Message"].startswith("Paywarden: run run-2: the run ended as FAILED. What it had released ")
        assert each["Message"].endswith("paywarden train --resume run-2")
        assert EXECUTION in each["Message"]
    withdrawn, left = (each["Message"] for each in told)
    assert "What it had released was withdrawn." in withdrawn
    assert "What it had released stays: " in left
    assert "re-driven" in left


def test_people_are_told_of_a_run_whatever_its_name(function: ModuleType, told: list[dict[str, str]]) -> None:
    execution = f"arn:aws:states:{REGION}:123456789012:execution:paywarden-test-retrain:{'größe' * 16}"
    function.handler(
        {"action": "withdraw", "execution": execution, "stopped_at": 1, "reason": "it failed"}, Context()
    )
    (message,) = told
    # SNS wants less than 100 characters, and those of ASCII.
    assert len(message["Subject"]) == 99
    assert message["Subject"].isascii()
    assert execution in message["Message"]


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_a_late_withdrawal_leaves_alone_what_was_re_driven(
    function: ModuleType, config: AppConfig, executions: Executions, status: str
) -> None:
    function.handler(event("promote"), Context())
    executions.statuses[EXECUTION] = status
    executions.redriven = datetime.fromtimestamp(1_767_268_800.001, UTC)
    for stopped_at in (1_767_268_800_000, "1767268800000", ""):
        late = {"action": "withdraw", "execution": EXECUTION, "stopped_at": stopped_at, "reason": "it failed"}
        answer = function.handler(late, Context())
        assert (answer["refused"], answer["changed"], "re-driven" in answer["reason"]) == (True, False, True)
        assert config.serving.champion == "run-2"


@pytest.mark.parametrize("before", [None, datetime.fromtimestamp(1_767_268_799.999, UTC)])
def test_an_end_that_step_functions_does_not_tell_yet_is_no_re_drive(
    function: ModuleType, config: AppConfig, executions: Executions, before: datetime | None
) -> None:
    function.handler(event("promote"), Context())
    executions.statuses[EXECUTION], executions.redriven = "RUNNING", before
    fresh = {"action": "withdraw", "execution": EXECUTION, "stopped_at": 1_767_268_800_000, "reason": "it failed"}
    answer = function.handler(fresh, Context())
    assert (answer["refused"], answer["changed"], config.serving.champion) == (False, True, "run-1")


@pytest.mark.parametrize("known", [True, False])
def test_a_late_withdrawal_leaves_alone_what_a_person_let_in_since(
    function: ModuleType, config: AppConfig, executions: Executions, store: DynamoReleaseStore, known: bool
) -> None:
    if not known:
        executions.statuses.clear()  # Step Functions forgets executions after 90 days
    function.handler(event("promote"), Context())
    late = {"action": "withdraw", "execution": EXECUTION, "stopped_at": "1767268800000", "reason": "it failed"}
    store.happened("run-2", Event(what="champion", at=2**53, by="jane", reason="I want it"), anew=True)
    answer = function.handler(late, Context())
    assert (answer["refused"], answer["reason"]) == (True, "jane made model run-2 champion: I want it")
    assert config.serving.champion == "run-2"
    store.happened("run-2", Event(what="champion", at=2**53, by="retrain:run-2"), anew=True)
    assert function.handler(late, Context())["changed"] is True
    assert config.serving.champion == "run-1"


def test_a_deployment_of_somebody_else_is_waited_for_as_long_as_the_call_may_take(
    function: ModuleType, config: AppConfig
) -> None:
    config.busy = 1_000
    waited: list[float] = []
    function.releaser = dataclasses.replace(
        function.releaser, publisher=dataclasses.replace(function.releaser.publisher, pause=waited.append)
    )
    with pytest.raises(BusyError):
        function.handler(event("promote"), Context())
    assert sum(waited) == 105  # of the two minutes that the call had left


@pytest.mark.parametrize("named", [{"execution": EXECUTION}, {"execution": "run-2"}, {"version": "run-2"}])
def test_an_execution_that_failed_is_withdrawn_by_its_name(
    function: ModuleType, config: AppConfig, named: dict[str, str]
) -> None:
    function.handler(event("promote"), Context())
    answer = function.handler({"action": "withdraw", **named, "reason": "it failed"}, Context())
    assert (answer["version"], answer["changed"], answer["champion"]) == ("run-2", True, "run-1")
    assert config.serving.champion == "run-1"


def test_a_run_that_released_nothing_is_left_alone(function: ModuleType, config: AppConfig) -> None:
    for execution in ("run-3", "a run that failed at its very beginning, with a long name"):
        answer = function.handler({"action": "withdraw", "execution": execution}, Context())
        assert (answer["changed"], answer["number"]) == (False, 0)
    assert len(config.deployments) == 1


def test_a_bundle_that_is_damaged_is_not_promoted(function: ModuleType, config: AppConfig) -> None:
    clients.s3().put_object(Bucket="models", Key="bundles/run-2/model.ubj", Body=b"damaged")
    with pytest.raises(CorruptBundleError, match=r"model\.ubj"):
        function.handler(event("promote"), Context())
    assert config.serving.champion == "run-1"


@pytest.mark.parametrize("wrong", [{"action": "explode", "version": "run-2"}, {"action": "promote"}])
def test_what_is_not_understood_changes_nothing(
    function: ModuleType, config: AppConfig, wrong: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"action|version"):
        function.handler(wrong, Context())
    assert len(config.deployments) == 1

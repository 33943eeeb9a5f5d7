"""The steps of a release as the state machine asks for them, and as the rule for failed executions does."""

from types import ModuleType
from typing import Any

import msgspec
import pytest

from fraud.bundle import CorruptBundleError
from fraud.release import ReleasePolicy
from fraud.serving import Canary, Serving
from runtime import clients
from runtime.releasing import NotReleasedError
from runtime.stores.releases import DynamoReleaseStore
from tests.unit.lambdas.releases import GROUP, Registry, lineage, releases_table
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
def function(
    load: Any, store: DynamoReleaseStore, config: AppConfig, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    del store
    monkeypatch.setattr(clients, "appconfig", lambda: config)
    monkeypatch.setattr(clients, "sagemaker", lambda: registry)
    clients.s3().create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    module: ModuleType = load("release_model")
    for version in ("run-1", "run-2", "run-3"):
        module.releaser.bundles.add(*bundle(version))
    return module


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
    assert config.told == ["promote run-2: It finds more fraud."]


def test_since_is_when_the_stage_began_also_when_asked_again(
    function: ModuleType, store: DynamoReleaseStore
) -> None:
    first = function.handler(event("shadow"), Context())
    again = function.handler(event("shadow"), Context())
    found = store.lineage("run-2")
    assert found is not None
    assert first["since"] == again["since"] == found.events[-1].at > 1
    assert (first["changed"], again["changed"]) == (True, False)
    assert found.events[-1].by == "retrain:run-2"


def test_what_the_registry_does_not_have_as_approved_decides_on_nothing(
    function: ModuleType, config: AppConfig, registry: Registry
) -> None:
    with pytest.raises(NotReleasedError, match="not approved"):
        function.handler(event("canary", "run-3"), Context())
    registry.put(f"{GROUP}/run-3", "Approved")
    function.handler(event("canary", "run-3"), Context())
    assert config.serving.canary is not None


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

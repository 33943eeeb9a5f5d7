"""One change of the serving document: the champion, and nothing else."""

from types import ModuleType
from typing import Any

import msgspec
import pytest

from fraud.bundle import CorruptBundleError
from fraud.serving import Canary, Serving
from runtime import clients
from runtime.configuration import ConfigurationError
from tests.unit.lambdas.support import POLICY, REGION, AppConfigData, Context, bundle


class AppConfig:
    """AppConfig's control plane, which keeps what it is told."""

    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []

    def create_hosted_configuration_version(self, **call: Any) -> dict[str, Any]:
        self.versions.append(call)
        return {"VersionNumber": 40 + len(self.versions)}

    def start_deployment(self, **call: Any) -> None:
        self.deployments.append(call)


@pytest.fixture
def control() -> AppConfig:
    return AppConfig()


@pytest.fixture
def config() -> AppConfigData:
    return AppConfigData(Serving(policy=POLICY, champion="run-1", challengers=("run-7",)))


@pytest.fixture
def function(load: Any, control: AppConfig, config: AppConfigData, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(clients, "appconfig", lambda: control)
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    clients.s3().create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    module: ModuleType = load("promote_model")
    for version in ("run-1", "run-2"):
        module.bundles.add(*bundle(version))
    return module


def event(version: str, reason: str = "It finds more fraud.") -> dict[str, Any]:
    return {"registration": {"version": version, "reason": reason}}


def test_the_champion_is_replaced_and_the_rest_is_kept(function: ModuleType, control: AppConfig) -> None:
    assert function.handler(event("run-2"), Context()) == {"version": "run-2", "deployment": 41}
    [version] = control.versions
    published = msgspec.json.decode(version["Content"], type=Serving)
    assert published == Serving(policy=POLICY, champion="run-2", challengers=("run-7",))
    assert (version["ApplicationId"], version["ConfigurationProfileId"]) == ("app1234", "pro1234")
    assert version["ContentType"] == "application/json"
    told = "champion run-1 -> run-2: It finds more fraud."
    assert control.deployments == [
        {
            "ApplicationId": "app1234",
            "EnvironmentId": "env1234",
            "ConfigurationProfileId": "pro1234",
            "ConfigurationVersion": "41",
            "DeploymentStrategyId": "str1234",
            "Description": told,
        }
    ]


def test_who_is_champion_is_no_candidate_any_more(
    function: ModuleType, control: AppConfig, config: AppConfigData
) -> None:
    trying = Serving(policy=POLICY, champion="run-1", challengers=("run-7", "run-2"))
    config.deploy(msgspec.structs.replace(trying, canary=Canary(version="run-2", share=0.1)))
    function.handler(event("run-2"), Context())
    promoted = msgspec.json.decode(control.versions[0]["Content"], type=Serving)
    assert promoted == Serving(policy=POLICY, champion="run-2", challengers=("run-7",))
    other = Canary(version="run-8", share=0.1)
    config.deploy(msgspec.structs.replace(trying, canary=other))
    function.handler(event("run-2"), Context())
    assert msgspec.json.decode(control.versions[1]["Content"], type=Serving).canary == other


def test_the_first_champion_follows_none(function: ModuleType, control: AppConfig, config: AppConfigData) -> None:
    config.deploy(Serving(policy=POLICY))
    function.handler(event("run-1"), Context())
    assert control.deployments[0]["Description"].startswith("champion none -> run-1")


def test_the_champion_itself_is_not_deployed_again(function: ModuleType, control: AppConfig) -> None:
    assert function.handler(event("run-1"), Context()) == {"version": "run-1", "deployment": None}
    assert (control.versions, control.deployments) == ([], [])


def test_the_document_is_read_afresh_each_time(
    function: ModuleType, control: AppConfig, config: AppConfigData
) -> None:
    function.handler(event("run-2"), Context())
    config.deploy(control.versions[0]["Content"])
    assert function.handler(event("run-2"), Context())["deployment"] is None
    assert len(control.deployments) == 1


@pytest.mark.parametrize("version", ["run-9", "../run-1", ""])
def test_a_version_without_a_bundle_is_never_named_in_the_document(
    function: ModuleType, control: AppConfig, version: str
) -> None:
    with pytest.raises(CorruptBundleError):
        function.handler(event(version), Context())
    assert (control.versions, control.deployments) == ([], [])


@pytest.mark.parametrize("content", [b"", b"{", b'{"champion": "run-1"}'])
def test_a_document_that_cannot_be_read_is_not_written_over(
    function: ModuleType, control: AppConfig, config: AppConfigData, content: bytes
) -> None:
    config.deploy(content)
    with pytest.raises(ConfigurationError):
        function.handler(event("run-2"), Context())
    assert (control.versions, control.deployments) == ([], [])


def test_a_long_reason_is_cut_to_what_appconfig_takes(function: ModuleType, control: AppConfig) -> None:
    function.handler(event("run-2", "because " * 500), Context())
    assert len(control.versions[0]["Description"]) == 1024
    assert len(control.deployments[0]["Description"]) == 1024

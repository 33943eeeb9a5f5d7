"""The way back of models and of code: what would serve is told first, and nothing is changed by halves."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner

from fraud.serving import Serving
from infra.environments import LOCAL, PROD
from ops import rollback
from ops.migrating.errors import MigrationError
from ops.rollouts import Rollout, stop, under_way
from ops.versions import RollbackError, awake, code_of, move, target
from runtime.releasing import OvertakenError
from runtime.stores.features import MemoryFeatureStore
from runtime.stores.generations import Generations
from tests.unit.lambdas.releases import GROUP
from tests.unit.lambdas.support import POLICY
from tests.unit.ops.clock import Clock
from tests.unit.ops.test_models import JANE, World

REGION = "eu-west-1"


class Deployment:
    """Functions of moto: score_transaction with three versions, the second of them live; and a worker."""

    environment = LOCAL

    def __init__(self) -> None:
        self.session = boto3.Session(region_name=REGION)
        self.store = MemoryFeatureStore()
        self.told: list[Any] = []
        role = self.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        for name in ("score_transaction", "update_features"):
            self.client("lambda").create_function(
                FunctionName=f"paywarden-local-x-{name.replace('_', '')}",
                Runtime="python3.13",
                Role=role,
                Handler="handler.handler",
                Code={"ZipFile": _zip("0")},
                Environment={"Variables": {"POWERTOOLS_SERVICE_NAME": name}},
            )
        self.name = "paywarden-local-x-scoretransaction"
        for number in (1, 2, 3):
            self.client("lambda").update_function_code(FunctionName=self.name, ZipFile=_zip(str(number)))
            self.client("lambda").publish_version(FunctionName=self.name)
        self.client("lambda").create_alias(FunctionName=self.name, Name="live", FunctionVersion="2")

    def client(self, service: str) -> Any:
        return self.session.client(service)  # type: ignore[call-overload]

    def tell(self, *said: str, **more: Any) -> None:
        self.told.append((*said, more))

    def features(self) -> MemoryFeatureStore:
        return self.store

    def live(self) -> str:
        return str(self.client("lambda").get_alias(FunctionName=self.name, Name="live")["FunctionVersion"])


def _zip(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", text)
    return buffer.getvalue()


@contextmanager
def versioned(monkeypatch: pytest.MonkeyPatch, commands: Any) -> Iterator[Deployment]:
    """The deployment that a module's commands find."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = Deployment()
        monkeypatch.setattr(commands, "connect", lambda _env, *, port: made if port else None)
        monkeypatch.setattr(commands.console, "width", 200)
        yield made


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with versioned(monkeypatch, rollback) as made:
        yield made


def run(*words: str, answer: str = "") -> Any:
    return CliRunner().invoke(rollback.rollback_app, list(words), input=answer)


def test_code_goes_to_the_version_before_and_says_why(deployment: Any) -> None:
    told = run("code", "score_transaction", "--dry-run").output
    assert "Version 1 would follow 2." in told
    assert run("code", "score_transaction", answer="n\n").exit_code == 1
    assert deployment.live() == "2"
    done = run("code", "score_transaction", "--yes", "--reason", "it times out")
    assert done.exit_code == 0, done.exception
    assert deployment.live() == "1"
    described = code_of(deployment, "score_transaction").described
    assert "from 2 to 1" in described
    assert described.endswith(": it times out")
    assert "it times out" in run("code", "score_transaction", "3", "--dry-run").output


def test_code_goes_to_any_version_that_there_is(deployment: Any) -> None:
    assert run("code", "score_transaction", "3", "--yes").exit_code == 0
    assert deployment.live() == "3"
    for words, why in {
        ("score_transaction", "3"): "live already",
        ("score_transaction", "9"): "there are 3, 2, 1",
        ("update_features",): "in two steps",
        ("scoring",): "there are score_transaction, update_features",
    }.items():
        refused = run("code", *words, "--yes").exception
        assert isinstance(refused, RollbackError)
        assert why in str(refused)


def test_code_that_cannot_read_the_states_of_today_does_not_come_back(deployment: Any) -> None:
    deployment.store.change(Generations(), Generations(form=3))
    refused = run("code", "score_transaction", "--yes").exception
    assert isinstance(refused, MigrationError)
    assert "does not read states in form 3" in str(refused)
    assert deployment.live() == "2"


def test_there_is_nothing_before_the_first(deployment: Any) -> None:
    run("code", "score_transaction", "1", "--yes")
    with pytest.raises(RollbackError, match="no version before 1"):
        target(code_of(deployment, "score_transaction"), None)


def test_two_people_do_not_move_it_at_once(deployment: Any) -> None:
    read = code_of(deployment, "score_transaction")

    class Moved:
        def client(self, _service: str) -> Any:
            return self

        def tell(self, *said: str, **more: Any) -> None:
            pass

        def update_alias(self, **asked: Any) -> None:
            assert asked["RevisionId"] == read.revision
            raise ClientError({"Error": {"Code": "PreconditionFailedException", "Message": ""}}, "UpdateAlias")

    moved: Any = Moved()
    with pytest.raises(RollbackError, match="somebody else"):
        move(moved, read, target(read, None), by=JANE, reason="x")


def publish(deployment: Any, number: int) -> None:
    """What a deployment does: a new version, which is live."""
    client = deployment.client("lambda")
    client.update_function_code(FunctionName=deployment.name, ZipFile=_zip(str(number)))
    client.publish_version(FunctionName=deployment.name)
    client.update_alias(
        FunctionName=deployment.name, Name="live", FunctionVersion=str(number), Description="deployed"
    )


def test_a_version_that_was_rolled_back_from_does_not_come_back_by_itself(deployment: Any) -> None:
    run("code", "score_transaction", "--yes")
    assert deployment.live() == "1"
    publish(deployment, 4)
    shown = run("code", "score_transaction", "--dry-run").output
    assert "Version 3 would follow 4." in shown
    assert "was rolled back from" in shown
    run("code", "score_transaction", "--yes")
    publish(deployment, 5)
    run("code", "score_transaction", "--yes")
    # Neither 4 nor 2: both were left.
    assert deployment.live() == "3"
    assert code_of(deployment, "score_transaction").left == {2, 4, 5}
    run("code", "score_transaction", "--yes")
    assert deployment.live() == "1"
    publish(deployment, 6)
    with pytest.raises(RollbackError, match="no version before 1"):
        target(replace(code_of(deployment, "score_transaction"), live=1), None)
    run("code", "score_transaction", "--yes")
    assert deployment.live() == "1"


def test_a_version_that_is_chosen_again_is_good_again(deployment: Any) -> None:
    run("code", "score_transaction", "--yes")
    assert code_of(deployment, "score_transaction").left == {2}
    run("code", "score_transaction", "2", "--yes")
    # Going forward undoes the roll-back; version 1 was never found bad.
    assert code_of(deployment, "score_transaction").left == frozenset()
    code = replace(code_of(deployment, "score_transaction"), live=3, left=frozenset({1, 2}))
    with pytest.raises(RollbackError, match="were rolled back from: 2, 1"):
        target(code, None)


class Sleeping:
    """Lambda, where a version sleeps until it is called, and is prepared for a while then."""

    def __init__(self, *states: str, refusal: str = "SnapStartNotReadyException") -> None:
        self.states = list(states)
        self.refusal = refusal
        self.asked: list[dict[str, Any]] = []

    def client(self, _service: str) -> Any:
        return self

    def get_function_configuration(self, **asked: Any) -> dict[str, str]:
        assert asked["Qualifier"] == "1"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"State": state, "StateReason": "it is said why"}

    def invoke(self, **asked: Any) -> None:
        self.asked.append(asked)
        raise ClientError({"Error": {"Code": self.refusal, "Message": ""}}, "Invoke")


def wake(deployment: Any, functions: Sleeping, patience: float = 60.0) -> list[str]:
    code, told = code_of(deployment, "score_transaction"), list[str]()
    asked: Any = functions
    awake(asked, code, code.versions[-1], patience=patience, poll=0.0, tell=told.append)
    return told


def test_a_version_that_sleeps_is_woken_before_it_serves(deployment: Any) -> None:
    sleeping = Sleeping("Inactive", "Pending", "Pending", "Active")
    assert len(wake(deployment, sleeping)) == 3
    assert [(each["Qualifier"], each["FunctionName"]) for each in sleeping.asked] == [("1", deployment.name)]
    assert not wake(deployment, awake := Sleeping("Active"))
    assert awake.asked == []


def test_a_version_that_cannot_be_woken_is_not_made_live(deployment: Any) -> None:
    with pytest.raises(RollbackError, match="it is failed: it is said why"):
        wake(deployment, Sleeping("Inactive", "Failed"))
    with pytest.raises(RollbackError, match="still pending after"):
        wake(deployment, Sleeping("Pending"), patience=-1.0)
    with pytest.raises(ClientError):
        wake(deployment, Sleeping("Inactive", refusal="AccessDeniedException"))


def test_the_command_waits_for_the_version_before_it_moves(
    deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_told: Any, **_more: Any) -> None:
        assert deployment.live() == "2"
        raise RollbackError("it does not wake")

    monkeypatch.setattr(rollback, "awake", refuses)
    assert isinstance(run("code", "score_transaction", "--yes").exception, RollbackError)
    assert deployment.live() == "2"
    slept = replace(code_of(deployment, "score_transaction").versions[-1], state="Inactive")
    monkeypatch.setattr(rollback, "target", lambda *_told: slept)
    assert "it is inactive, and would be woken first" in run("code", "score_transaction", "--dry-run").output


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(rollback, "connect", lambda _env, *, port: port)
    monkeypatch.setattr(rollback.Desk, "of", lambda _deployment, **_acts: made.desk)
    monkeypatch.setattr(rollback.console, "width", 250)
    return made


def test_one_command_goes_back_to_the_champion_before(world: World) -> None:
    told = run("model", "--dry-run").output
    assert "Model run-1 would follow run-2; its bundle is whole." in told
    assert run("model", answer="n\n").exit_code == 1
    assert world.client.serving.champion == "run-2"
    assert run("model", "--yes", "--reason", "complaints").exit_code == 0
    assert world.client.serving.champion == "run-1"
    last = world.releases.last_served()
    assert last is not None
    assert (last.by, last.reason) == (JANE, "complaints")
    # The one that was left is not what the next roll-back goes to.
    assert "no model before run-1" in str(run("model", "--yes").exception)


def with_a_canary(world: World) -> None:
    """run-1 was champion, run-2 is, and its run tries run-3 on a share of the payments."""
    world.registry.put(f"{GROUP}/run-2", status="Approved")
    world.registry.put(f"{GROUP}/run-3", status="Approved")
    releaser = world.desk._releaser()
    releaser.canary("run-3", 0.05, champion="run-2", by="retrain:run-3", reason="its turn")


def states(world: World) -> dict[str, str]:
    found = {version: world.releases.lineage(version) for version in ("run-2", "run-3")}
    return {version: each.state for version, each in found.items() if each is not None}


def test_a_canary_ends_alone_by_the_name_of_the_champion(world: World) -> None:
    assert "run-2 is the champion already" in str(run("model", "run-2", "--yes").exception)
    with_a_canary(world)
    before = states(world)
    told = run("model", "run-2", "--dry-run").output
    assert "Model run-2 would follow run-3 (canary); its bundle is whole." in told
    assert run("model", "run-2", "--yes", "--reason", "complaints").exit_code == 0
    assert world.client.serving == Serving(policy=POLICY, champion="run-2")
    # The champion is what it was; the canary is what was taken out, and its run cannot bring it back.
    assert states(world) == {**before, "run-3": "withdrawn"}
    with pytest.raises(OvertakenError, match=f"{JANE} took model run-3 out: complaints"):
        world.desk._releaser().promote(
            "run-3", keeps_former=True, champion="run-2", by="retrain:run-3", reason="its turn"
        )
    told_last = [(each.kind, each.who, each.of, each.action) for each in world.releases.trail.entries][-2:]
    last = world.releases.last_served()
    assert last is not None
    assert told_last == [("serving", JANE, str(last.number), "deploy"), ("model", JANE, "run-3", "withdrawn")]


def test_without_a_name_the_champion_goes_with_its_canary(world: World) -> None:
    with_a_canary(world)
    assert "Model run-1 would follow run-2 and run-3 (canary)" in run("model", "--dry-run").output
    assert run("model", "--yes").exit_code == 0
    assert world.client.serving == Serving(policy=POLICY, champion="run-1")
    assert states(world) == {"run-2": "withdrawn", "run-3": "withdrawn"}


def test_a_roll_back_that_appconfig_had_no_time_for_is_completed_and_does_not_go_further_back(
    world: World,
) -> None:
    world.client.busy = 1_000
    assert "`paywarden rollback model run-1`" in str(run("model", "--yes").exception)
    assert world.client.serving.champion == "run-2"
    assert states(world)["run-2"] == "withdrawn"
    again = str(run("model", "--yes").exception)
    assert "run-1 is to serve already" in again
    assert "`paywarden rollback model run-1` completes that" in again
    world.client.busy = 0
    assert run("model", "run-1", "--yes").exit_code == 0
    assert world.client.serving == Serving(policy=POLICY, champion="run-1")
    assert "run-1 is the champion already" in str(run("model", "run-1", "--yes").exception)


def test_where_no_model_serves_one_is_gone_back_to_by_its_name(world: World) -> None:
    world.client.by_hand(Serving(policy=POLICY))
    assert "no model serves" in str(run("model", "--yes").exception)
    assert "Model run-1 would follow none" in run("model", "run-1", "--dry-run").output
    assert run("model", "run-1", "--yes").exit_code == 0
    assert world.client.serving.champion == "run-1"


def test_a_roll_back_to_what_cannot_serve_changes_nothing(world: World) -> None:
    world.bundles.damaged = {"run-1"}
    refused = {
        ("run-1",): "digest",
        (): "digest",
        ("run-2",): "the champion already",
        ("run-3",): "not approved",
        ("run-9",): "no manifest",
    }
    for words, why in refused.items():
        assert why in str(run("model", *words, "--yes").exception)
    assert world.client.serving.champion == "run-2"


class CodeDeploy(Clock):
    """CodeDeploy in the middle of a deployment of score_transaction, which takes two looks to stop.

    Its roll-back takes two more, if it comes to an end, and goes on while someone sleeps.
    """

    def __init__(self, *, ends: str = "Stopped", running: bool = True, goes_back: bool = True) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._ends, self._running, self._looks, self._waits = ends, running, 0, 0 if goes_back else -1_000
        self._share: Callable[[dict[str, float]], None] = lambda _: None

    def begin(self, share: Callable[[dict[str, float]], None]) -> None:
        """The canary has its share of the calls."""
        if self._running:
            self._share = share
            share({"3": 0.1})

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._waits += 1
        if self._waits == 3:
            self._share({})

    def list_deployments(self, **asked: Any) -> dict[str, Any]:
        assert asked["applicationName"] == asked["deploymentGroupName"] == "paywarden-prod-score_transaction"
        assert {"InProgress", "Ready"} <= set(asked["includeOnlyStatuses"])
        assert not {"Succeeded", "Failed", "Stopped"} & set(asked["includeOnlyStatuses"])
        return {"deployments": ["d-1"] if self._running else []}

    def stop_deployment(self, **asked: Any) -> None:
        assert asked == {"deploymentId": "d-1", "autoRollbackEnabled": True}
        self.asked.append("stop")
        if self._ends == "Succeeded":
            raise ClientError({"Error": {"Code": "DeploymentAlreadyCompletedException"}}, "StopDeployment")

    def get_deployment(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"deploymentId": "d-1"}
        self._looks += 1
        return {"deploymentInfo": {"status": self._ends if self._looks > 1 else "InProgress"}}


@pytest.fixture
def shifting(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same in production, in the middle of what the test hands over."""

    def begin(codedeploy: CodeDeploy) -> Any:
        clients = deployment.client
        monkeypatch.setattr(deployment, "environment", replace(PROD), raising=False)
        monkeypatch.setattr(
            deployment, "client", lambda service: codedeploy if service == "codedeploy" else clients(service)
        )
        monkeypatch.setattr("ops.versions.deployed", lambda _: {"score_transaction": deployment.name})
        monkeypatch.setattr("ops.rollouts.time", codedeploy)
        codedeploy.begin(
            lambda weights: clients("lambda").update_alias(
                FunctionName=deployment.name, Name="live", RoutingConfig={"AdditionalVersionWeights": weights}
            )
        )
        return deployment

    return begin


def test_code_that_is_taking_over_is_stopped_instead(shifting: Any) -> None:
    codedeploy = CodeDeploy()
    deployment = shifting(codedeploy)
    assert "Deployment d-1 would be stopped" in run("code", "score_transaction", "--dry-run").output
    assert run("code", "score_transaction", answer="n\n").exit_code == 1
    refused = run("code", "score_transaction", "1", "--yes").exception
    assert isinstance(refused, RollbackError)
    assert "leave the number out" in str(refused)
    assert codedeploy.asked == []
    assert deployment.told == []
    done = run("code", "score_transaction", "--yes", "--reason", "it times out")
    assert done.exit_code == 0, done.exception
    assert codedeploy.asked == ["stop"]
    [(*said, more)] = deployment.told
    assert said == ["code", "stop"]
    assert (more["before"], more["after"]) == ({"deployment": "d-1"}, {"live": 2})
    assert more["reason"] == "it times out"
    assert "version 2 has all calls" in done.output
    # CodeDeploy moves the alias, nobody else does, and is waited for.
    assert deployment.live() == "2"
    assert not code_of(deployment, "score_transaction").shared


def test_code_that_took_over_meanwhile_is_told(shifting: Any) -> None:
    shifting(CodeDeploy(ends="Succeeded"))
    refused = run("code", "score_transaction", "--yes").exception
    assert isinstance(refused, RollbackError)
    assert "run this again" in str(refused)


def test_a_deployment_that_does_not_stop_is_told(shifting: Any) -> None:
    deployment = shifting(CodeDeploy(ends="InProgress"))
    with pytest.raises(RollbackError, match="still inprogress after 10 s"):
        stop(deployment, Rollout("d-1"), code_of(deployment, "score_transaction"), patience=10, poll=2)


def test_a_share_that_codedeploy_does_not_take_back_is_told(shifting: Any) -> None:
    deployment = shifting(CodeDeploy(ends="Failed", goes_back=False))
    with pytest.raises(RollbackError, match="still sends calls to version 3; look at CodeDeploy's roll-back"):
        stop(deployment, Rollout("d-1"), code_of(deployment, "score_transaction"), patience=10, poll=2)


def test_an_alias_that_was_moved_by_hand_is_not_what_codedeploy_expects(shifting: Any) -> None:
    deployment = shifting(CodeDeploy(running=False))
    told = run("code", "score_transaction", "--yes").output
    assert deployment.live() == "1"
    assert "`-c canary=off`" in told


def test_where_code_takes_over_at_once_codedeploy_is_not_asked(deployment: Any) -> None:
    assert under_way(deployment, "score_transaction") is None


def test_a_function_that_codedeploy_does_not_know_is_in_no_deployment(shifting: Any) -> None:
    class Unknown(CodeDeploy):
        def list_deployments(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "ApplicationDoesNotExistException"}}, "ListDeployments")

    assert under_way(shifting(Unknown()), "score_transaction") is None

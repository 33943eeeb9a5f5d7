"""The way back of models and of code: what would serve is told first, and nothing is changed by halves."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from infra.environments import LOCAL
from ops import rollback
from ops.rollback import RollbackError, code_of, move, target
from tests.unit.ops.test_models import JANE, World

REGION = "eu-west-1"


class Deployment:
    """Functions of moto: score_transaction with three versions, the second of them live; and a worker."""

    environment = LOCAL

    def __init__(self) -> None:
        self.session = boto3.Session(region_name=REGION)
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

    def live(self) -> str:
        return str(self.client("lambda").get_alias(FunctionName=self.name, Name="live")["FunctionVersion"])


def _zip(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", text)
    return buffer.getvalue()


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = Deployment()
        monkeypatch.setattr(rollback, "connect", lambda _env, *, port: made if port else None)
        monkeypatch.setattr(rollback.console, "width", 200)
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
        ("update_features",): "no alias",
        ("scoring",): "there are score_transaction, update_features",
    }.items():
        refused = run("code", *words, "--yes").exception
        assert isinstance(refused, RollbackError)
        assert why in str(refused)


def test_there_is_nothing_before_the_first(deployment: Any) -> None:
    run("code", "score_transaction", "1", "--yes")
    with pytest.raises(RollbackError, match="no version before 1"):
        target(code_of(deployment, "score_transaction"), None)


def test_two_people_do_not_move_it_at_once(deployment: Any) -> None:
    read = code_of(deployment, "score_transaction")

    class Moved:
        def client(self, _service: str) -> Any:
            return self

        def update_alias(self, **asked: Any) -> None:
            from botocore.exceptions import ClientError

            assert asked["RevisionId"] == read.revision
            raise ClientError({"Error": {"Code": "PreconditionFailedException", "Message": ""}}, "UpdateAlias")

    moved: Any = Moved()
    with pytest.raises(RollbackError, match="somebody else"):
        move(moved, read, target(read, None), by=JANE, reason="x")


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

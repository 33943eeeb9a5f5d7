"""Finding a deployment, or saying what to do where there is none."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.environments import lookup
from ops.deployment import STACKS, Deployment, DeploymentError, connect
from ops.localcloud import control
from runtime.keys import KeyHash

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        yield


class Account:
    """A session in an account where some stacks are deployed."""

    def __init__(self, *stacks: str) -> None:
        self.stacks = stacks

    def __call__(self, region_name: str) -> "Account":
        assert region_name == REGION
        return self

    def client(self, service: str) -> "Account":
        assert service == "cloudformation"
        return self

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        stack = StackName.removeprefix("paywarden-dev-")
        if stack not in self.stacks:
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        if stack == "monitoring":
            return {"Stacks": [{"StackName": StackName}]}  # a stack without outputs has no such list
        output = {"OutputKey": f"{stack.title()}Name", "OutputValue": f"the {stack} one"}
        return {"Stacks": [{"StackName": StackName, "Outputs": [output]}]}


def test_a_deployment_is_the_outputs_of_its_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "Session", Account(*STACKS))
    found = connect("dev")
    assert dict(found.resources) == {
        f"{stack.title()}Name": f"the {stack} one" for stack in ("data", "features", "scoring", "training")
    }
    assert found["DataName"] == "the data one"
    assert found.port is None
    with pytest.raises(DeploymentError, match="'dev' has no resource LakeBucket; deploy"):
        found["LakeBucket"]


@pytest.mark.parametrize("stacks", [(), STACKS[:-1]])
def test_what_is_not_all_there_is_not_deployed(monkeypatch: pytest.MonkeyPatch, stacks: tuple[str, ...]) -> None:
    monkeypatch.setattr(boto3, "Session", Account(*stacks))
    with pytest.raises(DeploymentError, match="make deploy ENV=dev"):
        connect("dev")


def test_a_name_that_no_environment_has_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(DeploymentError, match="local, dev, staging, prod"):
        connect("production")


@pytest.mark.parametrize(("variable", "value"), [("AWS_PROFILE", "nobody"), ("AWS_REGION", None)])
def test_aws_settings_that_lead_nowhere_are_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(DeploymentError, match="check your AWS credentials and region"):
        connect("dev")


def test_a_local_cloud_that_is_not_there_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "Session", None)
    monkeypatch.setattr(control, "session", None)
    with pytest.raises(DeploymentError, match=r"port 1; start it with `make up`"):
        connect("local", port=1)


@pytest.mark.parametrize(
    ("environment", "port", "expected"),
    [
        ("prod", None, "https://abc.execute-api.eu-west-1.amazonaws.com/live"),
        ("local", 4599, "http://127.0.0.1:4599/restapis/abc/live/_user_request_"),
    ],
)
def test_the_api_is_where_the_deployment_is(environment: str, port: int | None, expected: str) -> None:
    url = "https://abc.execute-api.eu-west-1.amazonaws.com/live/"
    found = Deployment(lookup(environment), boto3.Session(), {"ApiUrl": url}, port)
    assert found.api_url == expected


def test_the_token_key_is_the_deployments_secret() -> None:
    session = boto3.Session(region_name=REGION)
    made = session.client("secretsmanager").create_secret(Name="key", SecretString="k" * 40)
    resources = {"TokenSecret": made["ARN"], "TokenKeysBucket": "token-keys"}
    tokens = [Deployment(lookup("dev"), session, resources).tokeniser().token("card", "4") for _ in range(2)]
    assert tokens[0] == tokens[1]
    assert tokens[0].startswith("card_")


def test_the_pepper_of_merchants_keys_is_the_deployments_secret() -> None:
    session = boto3.Session(region_name=REGION)
    made = session.client("secretsmanager").create_secret(Name="pepper", SecretString="k" * 40)
    assert Deployment(lookup("dev"), session, {"KeySecret": made["ARN"]}).key_hash() == KeyHash(b"k" * 40)

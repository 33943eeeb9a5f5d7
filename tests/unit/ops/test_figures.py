"""Figures read from a deployment: freshness from the markers, the champion, and rows of the lake."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from moto import mock_aws

from fraud.features import Key
from fraud.state import State
from ops.deployment import DeploymentError
from ops.lake import query
from ops.measures import freshness, serving_profile
from runtime.configuration import current
from runtime.stores.features import DynamoFeatureStore, Marker, Versioned
from tests.tables import create_table

DOCUMENT = (
    b'{"policy":{"version":"1","thresholds":{"challenge":0.3,"review":0.6,"decline":0.85}},"champion":%s,'
    b'"challengers":[]}'
)
NAMES = {
    "FeaturesTable": "features",
    "AppConfigApplication": "app",
    "AppConfigEnvironment": "env",
    "AppConfigProfile": "profile",
    "AthenaWorkgroup": "group",
    "GlueDatabase": "lake",
}


class Deployment:
    def __init__(self, client: Any) -> None:
        self._client = client

    def __getitem__(self, name: str) -> str:
        return NAMES[name]

    def client(self, _service: str) -> Any:
        return self._client


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        create_table(client, "features")
        yield client


def test_freshness_is_of_every_event_and_of_nothing_else(table: Any) -> None:
    store = DynamoFeatureStore(table, "features", consistent=True)
    events = [Marker(f"shop/t{number}", "d", 1_000, 1_000 + number) for number in range(90)]
    store.commit(
        [*events, Marker("shop/t1#fraud", "d", 5, 12), Marker("import/before/0", "d", 1, 1)],
        {Key("card", "m#a"): Versioned(State(newest=1))},
        expires_at=2_000_000_000,
    )
    deployment: Any = Deployment(table)
    expected = {f"shop/t{number}": float(number) for number in range(90)} | {"shop/t1#fraud": 7.0}
    assert freshness(deployment) == expected


class DataPlane:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def start_configuration_session(self, **names: str) -> dict[str, str]:
        assert sorted(names.values()) == ["app", "env", "profile"]
        return {"InitialConfigurationToken": "t"}

    def get_latest_configuration(self, **_: str) -> dict[str, Any]:
        return {"NextPollConfigurationToken": "u", "Configuration": io.BytesIO(self.content)}


@pytest.mark.parametrize(("champion", "expected"), [(b"null", None), (b'"run-1"', "run-1")])
def test_the_champion_is_the_one_in_the_document(champion: bytes, expected: str | None) -> None:
    deployment: Any = Deployment(DataPlane(DOCUMENT % champion))
    found = current(deployment.client("appconfigdata"), serving_profile(deployment))
    assert found.champion == expected


class Athena:
    """Runs one query through the states that it is given."""

    def __init__(self, *states: str, pages: Sequence[list[list[str | None]]] = (), reason: str = "") -> None:
        self.states = list(states)
        self.pages = pages
        self.reason = reason
        self.asked: dict[str, Any] = {}
        self.stopped: list[str] = []

    def start_query_execution(self, **asked: Any) -> dict[str, str]:
        self.asked = asked
        return {"QueryExecutionId": "q"}

    def get_query_execution(self, **_: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        status = {"State": state} | ({"StateChangeReason": self.reason} if self.reason else {})
        return {"QueryExecution": {"Status": status}}

    def stop_query_execution(self, *, QueryExecutionId: str) -> None:  # noqa: N803 - AWS names it so
        self.stopped.append(QueryExecutionId)

    def get_paginator(self, name: str) -> "Athena":
        assert name == "get_query_results"
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for page in self.pages:
            # A null cell has no value at all.
            cells = [[{} if value is None else {"VarCharValue": value} for value in row] for row in page]
            yield {"ResultSet": {"Rows": [{"Data": row} for row in cells]}}


def test_rows_come_by_their_columns_names() -> None:
    athena = Athena("QUEUED", "RUNNING", "SUCCEEDED", pages=[[["decision", "n"], ["approve", "7"], [None, "1"]]])
    deployment: Any = Deployment(athena)
    assert query(deployment, "SELECT 1") == [{"decision": "approve", "n": "7"}, {"decision": "", "n": "1"}]
    assert athena.asked == {
        "QueryString": "SELECT 1",
        "WorkGroup": "group",
        "QueryExecutionContext": {"Database": "lake"},
    }
    empty: Any = Deployment(Athena("SUCCEEDED", pages=[[["decision"]]]))
    assert query(empty, "SELECT 1") == []


def test_the_rows_of_every_page_come() -> None:
    deployment: Any = Deployment(Athena("SUCCEEDED", pages=[[["n"], ["1"], ["2"]], [["3"]]]))
    assert query(deployment, "SELECT 1") == [{"n": "1"}, {"n": "2"}, {"n": "3"}]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
@pytest.mark.parametrize("reason", ["", "SYNTAX_ERROR: line 1"])
def test_a_query_that_is_refused_says_why(state: str, reason: str) -> None:
    deployment: Any = Deployment(Athena("RUNNING", state, reason=reason))
    with pytest.raises(DeploymentError, match=f"Athena: {reason or state}"):
        query(deployment, "SELEC 1")


def test_a_query_that_never_ends_is_given_up() -> None:
    athena = Athena("RUNNING")
    deployment: Any = Deployment(athena)
    with pytest.raises(DeploymentError, match="not done in time"):
        query(deployment, "SELECT 1", timeout=0.01)
    assert athena.stopped == ["q"]

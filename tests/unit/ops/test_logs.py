"""What a function logged is found without knowing its log group, and trouble is told from the rest."""

import json
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.environments import LOCAL
from ops.deployment import Deployment, DeploymentError
from ops.functions import log_groups
from ops.logs import reading
from ops.logs.reading import TROUBLE, line_of, read

NAME = "paywarden-local-scoring-scoretransaction"
LINES = (
    {"level": "INFO", "message": "decided", "action": "approve", "xray_trace_id": "1-2"},
    {"level": "ERROR", "message": "done without: ReadTimeoutError", "correlation_id": "c-1"},
    {"log_level": "ERROR", "errorType": "SettingsError", "errorMessage": "features_table is not set"},
    {"time": "2026-11-30T12:00:00Z", "type": "platform.report", "record": {"status": "timeout"}},
    {"time": "2026-11-30T12:00:01Z", "type": "platform.report", "record": {"status": "success"}},
    {"_aws": {"Timestamp": 1}, "service": "score_transaction", "Degraded": [0.0]},
)


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Any:
    with mock_aws():
        session = boto3.Session(region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106 - of no account
        logs = session.client("logs")
        # CloudWatch takes none that are older than two weeks.
        now = round(time.time() * 1_000) - 60_000
        logs.create_log_group(logGroupName="a-group-of-the-stack")
        logs.create_log_stream(logGroupName="a-group-of-the-stack", logStreamName="one")
        logs.put_log_events(
            logGroupName="a-group-of-the-stack",
            logStreamName="one",
            logEvents=[{"timestamp": now + each, "message": json.dumps(line)} for each, line in enumerate(LINES)],
        )
        made = Deployment(LOCAL, session, {}, port=4566)
        client = session.client

        class Functions:
            def get_paginator(self, name: str) -> "Functions":
                assert name == "list_functions"
                return self

            def paginate(self) -> list[dict[str, Any]]:
                named = {"Variables": {"POWERTOOLS_SERVICE_NAME": "score_transaction"}}
                group = {"LogGroup": "a-group-of-the-stack"}
                return [{"Functions": [{"FunctionName": NAME, "Environment": named, "LoggingConfig": group}]}]

        monkeypatch.setattr(
            session,
            "client",
            lambda service, **more: Functions() if service == "lambda" else client(service, **more),
        )
        yield made


def test_the_newest_lines_come_from_the_group_that_the_function_names(deployment: Deployment) -> None:
    found = read(deployment, "score_transaction", since=0, pattern="", limit=10_000)
    assert [each.message for each in found[:3]] == [
        "decided",
        "done without: ReadTimeoutError",
        "SettingsError: features_table is not set",
    ]
    assert len(found) == len(LINES) - 1, "the line of metrics says nothing"
    few = read(deployment, "score_transaction", since=0, pattern="", limit=2)
    assert few == found[-2:]


def test_on_aws_the_newest_lines_come_first_and_no_older_ones_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read_so_far: list[int] = []

    def pages() -> Iterator[dict[str, Any]]:
        for page in (9, 6, 3):
            read_so_far.append(page)
            events = [
                {"timestamp": at, "message": json.dumps({"message": f"line {at}"})} for at in (page, page - 1)
            ]
            yield {"events": [*events, {"timestamp": page - 2, "message": '{"_aws": {}}'}]}

    def paginate(**asked: Any) -> Iterator[dict[str, Any]]:
        assert asked == {"logGroupName": "group", "startTime": 5, "startFromHead": False}
        return pages()

    client = SimpleNamespace(get_paginator=lambda _name: SimpleNamespace(paginate=paginate))
    deployment: Any = SimpleNamespace(client=lambda _service: client, port=None)
    monkeypatch.setattr(reading, "log_groups", lambda _deployment: {"score_transaction": "group"})
    found = read(deployment, "score_transaction", since=5, pattern="", limit=3)
    assert [each.message for each in found] == ["line 6", "line 8", "line 9"]
    assert read_so_far == [9, 6]


def test_a_function_that_names_no_group_has_the_one_that_lambda_makes() -> None:
    named = {"Variables": {"POWERTOOLS_SERVICE_NAME": "score_transaction"}}
    page = {"Functions": [{"FunctionName": NAME, "Environment": named}, {"FunctionName": f"{NAME}-not-ours"}]}
    client = SimpleNamespace(get_paginator=lambda _name: SimpleNamespace(paginate=lambda: [page]))
    deployment: Any = SimpleNamespace(environment=LOCAL, client=lambda _service: client)
    assert log_groups(deployment) == {"score_transaction": f"/aws/lambda/{NAME}"}


def test_trouble_is_told_from_the_rest() -> None:
    told = [line_of(0, json.dumps(each)) for each in LINES]
    assert [each.bad for each in told] == [False, True, True, True, False, False]
    assert told[1].more == {"correlation_id": "c-1"}
    assert told[3].message == "platform.report timeout"
    assert line_of(0, "Traceback (most recent call last):\n").bad
    assert not line_of(0, "plain words\n").bad


def test_cloudwatch_is_asked_for_the_same_trouble() -> None:
    """Every test of the pattern, read as CloudWatch Logs does, against the lines."""
    tests = re.findall(r'\(\$\.([\w.]+) = "(\w+)"\)', TROUBLE)
    assert len(tests) == TROUBLE.count("||") + 1

    def value(line: Any, path: str) -> Any:
        for part in path.split("."):
            line = line.get(part) if isinstance(line, dict) else None
        return line

    for line in LINES:
        asked = any(value(line, path) == wanted for path, wanted in tests)
        assert asked == line_of(0, json.dumps(line)).bad


def test_a_function_that_does_not_exist_is_answered_with_those_that_do(deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="there is no function 'scores'; there are score_transaction"):
        read(deployment, "scores", since=0, pattern="", limit=1)

"""One way to answer: ids in every answer and log line, problems, and methods that a path does not have."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from runtime.http import Answer, Call, Problem, Request, answered
from runtime.stores.batches import ThrottledError
from runtime.telemetry import logger, metrics

PATH = "/v1/things/{name}"
# A number that schemes publish for tests, put together here so that none stands in a file.
CARD_NUMBER = "42" * 8


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler: Any = logger.registered_handler
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)
    logger.remove_keys(["request_id", "merchant_id", "correlation_id"])
    metrics.clear_metrics()


def event(method: str = "POST", body: str = "{}", **headers: str) -> dict[str, Any]:
    return {
        "httpMethod": method,
        "resource": PATH,
        "pathParameters": {"name": "n"},
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {"requestId": "r-1", "authorizer": {"merchant_id": "acme"}},
        "body": body,
    }


def echo(request: Request) -> Answer:
    return Answer(request.body.decode(), 201, {"Server-Timing": "own;dur=1"})


CALLS: dict[tuple[str, str], Call] = {("POST", PATH): echo, ("GET", PATH): echo, ("GET", "/other"): echo}


def test_an_answer_carries_the_id_of_its_request_and_its_own_headers() -> None:
    told = answered(event(body='{"a": 1}'), CALLS)
    assert (told["statusCode"], told["body"]) == (201, '{"a": 1}')
    assert told["headers"] == {
        "Content-Type": "application/json",
        "Server-Timing": "own;dur=1",
        "Paywarden-Request-Id": "r-1",
        "Paywarden-Correlation-Id": "r-1",
    }


def test_a_clients_own_id_comes_back_and_stands_in_every_line(logged: io.StringIO) -> None:
    def call(request: Request) -> Answer:
        assert request.correlation_id == "Order_7.a:b-c"
        logger.info("at work")
        return Answer("{}")

    calls: dict[tuple[str, str], Call] = {("POST", PATH): call}
    told = answered(event(**{"PAYWARDEN_Correlation_Id": "Order_7.a:b-c"}), calls)
    assert told["headers"]["Paywarden-Correlation-Id"] == "Order_7.a:b-c"
    assert json.loads(logged.getvalue())["correlation_id"] == "Order_7.a:b-c"
    answered(event(), {("POST", PATH): lambda _request: Answer("{}")})
    logger.info("the next request")
    assert json.loads(logged.getvalue().splitlines()[-1])["correlation_id"] == "r-1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\n", "\u00e9", CARD_NUMBER, f"a-{CARD_NUMBER}"])
def test_a_clients_own_id_that_is_none_is_refused_by_name(given: str, logged: io.StringIO) -> None:
    told = answered(event(Paywarden_Correlation_Id=given), CALLS)
    problem = json.loads(told["body"])
    assert (problem["status"], problem["field"]) == (400, "Paywarden-Correlation-Id")
    assert told["headers"]["Paywarden-Correlation-Id"] == "r-1"
    assert CARD_NUMBER not in logged.getvalue() + str(told)


def test_a_problem_has_both_ids_and_its_own_headers() -> None:
    def call(_request: Request) -> Answer:
        raise Problem(503, "unavailable", "Unavailable", "Later.", headers={"Retry-After": "1"})

    told = answered(event(Paywarden_Correlation_Id="c"), {("POST", PATH): call})
    assert told["statusCode"] == 503
    assert told["headers"] == {
        "Content-Type": "application/problem+json",
        "Retry-After": "1",
        "Paywarden-Request-Id": "r-1",
        "Paywarden-Correlation-Id": "c",
    }
    assert json.loads(told["body"])["request_id"] == "r-1"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
def test_a_method_that_the_path_does_not_have_is_told_the_ones_it_has(method: str) -> None:
    told = answered(event(method), CALLS)
    assert (told["statusCode"], told["headers"]["Allow"]) == (405, "GET, POST")
    assert json.loads(told["body"])["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json; charset=utf-16"},
        {"Content_Type": "text/json"},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br", "Content_Type": "application/json"},
    ],
)
def test_what_is_not_sent_as_plain_json_is_refused(headers: dict[str, str]) -> None:
    told = answered(event(**headers), CALLS)
    assert told["statusCode"] == 415
    assert json.loads(told["body"])["type"] == "/problems/unsupported-media-type"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Type": "application/json"},
        {"Content_Type": "Application/JSON; Charset=UTF-8"},
        {"Content_Type": 'application/json;charset="utf-8"', "Content_Encoding": "identity"},
    ],
)
def test_plain_json_is_taken_however_it_says_so(headers: dict[str, str]) -> None:
    assert answered(event(**headers), CALLS)["statusCode"] == 201


@pytest.mark.parametrize("body", ['{"a": "\ufffd"}', "\ud800"])
def test_bytes_that_were_no_utf8_are_not_taken_for_a_text(body: str) -> None:
    told = answered(event(body=body), CALLS)
    assert (told["statusCode"], json.loads(told["body"])["type"]) == (400, "/problems/invalid-body")
    assert answered(event(body='{"a": "\\ufffd"}'), CALLS)["statusCode"] == 201


def test_a_request_without_a_body_has_no_media_type_to_check() -> None:
    assert answered(event("GET", "", Content_Type="text/plain"), CALLS)["statusCode"] == 201


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (ReadTimeoutError(endpoint_url="https://dynamodb.invalid"), 503, "unavailable"),
        (ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "PutItem"), 503, "unavailable"),
        (ThrottledError("slow down"), 503, "unavailable"),
        (ZeroDivisionError("a bug"), 500, "internal"),
    ],
    ids=lambda given: str(given),
)
def test_what_goes_wrong_on_our_side_is_answered_logged_and_counted(
    failure: Exception, status: int, kind: str, logged: io.StringIO
) -> None:
    def call(_request: Request) -> Answer:
        try:
            raise ValueError(f"card {CARD_NUMBER}")
        except ValueError as error:
            raise failure from error

    told = answered(event(), {("POST", PATH): call})
    body = json.loads(told["body"])
    assert (told["statusCode"], body["type"], body["request_id"]) == (status, f"/problems/{kind}", "r-1")
    assert told["headers"].get("Retry-After") == ("1" if status == 503 else None)
    assert type(failure).__name__ in logged.getvalue()
    assert CARD_NUMBER not in logged.getvalue() + str(told)  # an exception's text may hold what was sent
    assert "Failed" in metrics.metric_set

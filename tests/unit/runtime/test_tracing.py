"""Traces: one document an invocation, only where somebody wants it, and no words that a merchant wrote in it."""

import json
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Tracer
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import Session, get_session
from moto import mock_aws

from runtime import clients
from runtime.tracing import MOST_CALLS, Segment, XRayProvider

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={sampled};Lineage=a:1"
SECRET = " ".join(["4242"] * 4)


class Daemon:
    """X-Ray's daemon, as far as it listens."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def heard(self) -> list[dict[str, Any]]:
        """What came since; a datagram to this host is there once it is sent."""
        found = []
        while True:
            try:
                header, _, document = self.socket.recv(65_536).partition(b"\n")
            except BlockingIOError:
                return found
            assert json.loads(header) == {"format": "json", "version": 1}
            found.append(json.loads(document))


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon, and an invocation that is sampled."""
    found = Daemon()
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", found.address)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE.format(sampled=1))
    yield found
    found.socket.close()


@pytest.fixture
def provider() -> XRayProvider:
    return XRayProvider()


def session_of(provider: XRayProvider) -> Session:
    session = get_session()
    session.set_credentials("testing", "testing")
    provider.follow(session)
    return session


def test_an_invocation_is_one_document_with_its_annotations(daemon: Daemon, provider: XRayProvider) -> None:
    with provider.in_subsegment("## handler") as segment:
        segment.put_annotation("a key", "acme")
        provider.put_annotation("correlation_id", "basket-7")
        provider.put_metadata("ids", ["a", "b"])
        with provider.in_subsegment("inner"):
            pass
    [told] = daemon.heard()
    assert (told["trace_id"], told["parent_id"]) == ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
    assert (told["name"], told["type"]) == ("## handler", "subsegment")
    assert told["annotations"] == {"a_key": "acme", "correlation_id": "basket-7"}
    assert told["metadata"] == {"default": {"ids": ["a", "b"]}}
    [inner] = told["subsegments"]
    assert inner["name"] == "inner"
    assert len({told["id"], inner["id"]}) == 2
    assert told["start_time"] <= inner["start_time"] <= inner["end_time"] <= told["end_time"]


@pytest.mark.parametrize("header", ["", TRACE.format(sampled=0), TRACE.format(sampled="?"), "Sampled=1", ";=;"])
def test_who_is_not_sampled_is_not_told_of(
    header: str, daemon: Daemon, provider: XRayProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    with provider.in_subsegment("## handler"):
        provider.put_annotation("a", "b")
    assert daemon.heard() == []


@pytest.mark.parametrize("address", [None, "", "nowhere", "127.0.0.1:none"])
def test_without_a_daemon_nothing_happens(
    address: str | None, provider: XRayProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE.format(sampled=1))
    if address is None:
        monkeypatch.delenv("AWS_XRAY_DAEMON_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    with provider.in_subsegment("## handler"):
        provider.put_annotation("a", "b")


def test_an_exception_is_told_by_its_kind_alone(daemon: Daemon, provider: XRayProvider) -> None:
    tracer = Tracer(provider=provider, auto_patch=False, disabled=False, service="tests")

    @tracer.capture_lambda_handler(capture_response=False, capture_error=False)
    def handler(event: object, context: object) -> None:
        del event, context
        raise ValueError(SECRET)

    with pytest.raises(ValueError, match="4242"):
        handler({}, None)
    [told] = daemon.heard()
    assert told["fault"] is True
    assert [each["type"] for each in told["cause"]["exceptions"]] == ["ValueError"]
    assert SECRET not in json.dumps(told)


def test_calls_of_aws_are_told_with_what_became_of_them(daemon: Daemon, provider: XRayProvider) -> None:
    with mock_aws():
        client: Any = session_of(provider).create_client("dynamodb", region_name="eu-west-1")
        client.list_tables()
        with provider.in_subsegment("## handler"):
            client.list_tables()
            with pytest.raises(ClientError):
                client.get_item(TableName="none", Key={"id": {"S": SECRET}})
    [told] = daemon.heard()
    first, second = told["subsegments"]
    assert (first["name"], first["namespace"], first["http"]) == ("dynamodb", "aws", {"response": {"status": 200}})
    assert (first["aws"]["operation"], first["aws"]["region"]) == ("ListTables", "eu-west-1")
    assert (second["error"], second["aws"]["error_code"]) == (True, "ResourceNotFoundException")
    assert "fault" not in second
    assert SECRET not in json.dumps(told)


def test_a_call_that_has_no_answer_is_a_fault(daemon: Daemon, provider: XRayProvider) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        client: Any = session_of(provider).create_client(
            "dynamodb",
            region_name="eu-west-1",
            endpoint_url=url,
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )
        with provider.in_subsegment("## handler"), pytest.raises(EndpointConnectionError):
            client.list_tables()
    [told] = daemon.heard()
    [call] = told["subsegments"]
    assert call["fault"] is True
    assert call["cause"]["exceptions"][0]["type"] == "EndpointConnectionError"
    assert "fault" not in told, "the handler went on without"


@pytest.mark.parametrize(
    ("status", "code", "marks"),
    [
        (400, "ConditionalCheckFailedException", {"error"}),
        (400, "ProvisionedThroughputExceededException", {"error", "throttle"}),
        (400, "ThrottlingException", {"error", "throttle"}),
        (429, "", {"error", "throttle"}),
        (503, "SlowDown", {"fault"}),
        (200, "", set()),
    ],
)
def test_what_went_wrong_is_marked(
    status: int, code: str, marks: set[str], daemon: Daemon, provider: XRayProvider
) -> None:
    session = session_of(provider)
    client: Any = session.create_client("dynamodb", region_name="eu-west-1")
    model = client.meta.service_model.operation_model("GetItem")
    context: dict[str, Any] = {}
    with provider.in_subsegment("## handler"):
        session.get_component("event_emitter").emit(
            "before-call.dynamodb.GetItem", model=model, params={"headers": {}}, context=context
        )
        parsed = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 2}}
        session.get_component("event_emitter").emit("after-call.dynamodb.GetItem", parsed=parsed, context=context)
    [call] = daemon.heard()[0]["subsegments"]
    assert {"error", "fault", "throttle"} & call.keys() == marks
    assert call["aws"]["retries"] == 2
    assert context == {}


def test_calls_on_threads_belong_to_the_handler_and_a_datagram_stays_small(
    daemon: Daemon, provider: XRayProvider
) -> None:
    def call(number: int) -> None:
        provider._add(Segment(f"call-{number}"))

    with provider.in_subsegment("## handler"), ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(MOST_CALLS + 20)))
    [told] = daemon.heard()
    assert len(told["subsegments"]) == MOST_CALLS
    assert told["metadata"]["default"]["calls_left_out"] == 20
    call(1)
    assert daemon.heard() == [], "nothing is under way"


def test_ids_are_not_those_of_a_snapshot() -> None:
    ids = []
    for _ in range(2):
        random.seed(1)
        ids.append(Segment("a").document["id"])
    assert ids[0] != ids[1]


def test_a_segment_is_what_powertools_asks_for(provider: XRayProvider) -> None:
    outer, inner = Segment("outer"), Segment("in<ner>")
    outer.add_subsegment(inner)
    assert outer.document["subsegments"] == [inner.document]
    outer.remove_subsegment(inner)
    assert outer.document["subsegments"] == []
    assert inner.document["name"] == "inner"
    with pytest.raises(NotImplementedError):
        provider.in_subsegment_async("a")
    with pytest.raises(NotImplementedError, match="follow"):
        provider.patch_all()


def test_the_clients_of_the_functions_are_followed(daemon: Daemon) -> None:
    from runtime.telemetry import instrumented
    from tests.unit.lambdas.support import Context

    events = clients._session.get_component("event_emitter")
    model = SimpleNamespace(
        name="Publish", service_model=SimpleNamespace(endpoint_prefix="sns"), is_endpoint_discovery_operation=False
    )

    @instrumented
    def handler(event: object, context: object) -> None:
        del event, context
        told: dict[str, Any] = {}
        events.emit("before-call.sns.Publish", model=model, params={"headers": {}}, context=told)
        events.emit("after-call.sns.Publish", model=model, parsed={}, context=told)

    handler({}, Context())
    [told] = daemon.heard()
    assert told["annotations"]["Service"] == "tests"
    assert [each["aws"]["operation"] for each in told["subsegments"]] == ["Publish"]

"""What every handler is wrapped in: its lines, its metrics and its ids, and nothing undeclared among them."""

import io
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from fraud.measures import MEASURES, TIERS
from runtime.telemetry import MOST_IDS, correlate, correlated, count, instrumented, logger, metrics, serves
from tests.unit.lambdas.support import Context


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler: Any = logger.registered_handler
    before = handler.setStream(stream)
    metrics.clear_metrics()
    yield stream
    handler.setStream(before)
    logger.remove_keys(["correlation_id"])
    metrics.clear_metrics()
    metrics.tier = ""


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def directives(line: dict[str, Any]) -> dict[tuple[tuple[str, ...], ...], set[str]]:
    """Names of metrics by their sets of dimensions."""
    return {
        tuple(map(tuple, each["Dimensions"])): {metric["Name"] for metric in each["Metrics"]}
        for each in line["_aws"]["CloudWatchMetrics"]
    }


@pytest.mark.parametrize("name", ["Aproved", "approve", "", "service"])
def test_what_nobody_declared_is_not_counted(name: str) -> None:
    with pytest.raises(LookupError, match=r"fraud\.measures"):
        count(name)
    assert metrics.metric_set == {}


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_is_told_in_its_unit(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    count(name, 2.5)
    metrics.flush_metrics()
    [line] = told(capsys)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Paywarden"
    assert directive["Dimensions"] == [["service"]]
    assert directive["Metrics"] == [{"Name": name, "Unit": MEASURES[name].unit}]
    assert line[name] == [2.5]


@pytest.mark.parametrize(
    ("plan", "tier"), [("high", "high"), ("standard", "standard"), ("gold", "none"), ("", "none")]
)
def test_measures_by_tier_are_counted_once_more_and_no_others(
    plan: str, tier: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serves(plan)
    count("Approve")
    count("Repeated", 0)
    metrics.flush_metrics()
    [line] = told(capsys)
    assert directives(line) == {(("service",), ("service", "tier")): {"Approve"}, (("service",),): {"Repeated"}}
    assert (line["tier"], line["service"]) == (tier, "tests")
    assert line["tier"] in TIERS


def test_a_merchant_does_not_lend_its_tier_to_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    @instrumented
    def handler(event: dict[str, str], context: object) -> None:
        del context
        if event:
            serves(event["plan"])
        count("Approve")

    handler({"plan": "high"}, Context())
    handler({}, Context())
    first, second = told(capsys)
    assert first["tier"] == "high"
    assert "tier" not in second
    assert directives(second) == {(("service",),): {"Approve"}}


def test_a_hundred_values_are_told_at_once_with_their_tier(capsys: pytest.CaptureFixture[str]) -> None:
    serves("high")
    for _ in range(120):
        count("Degraded", 0)
    metrics.flush_metrics()
    found = told(capsys)
    assert [len(line["Degraded"]) for line in found] == [100, 20]
    assert [line["tier"] for line in found] == ["high", "high"]


def test_an_error_goes_on_and_what_was_counted_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    @instrumented
    def handler(event: object, context: object) -> None:
        del event, context
        count("AuthorizerFailed")
        raise ConnectionError("no table")

    with pytest.raises(ConnectionError, match="no table"):
        handler({}, Context())
    assert [line["AuthorizerFailed"] for line in told(capsys)] == [[1.0]]


def test_who_counts_nothing_writes_nothing_and_warns_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    @instrumented
    def handler(event: dict[str, int], context: object) -> int:
        del context
        return event["a"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert handler({"a": 3}, Context()) == 3
    assert capsys.readouterr() == ("", "")
    assert handler.__name__ == "handler"


def test_lines_carry_the_ids_of_their_invocation(logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    # Powertools leaves the id of the trace out while tracing is off, as it is for all other tests.
    monkeypatch.delenv("POWERTOOLS_TRACE_DISABLED", raising=False)
    monkeypatch.setenv(
        "_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"
    )

    @instrumented
    def handler(event: object, context: object) -> None:
        del event, context
        correlate("basket-7")
        logger.info("at work")

    handler({}, Context())
    [line] = lines(logged)
    assert line["function_request_id"] == Context().aws_request_id
    assert line["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert isinstance(line["cold_start"], bool)
    assert line["correlation_id"] == "basket-7"


def test_no_line_has_the_ids_of_the_invocation_before(logged: io.StringIO) -> None:
    @instrumented
    def handler(event: str, context: object) -> None:
        del context
        if event:
            logger.append_keys(request_id=event)
            correlate(event)
        logger.info("at work for %s", "4242" * 4)

    handler("basket-7", Context())
    handler("", Context())
    first, second = lines(logged)
    assert (first["correlation_id"], first["request_id"]) == ("basket-7", "basket-7")
    assert not {"correlation_id", "request_id"} & second.keys()
    assert second["service"] == "tests"
    assert second["message"] == "at work for [card number]", "what keeps secrets out of lines is still there"


def test_the_ids_of_a_batch_are_each_named_once_and_bounded() -> None:
    assert correlated(["b", "", "a", "b", ""]) == ["b", "a"]
    assert correlated([]) == []
    assert len(correlated(map(str, range(MOST_IDS + 5)))) == MOST_IDS


def test_ids_that_the_gateway_made_are_never_taken_for_card_numbers(logged: io.StringIO) -> None:
    # Its first group and what follows pass the check of a card number, as about one in 200 of such ids does.
    ours = "42424242-4242-4242-8242-424242424242"
    card = "42" * 8
    correlate(ours)
    logger.info("batch", extra={"correlation_ids": [ours, card]})
    [line] = lines(logged)
    assert line["correlation_id"] == ours
    assert line["correlation_ids"] == [ours, "[card number]"]

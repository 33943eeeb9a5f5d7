"""One id from a merchant's request to the feature update and the lake, and no metric that nobody declared."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import urllib3
from typer.testing import CliRunner

from fraud.measures import MEASURES, TIERS, namespace
from ops.cli import app
from ops.deployment import Deployment
from ops.functions import log_groups
from ops.lake import query
from ops.tracing.errors import TraceError
from ops.tracing.following import follow
from tests.waiting import waited

from .conftest import function_logs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MERCHANT = "shop-0"
PATIENCE = 60.0

type Send = Callable[..., Mapping[str, str]]


@pytest.fixture(scope="module")
def merchant(keys: dict[str, str]) -> str:
    return MERCHANT if MERCHANT in keys else next(iter(keys))


@pytest.fixture(scope="module")
def since() -> int:
    return time.time_ns() // 1_000_000 - 60_000


@pytest.fixture(scope="module")
def send(deployment: Deployment, keys: dict[str, str], merchant: str) -> Iterator[Send]:
    """Calls the API as a merchant."""
    pool = urllib3.PoolManager()

    def post(path: str, body: dict[str, object], **headers: str) -> Mapping[str, str]:
        reply = pool.request(
            "POST",
            f"{deployment.api_url}{path}",
            body=json.dumps(body),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {keys[merchant]}",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        assert reply.status in (200, 202), reply.data
        return reply.headers

    yield post
    pool.clear()


def payment(transaction_id: str) -> dict[str, object]:
    return {
        "transaction_id": transaction_id,
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": "tok-follow"},
        "customer": {"id": "customer-follow"},
    }


@pytest.fixture(scope="module")
def called(deployment: Deployment, send: Send, since: int) -> dict[str, str]:
    """A payment, its outcome and a label, each under an id of its own; and a payment without one.

    By now all of them are in the lake and in the features, or one test says which is not.
    """
    send("/v1/decisions", payment("t-follow"), Paywarden_Correlation_Id="follow-payment")
    send("/v1/decisions/t-follow/outcome", {"outcome": "declined"}, Paywarden_Correlation_Id="follow-outcome")
    label: dict[str, object] = {"transaction_id": "t-follow", "label": "chargeback"}
    send("/v1/labels", label, Paywarden_Correlation_Id="follow-label")
    nameless = send("/v1/decisions", payment("t-nameless"))
    assert nameless["Paywarden-Correlation-Id"] == nameless["Paywarden-Request-Id"]
    ids = {
        "decisions": "follow-payment",
        "outcomes": "follow-outcome",
        "labels": "follow-label",
        "nameless": nameless["Paywarden-Correlation-Id"],
    }
    waited(
        lambda: all({"features", "lake"} <= places(deployment, each, since) for each in ids.values()),
        within=PATIENCE,
        pause=0.5,
    )
    return ids


def places(deployment: Deployment, asked: str, since: int, **options: str) -> set[str]:
    try:
        return {moment.where for moment in follow(deployment, asked, since=since, **options)}
    except TraceError:
        return set()


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("decisions", "score_transaction"),
        ("outcomes", "record_outcome"),
        ("labels", "record_label"),
        ("nameless", "score_transaction"),
    ],
)
def test_one_id_is_found_from_the_request_to_the_lake(
    name: str, first: str, deployment: Deployment, called: dict[str, str], since: int
) -> None:
    wanted = {first, "relay_decisions", "update_features", "ledger", "features", "lake"}
    found: set[str] = set()

    def found_everywhere() -> bool:
        nonlocal found
        found = places(deployment, called[name], since)
        return found == wanted

    waited(found_everywhere, within=PATIENCE, pause=0.5)
    assert found == wanted


def test_the_rows_of_the_lake_carry_it(deployment: Deployment, called: dict[str, str]) -> None:
    for table in ("decisions", "outcomes", "labels"):
        rows = query(deployment, f"SELECT transaction_id FROM {table} WHERE correlation_id = '{called[table]}'")  # noqa: S608 - ours
        assert [row["transaction_id"] for row in rows] == ["t-follow"], table


def test_all_requests_about_a_payment_are_found_by_its_id(
    deployment: Deployment, called: dict[str, str], merchant: str, since: int
) -> None:
    moments = follow(deployment, "t-follow", merchant=merchant, since=since)
    assert {each.correlation_id for each in moments if each.correlation_id} == {
        called[table] for table in ("decisions", "outcomes", "labels")
    }
    assert moments == sorted(moments)
    with pytest.raises(TraceError, match="check --env and --hours"):
        follow(deployment, "t-never-sent", since=since)
    with pytest.raises(TraceError, match="letters"):
        follow(deployment, "x' OR 'a' = 'a", since=since)


def test_the_command_shows_the_request_in_the_order_of_time(
    deployment: Deployment, called: dict[str, str], merchant: str
) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(
            app, ["trace", *arguments, "--port", str(deployment.port)], env={"COLUMNS": "200"}
        )
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = run(called["decisions"])
    places = ("score_transaction", "ledger", "relay_decisions", "features", "lake")
    assert not [place for place in places if place not in shown], shown
    moments = json.loads(run("t-follow", "--merchant", merchant, "--json"))
    assert [each["at"] for each in moments] == sorted(each["at"] for each in moments)
    assert {each["correlation_id"] for each in moments} - {""} == {*called.values()} - {called["nameless"]}


def test_the_functions_count_nothing_that_is_not_declared(deployment: Deployment, called: dict[str, str]) -> None:
    del called
    services = {group: service for service, group in log_groups(deployment).items()}
    counted: set[tuple[str, str]] = set()
    for group, text in function_logs(deployment):
        if '"_aws"' not in text:
            continue
        line: dict[str, Any] = json.loads(text)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == namespace("local")
            for metric in directive["Metrics"]:
                measure = MEASURES[metric["Name"]]
                assert line["service"] == services[group] in measure.of
                assert metric["Unit"] == measure.unit
                tiered = [["service"], ["service", "tier"]] if measure.by_tier else [["service"]]
                assert directive["Dimensions"] == tiered, metric
                counted.add((line["service"], metric["Name"]))
        assert line.get("tier", "none") in TIERS
    assert {
        ("score_transaction", "Degraded"),
        ("update_features", "FeatureLag"),
        ("relay_decisions", "Relayed"),
    } <= (counted)

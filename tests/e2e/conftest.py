"""The whole platform, deployed once to a local cloud of the tests' own."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.client import Api
from ops.deployment import Deployment
from ops.history import import_history
from ops.inputs import World, build_world
from ops.measures import serving_profile
from ops.merchants import add
from ops.retraining import Run, retrain
from runtime.configuration import current
from tests.cloud import deployed
from tests.planted import plant
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(11)


@pytest.fixture(scope="session")
def deployment(pytestconfig: pytest.Config) -> Iterator[Deployment]:
    """A deployment whose functions' logs are searched for planted values at the end."""
    with deployed() as found:
        for name, key in found.tokeniser().keyring.keys.items():
            plant(f"token key {name}", key)
        yield found
        leaks: Any = pytestconfig.pluginmanager.get_plugin("leaks")
        for group, line in function_logs(found):
            leaks.look(line, f"the log {group}")


def folded(deployment: Deployment, *names: str) -> bool:
    """Whether events have changed the states of their cards, customers and devices."""
    return set(names) <= deployment.features().digests(names).keys()


def wait_folded(deployment: Deployment, *names: str, within: float = 30) -> None:
    until(lambda: folded(deployment, *names), within=within, what=f"the fold of {', '.join(names)}")


@pytest.fixture
def impatient(deployment: Deployment, api: Api) -> Iterator[str]:
    """The queue of updates, with failed messages back after two seconds instead of minutes.

    Its function runs by then: while it starts, an event would be received five times, and die.
    """
    name = f"warm-{secrets.token_hex(4)}"
    body = {
        "transaction_id": name,
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": f"card-of-{name}"},
        "customer": {"id": f"customer-of-{name}"},
    }
    assert api.post("aurora", "/v1/decisions", body).status == 200
    wait_folded(deployment, f"aurora/{name}", within=60)
    sqs, url = deployment.client("sqs"), deployment["UpdateQueueUrl"]
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})
    yield url
    sqs.set_queue_attributes(QueueUrl=url, Attributes=kept)


def function_logs(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Every line that a function, the API or a job of a deployment logged, with the name of its log."""
    client = deployment.client("logs")
    for groups in client.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            name = group["logGroupName"]
            for page in client.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in page["events"]:
                    yield name, event["message"]


@pytest.fixture(scope="session")
def keys(deployment: Deployment, world: World) -> dict[str, str]:
    at = time.time_ns() // 1_000_000
    found = {merchant: add(deployment, merchant, at=at).secret for merchant in world.merchants}
    for merchant, key in found.items():
        plant(f"the secret of {merchant}", key.split("_", 2)[2])
    return found


@pytest.fixture(scope="session")
def api(deployment: Deployment, keys: dict[str, str]) -> Iterator[Api]:
    api = Api(deployment.api_url, keys, threads=8)
    yield api
    api.close()


@pytest.fixture(scope="session")
def first_model(deployment: Deployment, world: World) -> Run:
    """History imported, and a model trained on it by the real state machine."""
    import_history(deployment, "before", world.history, clock=time.time_ns() // 1_000_000, sleep=time.sleep)
    return retrain(deployment, "first", options={"as_of": world.live_from}, timeout=180)


def serving_champion(deployment: Deployment) -> str | None:
    """The bundle that serves now."""
    return current(deployment.client("appconfigdata"), serving_profile(deployment)).champion

"""The whole platform, deployed once to a local cloud of the tests' own."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.client import Api
from ops.deployment import Deployment, connect
from ops.history import import_history
from ops.inputs import World, build_world
from ops.localcloud import control
from ops.localcloud.deploy import bootstrap_and_deploy
from ops.merchants import add
from ops.retraining import Run, retrain

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(11)


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    control.up(port)
    try:
        bootstrap_and_deploy(port)
        yield connect("local", port=port)
    finally:
        control.down(port)


@pytest.fixture(scope="session")
def keys(deployment: Deployment, world: World) -> dict[str, str]:
    return {merchant: add(deployment, merchant).secret for merchant in world.merchants}


@pytest.fixture(scope="session")
def api(deployment: Deployment, keys: dict[str, str]) -> Iterator[Api]:
    api = Api(deployment.api_url, keys, threads=8)
    yield api
    api.close()


@pytest.fixture(scope="session")
def first_model(deployment: Deployment, world: World) -> Run:
    """History imported, and a model trained on it by the real state machine."""
    import_history(deployment, "before", world.history, clock=time.time_ns() // 1_000_000)
    return retrain(deployment, "first", options={"as_of": world.live_from}, timeout=180)

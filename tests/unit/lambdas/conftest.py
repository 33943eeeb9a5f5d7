"""Handlers as Lambda starts them: fresh, with their environment, against AWS in memory."""

import importlib
import io
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from botocore.session import get_session
from moto import mock_aws

from runtime import clients
from runtime.telemetry import logger, metrics
from tests.unit.lambdas.support import ENVIRONMENT

type Loader = Callable[[str], ModuleType]

# Made once, since a session reads the descriptions of the services it is used for, and made here, since one
# that is older than moto would reach for the real AWS.
SESSION = get_session()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS account in memory, and the environment of the functions."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        monkeypatch.setattr(clients, "_session", SESSION)
        yield


@pytest.fixture
def load(aws: None, monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Import a function's handler as a cold start does."""
    del aws

    def fresh(name: str) -> ModuleType:
        package = f"lambdas.{name}"
        for module in [known for known in sys.modules if known == package or known.startswith(f"{package}.")]:
            monkeypatch.delitem(sys.modules, module)
        return importlib.import_module(f"{package}.handler")

    return fresh


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """What the functions log, as they would write it; keys and metrics of one test do not reach the next."""
    stream = io.StringIO()
    handler: Any = logger.registered_handler
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before if before is not None else sys.__stdout__)
    logger.remove_keys(["request_id", "merchant_id"])
    metrics.clear_metrics()

"""What every test starts from: no real AWS account in reach, and the same examples on every run."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks import Leaks

# Set before any module of ours is imported: Powertools reads its names when its logger and metrics are made.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "tests")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Paywarden")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")

# A deployment for all of `e2e`, and one synthesis of each environment for all of `infra`.
_SET_UP_ONCE = ("e2e", "infra")

settings.register_profile(
    "paywarden",
    deadline=None,  # the machines that run the tests are shared: a slow example is no failure
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("paywarden")


def pytest_configure(config: pytest.Config) -> None:
    """Watch all that is logged and printed."""
    config.pluginmanager.register(Leaks(), "leaks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests: a file stays in one, and so do tiers that are costly to set up."""
    for item in items:
        tier, _, rest = item.nodeid.removeprefix("tests/").partition("/")
        group = tier if tier in _SET_UP_ONCE else f"{tier}/{rest.partition('::')[0]}"
        item.add_marker(pytest.mark.xdist_group(group))

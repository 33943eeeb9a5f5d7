"""What every test starts from: no real AWS account in reach, and the same examples on every run."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks import Leaks

# Set before any module of ours is imported: Powertools reads its names when its logger and metrics are made.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "tests")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Paywarden")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")

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

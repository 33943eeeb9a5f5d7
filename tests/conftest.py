"""What every test starts from: no real AWS account in reach, and the same examples on every run."""

import os
from functools import cache

import botocore.session
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.leaks import Leaks

# Set before any module of ours is imported: Powertools reads its names when its logger and metrics are made.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "tests")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Paywarden")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")

# Two workers share the processors: threads of XGBoost that wait for one another would take them from the other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A deployment for all of `e2e`, and one synthesis of each environment for all of `infra`.
_SET_UP_ONCE = ("e2e", "infra")
# It breaks a deployment of its own.
_FOR_THEMSELVES = ("e2e/test_drills.py",)

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

# Every session of botocore would read the same descriptions of AWS's services anew, in some 10 ms each.
botocore.session.create_loader = cache(botocore.session.create_loader)


def pytest_configure(config: pytest.Config) -> None:
    """Watch all that is logged and printed."""
    config.pluginmanager.register(Leaks(), "leaks")


def group_of(nodeid: str) -> str:
    """Where several processes share the tests: a file stays in one, and so do tiers that are costly to set up."""
    tier, _, rest = nodeid.removeprefix("tests/").partition("/")
    name = f"{tier}/{rest.partition('::')[0]}"
    return tier if tier in _SET_UP_ONCE and name not in _FOR_THEMSELVES else name


class Sharing(LoadScopeScheduling):
    """Shares out tests by groups, the longest first.

    Marks (``xdist_group``) would not do: xdist 3.8 writes them into ids that pytest 9.2 makes anew.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        for group in reversed((*_SET_UP_ONCE, *_FOR_THEMSELVES)):
            if group in self.workqueue:
                self.workqueue.move_to_end(group, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing | None:
    """The scheduler of ``--dist loadgroup``; all others stay xdist's own."""
    return Sharing(config, log) if config.getoption("dist") == "loadgroup" else None

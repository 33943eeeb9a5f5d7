"""Drills, shortened, in a local cloud of their own, since they break it; `make drills` runs all, in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import deployed
from tests.drills.carrying import carried_out, warmed_up
from tests.drills.catalogue import DRILLS
from tests.drills.stage import Stage, staged

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BACKLOG = 1_000
# The others wait for clients and processes for most of their time.
NAMES = ("store-throttled", "poison", "corrupt-model")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = Path(tmp_path_factory.mktemp("drills"))
    with deployed() as deployment, staged(deployment, folder, short=True, backlog=BACKLOG) as found:
        warmed_up(found)
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_it_holds(name: str, stage: Stage) -> None:
    result = carried_out(DRILLS[name](), stage)
    assert result.held, [f"{finding.name}: {finding.detail}" for finding in result.broken]

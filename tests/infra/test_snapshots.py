"""SnapStart: the function that payments wait for starts from a snapshot, which only a version has."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.conftest import FUNCTIONS


@pytest.mark.parametrize("environment", ["prod", "staging", "dev"])
def test_scoring_starts_from_a_snapshot_of_its_published_version(
    platform: Callable[[str], Any], environment: str
) -> None:
    found = platform(environment)
    started = {name for name in FUNCTIONS if "SnapStart" in found.function(name)}
    assert started == {"score_transaction"}
    assert found.function("score_transaction")["SnapStart"] == {"ApplyOn": "PublishedVersions"}


def test_decisions_are_asked_of_the_alias_since_only_a_version_has_a_snapshot(
    platform: Callable[[str], Any],
) -> None:
    found = platform("prod")
    aliases = {
        key
        for key, each in found.resources("scoring", "AWS::Lambda::Alias").items()
        if "scoretransaction" in json.dumps(each["Properties"]["FunctionVersion"])
    }
    assert len(aliases) == 1
    uris = [
        json.dumps(each["Properties"]["Integration"].get("Uri", ""))
        for each in found.resources("scoring", "AWS::ApiGateway::Method").values()
    ]
    assert sum(alias in uri for alias in aliases for uri in uris) >= 1
    (function,) = (
        key
        for key, each in found.resources("scoring", "AWS::Lambda::Function").items()
        if each["Properties"]["Handler"].startswith("score_transaction.")
    )
    assert not any(function in uri for uri in uris)


def test_the_local_cloud_takes_no_snapshots(platform: Callable[[str], Any]) -> None:
    assert not any("SnapStart" in platform("local").function(name) for name in FUNCTIONS)

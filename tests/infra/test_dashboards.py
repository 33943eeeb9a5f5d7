"""The dashboards show what is counted, and all of it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fraud.measures import MEASURES, TIERS, namespace
from infra.alarms import kind_of
from infra.constructs.metric import Ours
from infra.constructs.release_alarms import rollback_alarms
from infra.environments import ENVIRONMENTS, PROD
from infra.slos import SLOS
from tests.infra.test_alarms import alarms, halves

NAMES = ("on-call", "model", "business")


def bodies(synthesized: Any) -> dict[str, dict[str, Any]]:
    """The dashboards by name, each reference in them by the logical id that it refers to."""
    found = {}
    for each in synthesized.resources("monitoring", "AWS::CloudWatch::Dashboard").values():
        pieces = each["Properties"]["DashboardBody"]["Fn::Join"][1]
        text = "".join(
            piece if isinstance(piece, str) else re.sub(r"\W", "", json.dumps(piece)) for piece in pieces
        )
        found[each["Properties"]["DashboardName"]] = json.loads(text)
    return found


def metrics(body: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Namespace, name, and dimensions, which a row may leave out by a dot if they are those of the row before."""
    for widget in body["widgets"]:
        before: list[str] = []
        for row in widget["properties"].get("metrics", ()):
            words = [each for each in row if isinstance(each, str)]
            if not words:
                continue
            before = [old if new == "." else new for new, old in zip(words, [*before, *words], strict=False)]
            yield tuple(before)


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_there_are_three(platform: Callable[[str], Any], environment: str) -> None:
    made = bodies(platform(environment))
    assert set(made) == {f"paywarden-{environment}-{each}" for each in NAMES}
    for body in made.values():
        assert 0 < len(body["widgets"]) <= 500
        for widget in body["widgets"]:
            assert widget["x"] + widget["width"] <= 24
            assert len(widget["properties"].get("alarms", ())) <= 100, "as many as such a widget holds"
            assert widget["properties"]["title"]


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_what_is_shown_is_counted_and_what_is_counted_is_shown(
    platform: Callable[[str], Any], environment: str
) -> None:
    shown = set()
    for body in bodies(platform(environment)).values():
        for room, name, *dimensions in metrics(body):
            if room != namespace(environment):
                assert room.startswith("AWS/")
                continue
            given = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            assert given.pop("service") in MEASURES[name].of
            if given:
                assert MEASURES[name].by_tier
                assert given.pop("tier") in TIERS
            assert not given
            shown.add(name)
    assert sorted(set(MEASURES) - shown) == []


def test_a_metric_that_is_not_declared_cannot_be_shown() -> None:
    for name, of, tier in (
        ("Nothing", "score_transaction", ""),
        ("Approve", "record_label", ""),
        ("Applied", "update_features", "high"),
    ):
        with pytest.raises(ValueError, match=f"{name}: {of} does not count this"):
            Ours(PROD)(name, of=of, tier=tier)


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_whoever_is_on_call_sees_every_alarm_that_tells_somebody(
    platform: Callable[[str], Any], environment: str
) -> None:
    found = platform(environment)
    body = bodies(found)[f"paywarden-{environment}-on-call"]
    pages, tickets = (
        [name.rpartition(":")[2] for name in each["properties"]["alarms"]]
        for each in body["widgets"]
        if each["type"] == "alarm"
    )
    back = set(rollback_alarms(ENVIRONMENTS[environment]))
    told = {each["AlarmName"] for _, _, each in alarms(found)} - halves(found) - back
    assert sorted(pages + tickets) == sorted(told)
    for names, severity in ((pages, "page"), (tickets, "ticket")):
        for name in names:
            kind = kind_of(name, prefix=f"paywarden-{environment}")
            assert getattr(kind, "severity", None) == severity, name


def test_objectives_are_shown_with_their_burn_and_what_is_left(platform: Callable[[str], Any]) -> None:
    widgets = {
        each["properties"]["title"]: each for each in bodies(platform("prod"))["paywarden-prod-on-call"]["widgets"]
    }
    for slo in SLOS.values():
        burning = widgets[f"{slo.name}: burn rate of 5 minutes"]["properties"]
        lines = {each["label"]: each["value"] for each in burning["annotations"]["horizontal"]}
        assert lines == {burn.name: burn.rate for burn in slo.burns}
        left = widgets[f"{slo.name}: % of 30 days' allowance left"]["properties"]
        assert left["setPeriodToTimeRange"] is True
        assert (left["start"], left["end"]) == ("-P30D", "P0D")
        for widget in (burning, left):
            expression = widget["metrics"][0][0]["expression"]
            assert expression.endswith(f"/ {slo.allowance:g}")
    assert "PassedThrough" in json.dumps(bodies(platform("prod"))["paywarden-prod-business"])

"""A look at a release: what is counted, what sends a model back, and when it is enough."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from fraud.serving import Canary, Serving
from runtime import clients
from runtime.stores.lineages import Served
from runtime.stores.releases import DynamoReleaseStore
from tests.unit.lambdas.lake import AthenaClient
from tests.unit.lambdas.releases import releases_table
from tests.unit.lambdas.support import POLICY, Context

# The first of January 2026, 12:00 UTC.
SINCE = 1_767_268_800_000
DAY = "2026-01-01"
MINUTE = 60_000


class Alarms:
    """CloudWatch, as far as it is asked."""

    def __init__(self) -> None:
        self.states = {"release-errors": "OK", "release-latency": "INSUFFICIENT_DATA"}
        self.updates: list[tuple[str, int, str]] = []

    def describe_alarms(self, **asked: Any) -> dict[str, Any]:
        assert asked["AlarmTypes"] == ["MetricAlarm"]
        names = [name for name in asked["AlarmNames"] if name in self.states]
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": self.states[name]} for name in names]}

    def get_paginator(self, name: str) -> "Alarms":
        assert name == "describe_alarm_history"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        assert (asked["HistoryItemType"], asked["AlarmTypes"]) == ("StateUpdate", ["MetricAlarm"])
        for name, at, state in self.updates:
            if name == asked["AlarmName"] and datetime.fromtimestamp(at / 1_000, UTC) >= asked["StartDate"]:
                data = {"version": "1.0", "newState": {"stateValue": state}}
                yield {"AlarmHistoryItems": [{"AlarmName": name, "HistoryData": json.dumps(data)}]}


@pytest.fixture
def alarms() -> Alarms:
    return Alarms()


@pytest.fixture
def lake() -> AthenaClient:
    return AthenaClient()


@pytest.fixture
def releases(aws: None) -> DynamoReleaseStore:
    """The table as its writers open it: the function itself only reads."""
    del aws
    return releases_table()


@pytest.fixture
def function(
    load: Any,
    releases: DynamoReleaseStore,
    alarms: Alarms,
    lake: AthenaClient,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    monkeypatch.setattr(clients, "cloudwatch", lambda: alarms)
    monkeypatch.setattr(clients, "athena", lambda: lake)
    serving(releases, Serving(policy=POLICY, champion="run-1", canary=Canary(version="run-2", share=0.1)))
    module: ModuleType = load("watch_release")
    return module


def serving(store: DynamoReleaseStore, document: Serving, number: int = 1) -> None:
    store.serves(
        Served(number=number, document=document, at=SINCE, by="retrain", reason="", configuration=str(number))
    )


def rows(model: str, count: int, approved: int, *, mine: float, theirs: float, at: int = SINCE) -> list[Any]:
    """Decisions of a model; scores alternate about their means."""
    other = "run-1" if model == "run-2" else "run-2"
    return [
        {
            "event_id": f"{model}/{number}/{at}",
            "day": DAY,
            "recorded_at": at,
            "model_version": model,
            "decision": "approve" if number < approved else "decline",
            "score": mine + 0.01 * (-1) ** number,
            "shadow": {other: theirs + 0.01 * (-1) ** number},
        }
        for number in range(count)
    ]


def stage(name: str = "canary", **policy: Any) -> dict[str, Any]:
    bounds = {"canary_decisions": 1_000, "canary_minutes": 60.0, "shadow_decisions": 500, "shadow_hours": 1.0}
    return {
        "stage": name,
        "run_id": "run-2",
        "version": "run-2",
        "champion": "run-1",
        "since": SINCE,
        "policy": bounds | policy,
    }


def look(function: ModuleType, event: dict[str, Any], minutes: float = 1) -> dict[str, Any]:
    function.time = Clock(SINCE + minutes * MINUTE)
    found: dict[str, Any] = function.handler(event, Context())
    return found


class Clock:
    """Stands still at a moment, in ms."""

    def __init__(self, moment: float) -> None:
        self.moment = moment

    def time_ns(self) -> int:
        return round(self.moment * 1_000_000)


def test_it_waits_until_there_are_enough_decisions_or_enough_time_is_over(
    function: ModuleType, lake: AthenaClient
) -> None:
    lake.decisions = rows("run-2", 300, 150, mine=0.3, theirs=0.3) + rows("run-1", 900, 450, mine=0.3, theirs=0.3)
    assert look(function, stage())["verdict"] == "wait"
    assert look(function, stage(), minutes=60)["verdict"] == "done"
    enough = look(function, stage(canary_decisions=300))
    assert (enough["verdict"], enough["decisions"]) == ("done", 300)
    assert enough["reason"] == "canary of run-2: 300 decisions in 1 minutes"


def test_a_row_that_came_twice_or_earlier_is_not_counted(function: ModuleType, lake: AthenaClient) -> None:
    twice = rows("run-2", 40, 20, mine=0.3, theirs=0.3)
    lake.decisions = [*twice, *twice, *rows("run-2", 40, 20, mine=0.3, theirs=0.3, at=SINCE - 1)]
    assert look(function, stage())["decisions"] == 40


def test_a_jump_of_approvals_sends_it_back_with_the_figures(
    function: ModuleType, lake: AthenaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.decisions = rows("run-2", 400, 240, mine=0.3, theirs=0.3) + rows("run-1", 400, 360, mine=0.3, theirs=0.3)
    answer = look(function, stage())
    assert answer["verdict"] == "back"
    # By hand: 241/402 - 361/402.
    assert answer["reason"] == (
        "canary of run-2: the share of payments approved moved by -0.2985 against the champion, and may by 0.05"
    )
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "ReleaseApprovalChange" in line]
    assert told[0]["ReleaseApprovalChange"] == [pytest.approx(0.29851, abs=1e-5)]
    assert told[0]["ReleaseScoreChange"] == [0.0]


def test_what_could_be_chance_or_is_little_sends_nothing_back(function: ModuleType, lake: AthenaClient) -> None:
    # 6 points, of 220 against 220: less than three standard errors.
    lake.decisions = rows("run-2", 220, 110, mine=0.3, theirs=0.3) + rows("run-1", 220, 123, mine=0.3, theirs=0.3)
    assert look(function, stage())["verdict"] == "wait"
    # Sure, but within the bound.
    lake.decisions = rows("run-2", 900, 450, mine=0.32, theirs=0.3) + rows(
        "run-1", 900, 450, mine=0.3, theirs=0.32
    )
    assert look(function, stage())["verdict"] == "wait"
    # Far, but of few.
    lake.decisions = rows("run-2", 199, 0, mine=0.9, theirs=0.3) + rows("run-1", 900, 900, mine=0.3, theirs=0.9)
    assert look(function, stage())["verdict"] == "wait"


def test_scores_that_moved_on_the_same_payments_send_it_back(function: ModuleType, lake: AthenaClient) -> None:
    lake.decisions = rows("run-2", 250, 125, mine=0.4, theirs=0.3) + rows("run-1", 750, 375, mine=0.3, theirs=0.4)
    answer = look(function, stage())
    assert answer["verdict"] == "back"
    assert "the mean score moved by +0.1000" in answer["reason"]


def test_a_model_that_hardly_anybody_met_is_not_trusted_when_its_time_is_over(
    function: ModuleType, releases: DynamoReleaseStore, lake: AthenaClient
) -> None:
    lake.decisions = rows("run-2", 199, 99, mine=0.3, theirs=0.3) + rows("run-1", 900, 450, mine=0.3, theirs=0.3)
    few = look(function, stage(), minutes=60)
    assert few["verdict"] == "back"
    assert few["reason"] == (
        "canary of run-2: 199 decisions in 60 minutes, and 200 are needed to trust it "
        "(release.minimum_canary_decisions)"
    )
    assert look(function, stage(minimum_canary_decisions=199), minutes=60)["verdict"] == "done"
    # Nor is it by a number of decisions that is less than what is needed.
    assert look(function, stage(canary_decisions=150))["verdict"] == "wait"
    assert look(function, stage(canary_decisions=150, minimum_canary_decisions=150))["verdict"] == "done"
    serving(releases, Serving(policy=POLICY, champion="run-2", challengers=("run-1",)), number=2)
    assert look(function, stage("probation", probation_minutes=5.0), minutes=4)["verdict"] == "wait"
    assert look(function, stage("probation", probation_minutes=5.0), minutes=5)["verdict"] == "back"


def test_where_fewer_decisions_are_enough_fewer_are_judged(
    function: ModuleType, lake: AthenaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.decisions = rows("run-2", 60, 0, mine=0.3, theirs=0.3) + rows("run-1", 400, 360, mine=0.3, theirs=0.3)
    assert look(function, stage())["verdict"] == "wait"
    # What the judge would not go by is not measured either.
    assert "ReleaseApprovalChange" not in capsys.readouterr().out
    assert look(function, stage(minimum_canary_decisions=60))["verdict"] == "back"
    assert look(function, stage(minimum_canary_decisions=61))["verdict"] == "wait"


def test_payments_decided_without_a_model_send_it_back_if_they_were_fewer_before(
    function: ModuleType, lake: AthenaClient
) -> None:
    bare = [{**each, "shadow": {}} for each in rows("", 100, 0, mine=0, theirs=0)]
    served = rows("run-1", 900, 450, mine=0.3, theirs=0.3)
    lake.decisions = served + bare
    answer = look(function, stage())
    assert answer["verdict"] == "back"
    assert "the share of payments decided without a model grew by +0.1000" in answer["reason"]
    # As many were without one on the day before; two days before is too long ago to tell.
    day = 24 * 60 * MINUTE
    for age, verdict in ((1, "wait"), (day, "wait"), (day + 1, "back")):
        before = [
            {**each, "shadow": {}, "day": "2025-12-31"}
            for each in rows("", 100, 0, mine=0, theirs=0, at=SINCE - age)
        ] + rows("run-1", 900, 450, mine=0.3, theirs=0.3, at=SINCE - age)
        lake.decisions = served + bare + [{**each, "day": "2025-12-31"} for each in before]
        assert look(function, stage())["verdict"] == verdict, age
    assert look(function, stage(maximum_without_model=0.1))["verdict"] == "wait"


def test_an_alarm_that_went_off_between_two_looks_is_not_missed(function: ModuleType, alarms: Alarms) -> None:
    alarms.updates = [("release-errors", SINCE - 1, "ALARM"), ("release-errors", SINCE + 1, "OK")]
    assert look(function, stage())["verdict"] == "wait"
    alarms.updates += [("release-latency", SINCE + 1, "ALARM"), ("release-latency", SINCE + 2, "OK")]
    answer = look(function, stage())
    assert answer["verdict"] == "back"
    assert "the alarm release-latency went off" in answer["reason"]


@pytest.mark.parametrize(("name", "verdict"), [("canary", "back"), ("probation", "back"), ("shadow", "wait")])
def test_an_alarm_sends_back_what_decides(
    function: ModuleType, releases: DynamoReleaseStore, alarms: Alarms, name: str, verdict: str
) -> None:
    documents = {
        "canary": Serving(policy=POLICY, champion="run-1", canary=Canary(version="run-2", share=0.1)),
        "probation": Serving(policy=POLICY, champion="run-2", challengers=("run-1",)),
        "shadow": Serving(policy=POLICY, champion="run-1", challengers=("run-2",)),
    }
    serving(releases, documents[name], number=2)
    alarms.states["release-latency"] = "ALARM"
    answer = look(function, stage(name))
    assert answer["verdict"] == verdict
    assert ("release-latency" in answer["reason"]) == (verdict == "back")


def test_what_somebody_took_out_goes_back(function: ModuleType, releases: DynamoReleaseStore) -> None:
    serving(releases, Serving(policy=POLICY, champion="run-1"), number=2)
    for name in ("shadow", "canary", "probation"):
        assert "somebody took it out" in look(function, stage(name))["reason"]


def test_a_shadow_counts_what_it_scored(
    function: ModuleType, releases: DynamoReleaseStore, lake: AthenaClient
) -> None:
    serving(releases, Serving(policy=POLICY, champion="run-1", challengers=("run-2",)), number=2)
    alone = [{**each, "shadow": {}} for each in rows("run-1", 50, 0, mine=0.1, theirs=0.9, at=SINCE + 1)]
    lake.decisions = rows("run-1", 500, 0, mine=0.1, theirs=0.9) + alone
    answer = look(function, stage("shadow"))
    assert (answer["verdict"], answer["decisions"]) == ("done", 500)


def test_without_a_champion_there_is_nothing_to_compare_with(function: ModuleType, lake: AthenaClient) -> None:
    lake.decisions = rows("run-2", 1_000, 0, mine=0.9, theirs=0.1)
    assert look(function, {**stage(), "champion": ""})["verdict"] == "done"


def test_an_alarm_that_is_not_there_is_an_error(function: ModuleType, alarms: Alarms) -> None:
    del alarms.states["release-errors"]
    with pytest.raises(LookupError, match="no alarm release-errors; deploy the monitoring stack"):
        look(function, stage())

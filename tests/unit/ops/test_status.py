"""`paywarden status`: figures of the right minutes, what is wrong first, on one screen."""

import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from rich.console import Console
from typer.testing import CliRunner

from fraud.measures import MEASURES, namespace
from infra.alarms import KINDS, name_of
from infra.environments import LOCAL
from infra.slos import BURNS, SLOS
from ops.cli import app
from ops.queues.letters import Queue as Dead
from ops.status import gathering
from ops.status.gathering import Alarm, Alarms, Queue, Run, Serving, Status, gather
from ops.status.metrics import Rate, Series, days, ours, recent
from ops.status.objectives import Objective, objectives, series
from ops.status.screen import WIDTH, screen
from runtime.stores.batches import ThrottledError

MINUTE, DAY = 60, 86_400
ROOT = Path(__file__).resolve().parents[3]
# 12:03:00, three minutes into the five that run.
NOW = datetime(2026, 3, 2, 12, 3, tzinfo=UTC).timestamp()


class CloudWatch:
    """Metric data by name and statistic, at the moments that they are given for; each answer in two pages."""

    def __init__(self, data: Mapping[tuple[str, str], Mapping[float, float]]) -> None:
        self.data = data
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(asked)
        since, until = asked["StartTime"].timestamp(), asked["EndTime"].timestamp()
        for query in asked["MetricDataQueries"]:
            stat = query["MetricStat"]
            values = self.data.get((stat["Metric"]["MetricName"], stat["Stat"]), {})
            known = sorted(((at, value) for at, value in values.items() if since <= at < until), reverse=True)
            for part in (known[:1], known[1:]):
                yield {
                    "MetricDataResults": [
                        {
                            "Id": query["Id"],
                            "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in part],
                            "Values": [value for _, value in part],
                        }
                    ]
                }


CALLS = Series("AWS/ApiGateway", "Count", (("ApiName", "a"),), "Sum")
SLOW = Series("AWS/ApiGateway", "Latency", (("ApiName", "a"),), "p99")


def test_now_is_the_running_five_minutes_and_those_before_beside_the_same_an_hour_earlier() -> None:
    current = NOW - 3 * MINUTE
    calls = {current: 30.0, current - 300: 50.0, current - 600: 7_000.0, current - 3_600: 100.0}
    slow = {current: 20.0, current - 300: 80.0, current - 3_900: 40.0}
    client = CloudWatch({("Count", "Sum"): calls, ("Latency", "p99"): slow})
    none = ours("local", "Decline", "score_transaction")
    found = recent(client, {"calls": CALLS, "slow": SLOW, "none": none}, NOW)
    # 80 calls in eight minutes; 100 in ten.
    assert found["calls"] == Rate(10.0, 10.0)
    assert found["slow"] == Rate(80.0, 40.0)
    assert found["none"] == Rate(None, None)
    assert len(client.asked) == 1


def test_an_objective_counts_thirty_days_and_tells_what_is_left() -> None:
    wanted = series(LOCAL)
    today = NOW // DAY * DAY
    client = CloudWatch(
        {
            ("Count", "Sum"): {today: 8_000.0, today - 29 * DAY: 10_000.0, today - 30 * DAY: 10_000.0},
            ("Batched", "Sum"): {today: 1_997.0},
            # Of either call.
            ("5XXError", "Sum"): {today: 3.0, today - 30 * DAY: 900.0},
            ("FailedInBatch", "Sum"): {today: 4.0},
            ("Latency", "SampleCount"): {today: 100.0, today - DAY: 300.0},
            ("Latency", "PR(:300)"): {today: 94.0, today - DAY: 100.0},
        }
    )
    found = {each.name: each for each in objectives(days(client, wanted, NOW))}
    assert found["decision-availability"].good == pytest.approx(1 - 10 / 20_000)
    assert found["decision-availability"].left == pytest.approx(0.0)
    # 6 of 400 calls were slow, and 4 might have been.
    assert found["decision-latency"].left == pytest.approx(-0.5)
    assert found["feature-freshness"].good is found["label-lag"].left is None


def test_every_objective_is_measured_and_nothing_is_shown_that_is_not_counted() -> None:
    assert set(SLOS) == {name.partition(" ")[0] for name in series(LOCAL)}

    class Deployment:
        environment = LOCAL

        def client(self, _service: str) -> Any:
            return self

        def get_paginator(self, _operation: str) -> Any:
            return self

        def paginate(self) -> Any:
            return [{"Functions": []}]

    deployment: Any = Deployment()
    for each in [*gathering._series(deployment).values(), *series(LOCAL).values()]:
        if each.namespace == namespace("local"):
            assert dict(each.dimensions)["service"] in MEASURES[each.metric].of
    asked = len(gathering._series(deployment)) + len(series(LOCAL)) + len(gathering.QUEUES) + len(Dead)
    an_hour = asked * 3_600 / 10 * 0.01 / 1_000
    text = " ".join((ROOT / "docs/operating.md").read_text().split())
    assert f"One look asks for {asked} metrics" in text
    assert f"costs about USD {an_hour:.2f} an hour" in text


class Alarmed:
    """CloudWatch with some alarms."""

    def __init__(self, on: Mapping[str, bool], prefix: str = "paywarden-local") -> None:
        moment = datetime.fromtimestamp(NOW - 600, UTC)
        self.alarms = [
            {
                "AlarmName": f"{prefix}-{name}",
                "StateValue": "ALARM" if is_on else "OK",
                "StateUpdatedTimestamp": moment,
            }
            for name, is_on in on.items()
        ]

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, **_asked: Any) -> Any:
        return [{"MetricAlarms": self.alarms[:2], "CompositeAlarms": []}, {"CompositeAlarms": self.alarms[2:]}]


def test_alarms_that_are_on_come_pages_first_and_halves_of_burns_not_at_all() -> None:
    burn = f"decision-latency-{BURNS[0].name}"
    client = Alarmed(
        {
            "function-errors-score_transaction": True,
            f"{burn}-long": True,
            f"{burn}-short": True,
            burn: True,
            "unrelayed": False,
            "somebody-elses": True,
        }
    )
    found = gathering._alarms(client, "paywarden-local")
    assert [alarm.name for alarm in found.on] == [burn, "function-errors-score_transaction"]
    assert found.on[0].runbook == f"docs/runbooks/{KINDS[burn].runbook}.md"
    assert found.on[0].since == round((NOW - 600) * 1_000)
    assert found.watched == 4


def test_a_part_that_cannot_be_read_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_told: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")

    def throttled(*_told: Any) -> Any:
        raise ThrottledError("releases: reads are throttled")

    for part in ("_figures", "_queues", "days"):
        monkeypatch.setattr(gathering, part, denied)
    monkeypatch.setattr(gathering, "_serving", throttled)
    monkeypatch.setattr(gathering, "_runs", lambda *_told: ())
    monkeypatch.setattr(gathering, "_alarms", lambda *_told: Alarms(on=(), watched=3))

    class Deployment:
        class environment:  # noqa: N801 - an attribute of a deployment
            name, prefix = "local", "paywarden-local"

        def client(self, _service: str) -> Any:
            return None

    deployment: Any = Deployment()
    found = gather(deployment, clock=lambda: NOW)
    assert set(found.unknown) == {"figures", "queues", "serving", "objectives"}
    told = shown(found)
    assert "of 3 alarms" in told
    assert told.count("AccessDenied") == 3
    assert "reads are throttled" in told


def shown(status: Status) -> str:
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(screen(status))
    return console.export_text()


def worst() -> Status:
    """Everything at once, with long names and large numbers."""
    names = [name_of(kind, prefix="p", of="score_transaction").removeprefix("p-") for kind in list(KINDS)[:12]]
    alarms = [
        Alarm(
            name=name,
            severity="page" if number < 5 else "ticket",
            owner="platform",
            means="Something is wrong.",
            runbook="docs/runbooks/decision-availability.md",
            since=round(NOW * 1_000) - number * 900_000,
        )
        for number, name in enumerate(names)
    ]
    counts = [*gathering.ACTIONS, "calls", "decisions", "refused", "failed", "Degraded", "folded"]
    times = ["latency p50", "latency p99", "lag p50", "lag p99", "relay age"]
    queues = [("updates", False), ("labels", False)]
    queues += [(name, True) for name in ("updates", "labels", "undelivered", "unrelayed", "unwithdrawn")]
    runs = [("retraining", "FAILED"), ("monitoring", "RUNNING")]
    return Status(
        environment="staging",
        at=round(NOW * 1_000),
        figures={name: Rate(1_234_567.0, 600_000.5) for name in [*counts, *times]},
        queues=tuple(
            Queue(name=name, visible=1_000_000, in_flight=120_000, oldest=86_400 * 3.5, dead=dead)
            for name, dead in queues
        ),
        serving=Serving(
            champion="manual-20260302-120000-a-long-name",
            canary="manual-20260303-120000-a-long-name",
            share=0.05,
            challengers=("run-7", "run-8", "run-9"),
            policy="12",
            since=round(NOW * 1_000) - 10**9,
            by="arn:aws:sts::123456789012:assumed-role/operators/somebody",
        ),
        runs=tuple(
            Run(
                kind=kind,
                name="manual-20260302-120000",
                state=state,
                started=round(NOW * 1_000) - 10**7,
                ended=0 if state == "RUNNING" else round(NOW * 1_000) - 10**6,
                end="in Evaluate"
                if state == "RUNNING"
                else "rejected: it finds less fraud than the champion does",
            )
            for kind, state in runs
        ),
        alarms=Alarms(on=tuple(alarms), watched=88),
        objectives=tuple(
            Objective(name=slo.name, objective=slo.objective, counted=1e9, good=0.99123, left=-12.0)
            for slo in SLOS.values()
        ),
        unknown={"spare": "it could not be read"},
    )


def test_it_fits_one_screen_at_its_worst() -> None:
    lines = shown(worst()).rstrip("\n").split("\n")
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    told = "\n".join(lines)
    for words in (
        "5 pages",
        "7 tickets",
        "and 4 more",
        "docs/runbooks/decision-availability.md",
        "1,000,000",
        "-1200%",
    ):
        assert words in told
    for words in ("champion", "canary, shadow", "retraining", "monitoring"):
        assert any(words in line[:18] for line in lines)
    # No figure is cut: only names and sentences may be.
    figures = lines[lines.index(next(line for line in lines if "per minute" in line)) :]
    assert not any("…" in line for line in figures if not line[2:].startswith(("champion", "retraining")))


def test_an_empty_deployment_says_so() -> None:
    told = shown(
        Status(
            environment="local",
            at=round(NOW * 1_000),
            alarms=Alarms(on=(), watched=80),
            serving=Serving(champion=None, canary=None, share=0, challengers=(), policy="1", since=0, by=""),
        )
    )
    assert "0 pages, 0 tickets" in told
    assert "paywarden train" in told


@pytest.mark.parametrize(
    ("alarms", "code"),
    [(worst().alarms, 1), (None, 1), (Alarms(on=worst().alarms.on[-1:], watched=9), 0)],  # type: ignore[union-attr]
    ids=["a page", "unknown", "a ticket"],
)
def test_check_fails_for_pages_only(monkeypatch: pytest.MonkeyPatch, alarms: Alarms | None, code: int) -> None:
    found = msgspec.structs.replace(worst(), alarms=alarms)
    monkeypatch.setattr("ops.status.commands.connect", lambda _env, *, port: port)
    monkeypatch.setattr(gathering, "gather", lambda _deployment: found)
    assert CliRunner().invoke(app, ["status", "--check"]).exit_code == code
    told = CliRunner().invoke(app, ["status", "--json"])
    assert told.exit_code == 0
    assert msgspec.json.decode(told.stdout, type=Status) == found

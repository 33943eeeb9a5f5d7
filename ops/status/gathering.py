"""What `paywarden status` tells, read from a deployment; a part that cannot be read hides no other."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from infra.alarms import HALVES, kind_of
from ops.deployment import Deployment, DeploymentError
from ops.functions import deployed
from ops.models.desk import Desk
from ops.queues.letters import AWS_ERRORS
from ops.queues.letters import OUTPUTS as DEAD_LETTERS
from ops.status.metrics import Rate, Series, days, lambda_, ours, per_minute, recent, sqs
from ops.status.objectives import Objective, objectives, series
from runtime.configuration import ConfigurationError

__all__ = ["ACTIONS", "Alarm", "Alarms", "Queue", "Run", "Serving", "Status", "gather", "pages"]

ACTIONS: Final = ("Approve", "Challenge", "Review", "Decline")
QUEUES: Final = {"updates": "UpdateQueueUrl", "labels": "LabelQueueUrl"}
_URGENCY: Final = {"page": 0, "ticket": 1, "none": 2}
_MACHINES: Final = {"retraining": "RetrainStateMachine", "monitoring": "MonitorStateMachine"}


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue; `oldest` is the age of its oldest message in seconds, None where CloudWatch has none.

    Attributes
    ----------
    dead : bool
        Whether it holds dead letters.
    """

    name: str
    visible: int
    in_flight: int
    oldest: float | None
    dead: bool


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that is on; `since` in ms since the epoch."""

    name: str
    severity: str
    owner: str
    means: str
    runbook: str
    since: int


class Alarms(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that are on, pages first, and how many there are in all."""

    on: tuple[Alarm, ...]
    watched: int


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What decides, since when (ms; 0 for ever), and by whom."""

    champion: str | None
    canary: str | None
    share: float
    challengers: tuple[str, ...]
    policy: str
    since: int
    by: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a state machine; times in ms since the epoch, `ended` is 0 while it runs.

    Attributes
    ----------
    end : str
        What came of it, in a few words.
    """

    kind: str
    name: str
    state: str
    started: int
    ended: int
    end: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment at a moment.

    Attributes
    ----------
    at : int
        In ms since the epoch.
    figures : dict
        Traffic, times and freshness; see `_series`. Counts are per minute.
    unknown : dict
        The parts that could not be read, and why.
    """

    environment: str
    at: int
    figures: dict[str, Rate] = {}
    queues: tuple[Queue, ...] = ()
    serving: Serving | None = None
    runs: tuple[Run, ...] = ()
    alarms: Alarms | None = None
    objectives: tuple[Objective, ...] = ()
    unknown: dict[str, str] = {}


def gather(deployment: Deployment, *, clock: Callable[[], float] = time.time) -> Status:
    """Read everything, side by side.

    Parameters
    ----------
    clock : callable
        Wall-clock seconds.
    """
    now = clock()
    cloudwatch = deployment.client("cloudwatch")
    parts: dict[str, Callable[[], Any]] = {
        "figures": lambda: _figures(deployment, cloudwatch, now),
        "queues": lambda: _queues(deployment, cloudwatch, now),
        "serving": lambda: _serving(deployment),
        "runs": lambda: _runs(deployment),
        "alarms": lambda: _alarms(cloudwatch, deployment.environment.prefix),
        "objectives": lambda: tuple(objectives(days(cloudwatch, series(deployment.environment), now))),
    }
    found: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    with ThreadPoolExecutor(len(parts)) as pool:
        futures = {name: pool.submit(part) for name, part in parts.items()}
        for name, future in futures.items():
            try:
                found[name] = future.result()
            except (*AWS_ERRORS, ConfigurationError, DeploymentError) as error:
                unknown[name] = str(error)
    return Status(environment=deployment.environment.name, at=round(now * 1_000), unknown=unknown, **found)


def _figures(deployment: Deployment, cloudwatch: Any, now: float) -> dict[str, Rate]:
    rates = recent(cloudwatch, _series(deployment), now)
    return {**rates, "decisions": per_minute(rates, ACTIONS)}


def _series(deployment: Deployment) -> dict[str, Series]:
    """What the upper half of the screen shows, by name."""
    # The API has the name of its deployment: CloudWatch knows it by that.
    api = (("ApiName", deployment.environment.prefix),)
    mine = partial(ours, deployment.environment.name)
    relay = deployed(deployment).get("relay_decisions", "")
    return {
        "calls": Series("AWS/ApiGateway", "Count", api, "Sum"),
        "refused": Series("AWS/ApiGateway", "4XXError", api, "Sum"),
        "failed": Series("AWS/ApiGateway", "5XXError", api, "Sum"),
        **{name: mine(name, "score_transaction") for name in (*ACTIONS, "Degraded")},
        **{f"latency {each}": Series("AWS/ApiGateway", "Latency", api, each) for each in ("p50", "p99")},
        **{f"lag {each}": mine("FeatureLag", "update_features", each) for each in ("p50", "p99")},
        "relay age": lambda_("IteratorAge", relay, "Maximum"),
        "folded": mine("Applied", "update_features"),
    }


def _queues(deployment: Deployment, cloudwatch: Any, now: float) -> tuple[Queue, ...]:
    urls = {(name, False): deployment[output] for name, output in QUEUES.items()}
    urls |= {(str(queue), True): deployment[output] for queue, output in DEAD_LETTERS.items()}
    ages = recent(
        cloudwatch,
        {url: sqs("ApproximateAgeOfOldestMessage", url.rpartition("/")[2]) for url in urls.values()},
        now,
    )
    client = deployment.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = []
    for (name, dead), url in urls.items():
        counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        visible, in_flight = (int(counts[each]) for each in names)
        # CloudWatch remembers the age of messages that are gone.
        oldest = ages[url].now if visible + in_flight else None
        found.append(Queue(name=name, visible=visible, in_flight=in_flight, oldest=oldest, dead=dead))
    return tuple(found)


def _serving(deployment: Deployment) -> Serving:
    served = Desk.of(deployment).publisher.current()
    document = served.document
    canary = document.canary
    return Serving(
        champion=document.champion,
        canary=canary.version if canary else None,
        share=canary.share if canary else 0.0,
        challengers=tuple(document.challengers),
        policy=document.policy.version,
        since=served.at,
        by=served.by,
    )


def _runs(deployment: Deployment) -> tuple[Run, ...]:
    client = deployment.client("stepfunctions")
    found: list[Run] = []
    for kind, output in _MACHINES.items():
        machine = deployment.resources.get(output)
        if machine is None:
            continue
        last = client.list_executions(stateMachineArn=machine, maxResults=1)["executions"]
        found += [_run(client, kind, each) for each in last]
    return tuple(found)


def _run(client: Any, kind: str, execution: Any) -> Run:
    return Run(
        kind=kind,
        name=execution["name"],
        state=execution["status"],
        started=_ms(execution["startDate"]),
        ended=_ms(execution["stopDate"]) if execution["status"] != "RUNNING" else 0,
        end=_end(client, execution),
    )


def _end(client: Any, execution: Any) -> str:
    """Where a run is, or what its output says came of it."""
    arn = execution["executionArn"]
    if execution["status"] == "SUCCEEDED":
        try:
            output = msgspec.json.decode(client.describe_execution(executionArn=arn).get("output", "{}"))
        except msgspec.DecodeError:
            return ""
        words = [output.get(name) for name in ("outcome", "reason")] if isinstance(output, dict) else []
        return ": ".join(str(each) for each in words if each)
    events = client.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=50)["events"]
    entered = (each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each)
    return next((f"in {state}" for state in entered), "")


def _alarms(cloudwatch: Any, prefix: str) -> Alarms:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{prefix}-", AlarmTypes=["CompositeAlarm", "MetricAlarm"]
    )
    found = [each for page in pages for kind in ("CompositeAlarms", "MetricAlarms") for each in page.get(kind, ())]
    # The halves of a burn alarm tell nobody.
    mine = [each for each in found if each["AlarmName"].rpartition("-")[2] not in HALVES]
    on = []
    for each in mine:
        kind = kind_of(each["AlarmName"], prefix=prefix)
        if each["StateValue"] != "ALARM" or kind is None:
            continue
        on.append(
            Alarm(
                name=each["AlarmName"].removeprefix(f"{prefix}-"),
                severity=kind.severity,
                owner=kind.owner,
                means=kind.means,
                runbook=f"docs/runbooks/{kind.runbook}.md",
                since=_ms(each.get("StateTransitionedTimestamp") or each["StateUpdatedTimestamp"]),
            )
        )
    return Alarms(
        on=tuple(sorted(on, key=lambda alarm: (_URGENCY[alarm.severity], alarm.since))), watched=len(mine)
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def pages(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Those for which somebody is woken up."""
    return [alarm for alarm in alarms if alarm.severity == "page"]

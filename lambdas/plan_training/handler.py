"""The first step of a training run: its name, its moment, what there is to learn from, and what it holds to.

The same function plans the comparison after a shadow, and monitoring: both are looks at the lake as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from fraud.monitoring import MonitoringPolicy
from fraud.policy import Policy
from fraud.release import RunPolicy
from fraud.run_policy import policy_of
from fraud.runids import run_id_of
from runtime import clients
from runtime.configuration import Profile, current
from runtime.settings import load
from runtime.telemetry import instrumented, logger

from .alone import not_alone, older
from .asked import read_input
from .monitoring import monitoring, needed_since, read_look
from .places import held, keep, keep_monitoring, snapshot
from .plans import DECIDED, Part, Plan, choose_engine, machine_to_compare, read_from, state_of

SOURCES = ("history", *DECIDED)


@dataclass(frozen=True)
class Settings(Profile):
    lake_bucket: str
    models_bucket: str
    run_policy: str
    loose_runs: bool
    replay_time: bool
    retrain_state_machine: str
    monitoring_policy: str = "{}"


settings = load(Settings)
s3 = clients.s3(clients.PATIENT)
appconfigdata = clients.appconfigdata()
states = clients.stepfunctions()
own_policy = msgspec.json.decode(settings.run_policy, type=RunPolicy)
own_monitoring = msgspec.json.decode(settings.monitoring_policy, type=MonitoringPolicy)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the state that every later step works by, or one of the two other looks."""
    del context
    lake, models = settings.lake_bucket, settings.models_bucket
    if "challenger" in event:
        return compare(event, {each: snapshot(s3, lake, each) for each in DECIDED}, lake=lake, models=models)
    serving = current(appconfigdata, settings)
    if "monitor" in event:
        return look(event, champion=serving.champion or "")
    # Runs of a loose deployment try things out, and several may.
    if not settings.loose_runs:
        other = older(states, settings.retrain_state_machine, name=event["run_id"], started_at=event["started_at"])
        if other:
            logger.info("not alone", extra={"run_id": event["run_id"], "other": other})
            return not_alone(run_id_of(event["run_id"]), other)
    planned = plan(
        event,
        champion=serving.champion or "",
        payment_policy=serving.policy,
        snapshots={source: snapshot(s3, lake, source) for source in SOURCES},
        own=own_policy,
        loose=settings.loose_runs,
    )
    kept = keep(s3, models, planned)
    logger.info("planned", extra={"run_id": kept.run_id, "champion": kept.champion, "engine": kept.engine})
    return state_of(kept, lake=lake, models=models)


def plan(
    event: dict[str, Any],
    *,
    champion: str,
    payment_policy: Policy,
    snapshots: Mapping[str, Part | None],
    own: RunPolicy,
    loose: bool,
) -> Plan:
    """What a run learns from and holds to.

    Parameters
    ----------
    event : dict
        ``run_id`` and ``started_at`` of the execution, and its ``input`` (see `RunInput`).
    champion : str
        The bundle that serves now, or nothing.
    payment_policy : Policy
        By which scores become actions now.
    snapshots : mapping of str to Part or None
        What each part of the lake holds; None where it has no objects.
    own : RunPolicy
        The deployment's.
    loose : bool
        Whether a run may loosen its gate and its release, and may be as of a moment to come.

    Raises
    ------
    ValueError
        If there is nothing to learn from, or the input holds something unknown or impossible.
    """
    held = {source: part for source, part in snapshots.items() if part is not None}
    if not {"history", "decisions"} & held.keys():
        raise ValueError("the lake holds no transactions: import history (paywarden import) or send traffic first")
    asked = read_input(event.get("input"))
    started = _milliseconds(event["started_at"])
    # Where runs may be loose, history is replayed with times of its own, which need not be past.
    if asked.as_of is not None and asked.as_of > started and not loose:
        raise ValueError(
            f"as_of: {asked.as_of} is later than the run's start at {event['started_at']}; what is not known yet "
            "would count as genuine: give a moment that is past, or none"
        )
    return Plan(
        run_id=run_id_of(event["run_id"]),
        as_of=asked.as_of or started,
        reason=asked.reason,
        champion=champion,
        engine=choose_engine(asked.engine, sum(part.bytes for part in held.values())),
        vectors=asked.vectors,
        policy=policy_of(own, asked.changes(), loose=loose),
        payment_policy=payment_policy,
        parameters=asked.parameters,
        instances=asked.instances,
        snapshot=held,
        started_at=event["started_at"],
        asked=asked,
    )


def look(event: dict[str, Any], *, champion: str) -> dict[str, Any]:
    """Plan a look at models and data, keep the plan and the lists of what it reads, and answer with its state."""
    lake, models = settings.lake_bucket, settings.models_bucket
    as_of = _milliseconds(event["started_at"])
    bounds = read_look(event.get("input")).bounds(own_monitoring)
    # Where events bring times of their own, the day of delivery says nothing of them.
    since = 0 if settings.replay_time else needed_since(as_of, own_policy, bounds)
    parts = {source: held(s3, lake, source, since=since, until=as_of + 1) for source in SOURCES}
    found = {source: part for source, part in parts.items() if part is not None}
    looked = monitoring(
        event,
        champion=champion,
        evaluated=bool(champion) and snapshot(s3, models, f"runs/{champion}/evaluation") is not None,
        snapshots={source: each.part for source, each in found.items()},
        since=since,
        own=own_policy,
        bounds=own_monitoring,
    )
    keep_monitoring(s3, models, lake, looked, found)
    return looked.state(models=models)


def compare(
    event: dict[str, Any], snapshots: Mapping[str, Part | None], *, lake: str, models: str
) -> dict[str, Any]:
    """Arguments, inputs and machine of the comparison, with what has become known by now.

    The bounds, and the age at which no label means genuine, are those of the run's plan, which it is given.

    Parameters
    ----------
    event : dict
        ``run_id``, ``challenger``, ``champion``, ``since`` (ms since the epoch) and ``now`` (ISO 8601).
    snapshots : mapping of str to Part or None
        See `plan`.
    """
    held = {source: part for source, part in snapshots.items() if part is not None}
    places = {
        "plan": f"s3://{models}/runs/{event['run_id']}/plan/",
        **{source: f"s3://{lake}/{source}/" for source in held},
    }
    return {
        "arguments": [
            *("compare", "--challenger", event["challenger"], "--champion", event["champion"]),
            *("--since", str(event["since"]), "--as-of", str(_milliseconds(event["now"]))),
        ],
        "inputs": [read_from(name, uri) for name, uri in places.items()],
        "machines": msgspec.to_builtins(machine_to_compare(sum(part.bytes for part in held.values()))),
    }


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)

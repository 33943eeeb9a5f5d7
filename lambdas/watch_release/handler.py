"""A look at a release: go on waiting, it went well, or back."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from runtime import clients
from runtime.athena import Athena
from runtime.settings import load
from runtime.stores.releases import DynamoReleaseStore
from runtime.telemetry import count, instrumented, logger

from .counting import Counts, Stage, counts_of, sql
from .judging import Look, enough_to_judge, judge

_PATIENCE = 45.0


@dataclass(frozen=True)
class Settings:
    athena_workgroup: str
    glue_database: str
    releases_table: str
    rollback_alarms: str

    @property
    def alarms(self) -> list[str]:
        return [name for name in self.rollback_alarms.split(",") if name]


settings = load(Settings)
lake = Athena(clients.athena(), settings.athena_workgroup, settings.glue_database)
alarms = clients.cloudwatch()
releases = DynamoReleaseStore(clients.dynamodb(), settings.releases_table)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer with the verdict, its sentence, and how many decisions there were."""
    del context
    stage = msgspec.convert(event, Stage)
    count("ReleaseLooks")
    counts = seen(stage)
    now = time.time_ns() // 1_000_000
    verdict = judge(Look(stage=stage, now=now, counts=counts, alarms=alarming(stage.since), role=holds(stage)))
    for name, change in (("ReleaseApprovalChange", counts.approval), ("ReleaseScoreChange", counts.score)):
        if change is not None and enough_to_judge(stage, counts.decisions):
            # What could be chance is told as nothing, so that an alarm stands on what is not.
            count(name, abs(change.value) if change.certain else 0.0)
    answer = {"verdict": verdict.verdict, "reason": verdict.reason, "decisions": counts.decisions}
    logger.info("looked", extra={"stage": stage.stage, "version": stage.version, **answer})
    return answer


def seen(stage: Stage) -> Counts:
    """What the lake has of the stage so far."""
    return counts_of(stage, lake.rows(sql(stage), until=lake.clock() + _PATIENCE))


def alarming(since: int) -> list[str]:
    """The alarms that are on, or went off since a moment (ms), of those that send a model back.

    Two looks are minutes apart, and an alarm that went off in between may be over by now.

    Raises
    ------
    LookupError
        If one is not there: nobody would be warned.
    """
    found = alarms.describe_alarms(AlarmNames=settings.alarms, AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    missing = sorted(set(settings.alarms) - {each["AlarmName"] for each in found})
    if missing:
        raise LookupError(f"there is no alarm {', '.join(missing)}; deploy the monitoring stack")
    on = {each["AlarmName"] for each in found if each["StateValue"] == "ALARM"}
    return [name for name in sorted(settings.alarms) if name in on or _went_off(name, since)]


def _went_off(name: str, since: int) -> bool:
    pages = alarms.get_paginator("describe_alarm_history").paginate(
        AlarmName=name,
        AlarmTypes=["MetricAlarm"],
        HistoryItemType="StateUpdate",
        # Histories may be kept in whole seconds.
        StartDate=datetime.fromtimestamp(since // 1_000, UTC),
    )
    updates = (json.loads(each["HistoryData"]) for page in pages for each in page["AlarmHistoryItems"])
    return any(each["newState"]["stateValue"] == "ALARM" for each in updates)


def holds(stage: Stage) -> bool:
    """Whether the model still is what this stage made it: a person may have taken it out."""
    last = releases.last_served()
    return last is not None and stage.role_in(last.document)

"""Rows of what templates declare."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.inventory.templates import Templates

__all__ = ["LISTENERS", "Listener", "counted", "kept", "listening"]

_MADE_UP = re.compile(r"(?:CurrentVersion|DynamoDBEventSource|SqsEventSource|[0-9A-F]{8}).*$")
"""What the library adds to the name of a place: a digest, of the code too for versions."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What something can be sent to, or what starts by itself.

    Attributes
    ----------
    by : str
        Who reaches it.
    """

    what: str
    by: str


LISTENERS: Mapping[str, Listener] = {
    "AWS::ApiGateway::Stage": Listener("API", "the internet, with a merchant's key, through the firewall"),
    "AWS::ApiGateway::Method": Listener("calls of the API", "as above; `ANY` answers what a path does not take"),
    "AWS::Events::EventBus": Listener("bus", "who may put events, in this account"),
    "AWS::Events::Rule": Listener("rules of buses, and schedules", "events that match, and the clock"),
    "AWS::SQS::Queue": Listener("queues", "EventBridge, Lambda, and operators"),
    "AWS::SNS::Topic": Listener("topics", "alarms and budgets; people subscribe by hand"),
    "AWS::KinesisFirehose::DeliveryStream": Listener("streams to the lake", "the rules of the bus"),
    "AWS::Lambda::EventSourceMapping": Listener("pollers", "Lambda, from queues and streams"),
    "AWS::StepFunctions::StateMachine": Listener("state machines", "schedules, drift, and operators"),
    "AWS::EC2::VPCEndpoint": Listener("endpoints in the network", "functions, and callers of a private API"),
}
"""All that listens: no load balancer, no machine and no container does."""


def counted(templates: Templates) -> list[tuple[str, ...]]:
    """Each type of resource, and how many of it each stack has and all have."""
    kinds = {
        part: Counter(each["Type"] for each in template["Resources"].values())
        for part, template in templates.items()
    }
    every = sum(kinds.values(), Counter[str]())
    rows = [
        (kind, *(str(kinds[part][kind] or "") for part in templates), str(count))
        for kind, count in sorted(every.items())
    ]
    totals = (str(each.total()) for each in kinds.values())
    return [*rows, ("**all**", *totals, str(every.total()))]


def listening(templates: Templates) -> Iterator[tuple[str, ...]]:
    """What listens: its kind, how many, their names, and by whom they are reached."""
    for kind, listener in LISTENERS.items():
        found = [
            name
            for part, template in templates.items()
            for key, each in template["Resources"].items()
            if each["Type"] == kind
            for name in [_name(part, key, each)]
        ]
        if found:
            names = "" if kind == "AWS::ApiGateway::Method" else ", ".join(sorted(set(found)))
            yield listener.what, str(len(found)), names, listener.by


def kept(templates: Templates) -> Iterator[tuple[str, ...]]:
    """What outlives its stack: stack, type, how many, and the names it goes by."""
    for part, template in templates.items():
        found: dict[str, list[str]] = {}
        for key, each in template["Resources"].items():
            if each.get("DeletionPolicy", "Delete") != "Delete":
                found.setdefault(each["Type"], []).append(_name(part, key, each))
        for kind, names in sorted(found.items()):
            yield part, kind, str(len(names)), _listed(names)


def _listed(names: Iterable[str], most: int = 12) -> str:
    several = sorted(set(names))
    return ", ".join(several) if len(several) <= most else f"{several[0]} to {several[-1]}"


def _name(part: str, key: str, resource: Mapping[str, Any]) -> str:
    """The name that the template gives, or the place that it is declared at."""
    properties = resource.get("Properties", {})
    for field in ("Name", "StageName", "StateMachineName", "TopicName", "QueueName", "LogGroupName", "AliasName"):
        if isinstance(given := properties.get(field), str):
            return f"`{given}`"
    if isinstance(when := properties.get("ScheduleExpression"), str):
        return f"`{when}`"
    return f"{part}/{_MADE_UP.sub('', key)}"

"""Whole decisions: all the processor time of the function for one of them, against the goals and the usual way.

Each kind runs in a process of its own with nothing in it but what Lambda has, against a loopback AWS in a second
process. What the very same bytes take over a bare socket is deducted.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import botocore
import xgboost as xgb
from botocore.config import Config

from fraud.features import STANDARD
from fraud.features.definitions import WindowFeature
from tests.benchmarks.data import ROOT
from tests.benchmarks.plain_keys import keys_of
from tests.benchmarks.results import Row, limit, measured
from tests.benchmarks.setting import APPROVES, DECLINES, Setting, decided, listening, setting, settings_items

__all__ = ["decision_rows"]

CALLS, PLAIN_CALLS = 3_000, 400
WITHOUT_REASONS, WITH_REASONS = 2_000, 3_300
SPREAD = 3
CALLS_ON_THE_PATH = 2
PHASES = ("parse", "read", "decode", "features", "model", "reasons", "policy", "write", "encode", "rest")
ITEMS, VALUES, PACKED = 5, 200, 850
# 3.5 ms over 0.75 ms, both with what the socket takes.
READ_GOAL = 4.6


def decision_rows() -> Iterator[Row]:
    """Every row about whole decisions."""
    at = setting()
    states = sum(key in at.at.packed for each in at.at.payments for key in STANDARD.keys_read(each))
    work = (
        f"processor time of the handler: {states / len(at.at.payments):.1f} states, {len(STANDARD.names)} "
        "features, 500 trees of depth 6, both calls of the client; what a bare socket takes deducted"
    )
    approved = decided(at, APPROVES, calls=CALLS, phases=True)
    declined = decided(at, DECLINES, calls=CALLS, phases=True)
    ruled = decided(at, APPROVES, calls=CALLS // 3, phases=True, tables=settings_items())
    ours = []
    for name, found, most in (
        ("without reasons", approved, WITHOUT_REASONS),
        ("with exact reasons", declined, WITH_REASONS),
    ):
        middle, high = _net(found)
        ours.append(middle)
        yield limit(f"decision {name}, median", work, middle, "us", most)
        yield limit(f"decision {name}, p99 over median", work, high / middle, "times", SPREAD)
    for phase in PHASES:
        source = declined if phase == "reasons" else approved
        yield measured(
            f"decision, {phase}", "median of this phase, bare socket included", _phase(source, phase), "us"
        )
    yield measured(
        "decision, policy with 20 rules", "all asked; two lists looked up too", _phase(ruled, "policy"), "us"
    )
    requests = max(found["requests"] for found in (approved, declined, ruled))
    yield limit("decision, network calls", "HTTP requests of a decision", requests, "calls", CALLS_ON_THE_PATH)
    yield measured(
        "this machine", "a fixed piece of plain Python, in the same process", median(approved["reference"]), "us"
    )
    yield from _read(at)
    yield from _usual(at, ours)


def _net(found: dict[str, Any]) -> tuple[float, float]:
    """Median and 99th percentile without what the socket takes."""
    floor, taken = median(found["floor"]), sorted(found["taken"])
    return taken[len(taken) // 2] - floor, taken[len(taken) * 99 // 100] - floor


def _phase(found: dict[str, Any], phase: str) -> float:
    return median(each.get(phase, 0.0) for each in found["phases"])


def _read(at: Setting) -> Iterator[Row]:
    """One Binary attribute an item and the client, beside an attribute a value and the resource."""
    packed = {"state": {"B": "A" * (-(-PACKED // 3) * 4)}}
    spread = {f"value_{number}": {"N": str(number * 1.25)} for number in range(VALUES)}
    names = [f"item-{number}" for number in range(ITEMS)]
    tables = {
        table: {name: {"key": {"S": name}, **values} for name in names}
        for table, values in (("packed", packed), ("spread", spread))
    }
    with listening(at, APPROVES, tables=tables) as environment:
        given = {
            "region_name": environment["AWS_DEFAULT_REGION"],
            "endpoint_url": environment["AWS_ENDPOINT_URL"],
            "aws_access_key_id": "benchmark",
            "aws_secret_access_key": "benchmark",
        }
        retries: Any = {"mode": "standard", "total_max_attempts": 1}
        client = boto3.client("dynamodb", config=Config(retries=retries, parameter_validation=False), **given)
        resource = boto3.resource("dynamodb", **given)
        low = [{"key": {"S": name}} for name in names]
        high = [{"key": name} for name in names]
        ours, theirs = _in_turns(
            lambda: client.batch_get_item(RequestItems={"packed": {"Keys": low}}),
            lambda: resource.batch_get_item(RequestItems={"spread": {"Keys": high}}),
        )
    yield _beside(
        "read of five items",
        f"BatchGetItem: a Binary of {PACKED} bytes each by the client; {VALUES} numbers each by the resource",
        ours,
        "boto3",
        boto3.__version__,
        theirs,
        goal=READ_GOAL,
    )


def _in_turns(*works: Callable[[], object]) -> list[float]:
    gc.collect()
    gc.freeze()  # what the other benchmarks left behind is none of these calls'
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(600):
        for times, work in zip(taken, works, strict=True):
            begun = time.process_time_ns()
            work()
            times.append((time.process_time_ns() - begun) / 1_000)
    gc.unfreeze()
    return [median(each[100:]) for each in taken]


def _usual(at: Setting, ours: list[float]) -> Iterator[Row]:
    """The same decisions by `plain.py`."""
    windowed = {
        entity.name: [n for n, each in enumerate(STANDARD.features) if _is_of(each, entity.name)]
        for entity in STANDARD.entities
    }
    items: dict[str, Any] = {}
    for number, request in enumerate(at.requests):
        vector = at.at.read(number)
        for key in keys_of(request):
            wanted = windowed[key.partition("#")[0]]
            values = {STANDARD.names[n]: {"N": repr(vector[n])} for n in wanted if not math.isnan(vector[n])}
            items[key] = {"key": {"S": key}, **values}
    site = str(Path(botocore.__file__).parents[1])
    for name, mine, explains in (("without reasons", ours[0], False), ("with exact reasons", ours[1], True)):
        found = decided(
            at,
            APPROVES,
            calls=PLAIN_CALLS,
            tables={"plain": items},
            module="tests.benchmarks.plain",
            path=(str(ROOT), site),
            variables={"EXPLAINS": str(explains).lower()},
        )
        work = "boto3's resource, DataFrame, XGBClassifier, shap: stored features, no tokens, rules, checks or log"
        peer = f"{boto3.__version__}, xgboost {xgb.__version__}"
        yield _beside(f"decision {name}, the usual way", work, mine, "boto3", peer, _net(found)[0])


def _is_of(feature: object, entity: str) -> bool:
    return isinstance(feature, WindowFeature) and feature.entity.name == entity


def _beside(
    name: str, work: str, ours: float, peer: str, version: str, theirs: float, *, goal: float | None = None
) -> Row:
    ratio = theirs / ours
    return Row(name, work, ours, "us", peer, version, theirs, ratio, goal, None if goal is None else ratio >= goal)

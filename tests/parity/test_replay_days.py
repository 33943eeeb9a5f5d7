"""A replay that computes features anew reads some days of the lake, and gets the bits that all days give."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fraud.events import Outcome
from ops.replaying.places import Input, of_lake
from tests.unit.training.synthetic import (
    DAY,
    HOUR,
    START,
    labels,
    transactions,
    write_decisions,
    write_labels,
    write_outcomes,
)
from training.contract import Contract
from training.replay_past import Stretch
from training.replay_plan import FEATURE_SETS, FeaturesAsked, ReplayPlan, feature_set
from training.sources import read_sources, recompute, unite

DAYS, SINCE, UNTIL = 150, START + 120 * DAY, START + 130 * DAY


class Lake:
    """The files of a folder, as S3 lists them."""

    def __init__(self, root: Path) -> None:
        self.environment = SimpleNamespace(replay_time=False)
        self.root = root

    def client(self, _service: str) -> "Lake":
        return self

    def __getitem__(self, _name: str) -> str:
        return "lake"

    def get_paginator(self, _operation: str) -> "Lake":
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str = "") -> list[dict[str, Any]]:  # noqa: N803 - boto3's names
        del Bucket
        keys = sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*.parquet"))
        found = [key for key in keys if key.startswith(Prefix) and key > StartAfter]
        return [{"Contents": [{"Key": key, "Size": 1} for key in found]}]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """Decisions, outcomes and labels of five months, each in the folder of the day when it was told."""
    root = tmp_path_factory.mktemp("lake")
    found, frauds = transactions(5, 1_800, days=DAYS)
    known = labels(found, frauds, delay=9 * DAY)
    outcomes = [
        Outcome(transaction=each, kind="declined", event_time=each.event_time + HOUR) for each in found[::7]
    ]

    def days(times: list[int]) -> list[str]:
        return [f"day={datetime.fromtimestamp(each / 1_000, UTC).date()}/a" for each in times]

    decided, told, done = (
        days([each.event_time for each in found]),
        days([each.known_at for each in known]),
        days([each.event_time for each in outcomes]),
    )
    for day in sorted({*decided, *told, *done}):
        mine = [each for each, its in zip(found, decided, strict=True) if its == day]
        if mine:
            write_decisions(root, mine, [{"amount": 1.0}] * len(mine), name=day)
        if day in told:
            write_labels(root, [each for each, its in zip(known, told, strict=True) if its == day], name=day)
        if day in done:
            write_outcomes(root, [each for each, its in zip(outcomes, done, strict=True) if its == day], name=day)
    return Contract(root, cpus=1)


def vectors(contract: Contract, name: FeaturesAsked) -> dict[str, bytes]:
    """The bits of every decision of the stretch."""
    features = feature_set(name)
    payments = unite(read_sources(contract, features), START + 400 * DAY, features.version)
    found = recompute(payments, features, "vectorised")
    asked = np.flatnonzero((payments.times >= SINCE) & (payments.times < UNTIL))
    return {payments.names[row]: found[row].tobytes() for row in asked}


def laid_out(lake: Contract, root: Path, inputs: list[Input], *, whole: bool) -> Contract:
    """What a job is given, by the rest of each key or, as was seen on AWS for manifests too, by all of it."""
    source = lake.processing_input("decisions").parent
    contract = Contract(root, cpus=1)
    for each in inputs:
        for key in each.objects.keys:
            name = key if whole else key.removeprefix(each.objects.prefix)
            target = contract.processing_input(each.folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / key, target)
    return contract


@pytest.mark.parametrize(("name", "whole"), [(name, name == "standard") for name in FEATURE_SETS])
def test_features_of_the_days_that_are_read_are_those_of_all_days(
    lake: Contract, tmp_path: Path, name: FeaturesAsked, whole: bool
) -> None:
    plan = ReplayPlan(id="r", since=SINCE, until=UNTIL, as_of=START + 400 * DAY, features=name)
    held: Any = Lake(lake.processing_input("decisions").parent)
    inputs = of_lake(held, plan)
    some = laid_out(lake, tmp_path, inputs, whole=whole)
    decisions = next(each.objects.keys for each in inputs if each.name == "decisions")
    assert len(decisions) <= 10 + 3 + feature_set(name).retention // DAY + 1 < DAYS
    expected = vectors(lake, name)
    assert len(expected) > 80
    assert vectors(some, name) == expected
    stretch = Stretch(some.processing_input("decisions"), since=SINCE, until=UNTIL, merchant="", columns=())
    assert {each for part in stretch.parts() for each in part.names} == set(expected)


def test_less_history_would_give_other_features(lake: Contract, tmp_path: Path) -> None:
    """The days before count: features served are read without them, and would not do."""
    held: Any = Lake(lake.processing_input("decisions").parent)
    inputs = of_lake(held, ReplayPlan(id="r", since=SINCE, until=UNTIL, as_of=START + 400 * DAY))
    some = laid_out(lake, tmp_path, inputs, whole=False)
    assert vectors(some, "standard").keys() == vectors(lake, "standard").keys()
    assert vectors(some, "standard") != vectors(lake, "standard")

"""What a replay reads, refuses and leaves alone; that it decides as serving does is tested in tests/parity."""

import ast
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.policy import Policy, Thresholds
from tests.unit.lambdas.support import bundle
from tests.unit.training.jobs import REPOSITORY, fails
from tests.unit.training.synthetic import DAY, START, transactions, write_decisions
from training.__main__ import main
from training.bundles import write_bundle
from training.contract import Contract
from training.replay_figures import MOST_LARGEST, Compared, Figures
from training.replay_past import PastDecision, Stretch
from training.replay_plan import FEATURE_SETS, PolicySince, ReplayPlan, feature_set

POLICY = Policy(version="p", thresholds=Thresholds(challenge=0.1, review=0.2, decline=0.9))
FORBIDDEN = ("boto3", "botocore", "runtime", "lambdas", "ops", "infra", "socket", "urllib", "requests", "http")


def source_of(name: str) -> Path | None:
    """The file of a module of ours."""
    root = REPOSITORY if name.partition(".")[0] != "fraud" else REPOSITORY / "layers" / "fraud" / "python"
    path = root / Path(*name.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def test_a_replay_can_reach_nothing_beyond_its_files() -> None:
    """No client of AWS, no adapter of ours, no network is in anything that the step imports, however far."""
    waiting, seen, outside = ["training.replay"], {"training.replay"}, set()
    while waiting:
        path = source_of(waiting.pop())
        assert path is not None
        # Features are computed on this machine only: the other engine is not asked for by a replay.
        for name in imported(path):
            if name.partition(".")[0] in ("training", "fraud"):
                if name not in seen and source_of(name) is not None and ".spark" not in name:
                    seen.add(name)
                    waiting.append(name)
            else:
                outside.add(name.partition(".")[0])
    assert {"training.replay_judging", "fraud.judgement", "training.engines.vectorised"} <= seen
    assert outside & set(FORBIDDEN) == set()


def lake(root: Path, *, scores: bool = False) -> list[Transaction]:
    """Decisions of four days in a file a day, of which the last two are one file; the first come twice."""
    found, _ = transactions(3, 200, days=4)
    for number, mine in enumerate((found[:60], found[:60], found[60:110], found[110:])):
        path = write_decisions(root, mine, [{"amount": 1.0}] * len(mine), name=f"day=2026-01-0{number + 1}/part-0")
        table = pq.read_table(path)
        columns: dict[str, Any] = {
            "policy_version": pa.array(["p"] * len(mine)),
            "score": pa.array([0.5 if scores else None] * len(mine), pa.float64()),
        }
        for name, column in columns.items():
            table = table.append_column(name, column)
        pq.write_table(table, path)
    return found


def planned(root: Path, **asked: Any) -> Contract:
    folder = root / "processing" / "input" / "plan"
    folder.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {"id": "r", "since": START, "until": START + 5 * DAY, "as_of": START + 9 * DAY}
    platform = (PolicySince(at=0, policy=POLICY),)
    plan = ReplayPlan(**{**given, "platform": platform, **asked})
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    return Contract(root, cpus=1)


def told(contract: Contract) -> dict[str, Any]:
    assert main(["replay"], contract) == 0
    document: dict[str, Any] = json.loads((contract.processing_output("report") / "replay.json").read_bytes())
    return document


@pytest.mark.parametrize("most_rows", [1, 70, 10_000])
def test_each_decision_of_the_stretch_is_read_once_and_in_order(tmp_path: Path, most_rows: int) -> None:
    found = lake(tmp_path)
    since, until = found[20].event_time, found[150].event_time
    folder = tmp_path / "processing" / "input" / "decisions"
    stretch = Stretch(folder, since=since, until=until, merchant="", columns=("amount",), most_rows=most_rows)
    parts = list(stretch.parts())
    names = [each.transaction.event_id for part in parts for each in part.decisions]
    assert names == [each.event_id for each in found if since <= each.event_time < until]
    assert stretch.repeated == sum(each.event_time >= since for each in found[:60])
    assert all((part.vectors[:, 0] == 1.0).all() for part in parts)
    (mine,) = {each.merchant_id for each in found[:1]}
    one = Stretch(folder, since=since, until=until, merchant=mine, columns=()).parts()
    assert {each.transaction.merchant_id for part in one for each in part.decisions} == {mine}


def test_a_file_that_has_nothing_of_the_stretch_is_not_read(tmp_path: Path) -> None:
    found = lake(tmp_path)
    folder = tmp_path / "processing" / "input" / "decisions"
    late = folder / "day=2026-01-04" / "part-0.parquet"
    table = pq.read_table(late)
    # Any read of its rows would be refused for this.
    pq.write_table(table.set_column(table.column_names.index("decision"), "decision", [["?"] * len(table)]), late)
    stretch = Stretch(folder, since=START, until=found[110].event_time, merchant="", columns=())
    assert sum(len(part.decisions) for part in stretch.parts()) == 110


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": START + DAY, "until": START + DAY}, "`since` is not before its `until`"),
        ({"policy": "given"}, "`policy` is 'given', which does not go with `given_policy`"),
        ({"model": "run-7"}, "There is no bundle run-7"),
        ({"since": START + 50 * DAY, "until": START + 51 * DAY}, "No decision lies in this stretch"),
    ],
)
def test_what_cannot_be_replayed_at_all_is_said_with_a_remedy(
    tmp_path: Path, asked: dict[str, Any], words: str
) -> None:
    lake(tmp_path)
    planned(tmp_path, **asked)
    assert words in fails(tmp_path, "replay")


def test_a_plan_that_is_none_is_said(tmp_path: Path) -> None:
    assert "start the replay with `paywarden replay`" in fails(tmp_path, "replay")


def test_a_model_that_wants_what_nothing_computes_is_refused(tmp_path: Path) -> None:
    lake(tmp_path)
    names = ("amount", "luck_v9")
    data = xgb.DMatrix(np.random.default_rng(1).random((40, 2)), [0, 1] * 20, feature_names=names)
    booster = xgb.train({"max_depth": 1}, data, 1)
    manifest = msgspec.structs.replace(bundle()[0], version="lucky", features=names, files={})
    write_bundle(tmp_path / "processing" / "input" / "bundles" / "lucky", booster, manifest)
    planned(tmp_path, model="lucky")
    assert "Model lucky wants luck_v9, which decisions do not carry" in fails(tmp_path, "replay")


def test_the_features_of_every_set_are_computed_and_others_are_as_served(tmp_path: Path) -> None:
    lake(tmp_path, scores=True)
    manifest, model = bundle()
    folder = tmp_path / "processing" / "input" / "bundles" / manifest.version
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (folder / "model.ubj").write_bytes(model)
    scored = {}
    for name in FEATURE_SETS:
        document = told(planned(tmp_path, model=manifest.version, features=name))
        assert document["replayed"] == document["scores"]["compared"] == 200
        scored[name] = document["scores"]["after"]
    assert feature_set("served") is feature_set("standard") is STANDARD
    assert scored["standard"] != scored["handbook"]


def test_a_decision_of_another_feature_set_needs_features_anew(tmp_path: Path) -> None:
    found, _ = transactions(3, 20)
    path = write_decisions(tmp_path, found, [{"amount": 1.0}] * 20, feature_set="older")
    table = pq.read_table(path).append_column("score", pa.array([0.5] * 20))
    pq.write_table(table.append_column("policy_version", pa.array(["p"] * 20)), path)
    manifest, model = bundle()
    folder = tmp_path / "processing" / "input" / "bundles" / manifest.version
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (folder / "model.ubj").write_bytes(model)
    until = START + 40 * DAY
    document = told(planned(tmp_path, model=manifest.version, until=until))
    assert document["cannot_be_replayed"] == {"other_feature_set": 20}
    again = told(planned(tmp_path, model=manifest.version, until=until, features="standard"))
    assert (again["replayed"], again["cannot_be_replayed"]) == (20, {})


def test_the_largest_changes_are_kept_and_no_token_of_a_person_is_told() -> None:
    found, _ = transactions(5, 100)
    figures = Figures()
    for each in found:
        past = PastDecision(each, "approve", 0.25, "m", "p", "", (), (), "", 1.0, True, each.event_time)
        figures.add([Compared(past, "decline", 0.75, (), "unknown", "")])
    document = figures.told()
    amounts = sorted((each.amount for each in found), reverse=True)
    assert [each["amount"] for each in document["largest"]] == amounts[:MOST_LARGEST]
    assert (document["changed"], document["scores"]["furthest"], document["identical"]) == (100, 0.5, False)
    text = json.dumps(document)
    assert not any(each.card in text or each.customer in text for each in found)

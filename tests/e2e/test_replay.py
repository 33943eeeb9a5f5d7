"""A stretch of the past replayed in a deployment: as it was nothing changes; what is changed can be counted."""

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from ops.client import Api
from ops.deployment import Deployment
from ops.lake import query
from ops.merchants import add
from ops.replaying.errors import ReplayError
from ops.replaying.planning import Asked, plan_of
from ops.replaying.running import as_job, here
from ops.retraining import Run
from runtime.stores.decisions import DECISION, DynamoDecisionStore
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MERCHANT = "replays-its-past"
COUNT = 16
ALL = ["--since", "2020-01-01", "--until", "2039-01-01"]
RULES = {"rules": [{"id": "abroad", "when": 'issuer_country == "US" && amount > 9000', "action": "decline"}]}
POLICY = {"thresholds": {"challenge": 0.0, "review": 0.0, "decline": 1.0}}
OWN = {"rules": [{"id": "round", "when": "amount % 4000 == 0", "action": "challenge"}]}


@pytest.fixture(scope="module")
def merchant(deployment: Deployment, first_model: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A merchant with a rule of its own and some decisions by the first model, two of them labelled."""
    assert first_model.promoted
    api = Api(deployment.api_url, {MERCHANT: add(deployment, MERCHANT, at=time.time_ns() // 1_000_000).secret})
    for number in range(COUNT):
        if number == COUNT // 2:
            path = tmp_path_factory.mktemp("own") / "rules.json"
            path.write_bytes(msgspec.json.encode(OWN))
            put = paywarden(deployment, "rules", "put", str(path), "--merchant", MERCHANT, "--by", "e2e")
            assert put.returncode == 0, put.stderr
            # Every process has looked for the merchant's rules by then.
            time.sleep(2 * deployment.environment.config_refresh_seconds)
        card = {"token": f"tok-replayed-{number % 5}", "issuer_country": "US" if number % 2 else "FR"}
        sent = {"transaction_id": f"r-{number}", "amount": 1_000 * number, "currency": "EUR"}
        reply = api.post(MERCHANT, "/v1/decisions", {**sent, "card": card, "customer": {"id": "c"}})
        assert reply.status == 200, reply.body
    for name, kind in (("r-11", "chargeback"), ("r-13", "confirmed_genuine")):
        assert api.post(MERCHANT, "/v1/labels", {"transaction_id": name, "label": kind}).status == 202
    api.close()

    def there(table: str) -> int:
        sql = f"SELECT count(DISTINCT event_id) AS n FROM {table} WHERE merchant_id = '{MERCHANT}'"  # noqa: S608 - names of our own
        return int(query(deployment, sql)[0]["n"])

    until(
        lambda: there("decisions") >= COUNT and there("labels") >= 2,
        within=90,
        pause=1,
        what="all rows in the lake",
    )
    return MERCHANT


def paywarden(deployment: Deployment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("paywarden")), *arguments, "--port", str(deployment.port)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def replayed(deployment: Deployment, target: Path, *, job: bool, **asked: Any) -> dict[str, Any]:
    """A replay of the merchant's decisions, as the command makes one."""
    everything = Asked(**{"since": 0, "until": 4_000_000_000_000, "merchant": MERCHANT, **asked})
    planned = plan_of(deployment, everything, f"replay-{time.time_ns()}", now=time.time_ns() // 1_000_000)
    if job:
        return as_job(deployment, planned, target, machine="ml.m5.xlarge", show=unseen)
    return here(deployment, planned, target, show=unseen)


def unseen(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def test_everything_that_was_ever_decided_comes_out_as_it_was(
    deployment: Deployment, merchant: str, tmp_path: Path
) -> None:
    del merchant
    told = replayed(deployment, tmp_path, job=False, merchant="")
    assert told["replayed"] >= COUNT
    assert told["identical"], told
    assert told["scores"]["compared"] == told["scores"]["equal"] > 0


def test_a_job_decides_by_another_policy_and_a_rule_what_the_ledger_says_it_would(
    deployment: Deployment, merchant: str, tmp_path: Path
) -> None:
    rules, policy = tmp_path / "rules.json", tmp_path / "policy.json"
    rules.write_bytes(msgspec.json.encode(RULES))
    policy.write_bytes(msgspec.json.encode(POLICY))
    options = ("--merchant", MERCHANT, "--out", str(tmp_path / "out"), "--json")
    done = paywarden(deployment, "replay", *ALL, *options, "--rules", str(rules), "--policy", str(policy))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    expected: Counter[tuple[str, str]] = Counter()
    money = 0
    truths: Counter[str] = Counter()
    for number in range(COUNT):
        record = ledger.get(f"{merchant}/r-{number}", DECISION)
        assert record is not None
        row = json.loads(record.row)
        becomes = "approve" if row["score"] is None and row["amount"] <= 5_000 else "review"
        if row["issuer_country"] == "US" and row["amount"] > 9_000:
            becomes = "decline"
        expected[row["decision"], becomes] += 1
        if becomes == "decline" != row["decision"]:
            money += row["amount"]
            truths[{11: "fraud", 13: "genuine"}.get(number, "unknown")] += 1
    assert {(each["from"], each["to"]): each["all"]["count"] for each in told["ways"]} == dict(expected)
    declined = [each for each in told["ways"] if each["to"] == "decline" != each["from"]]
    assert sum(each["all"]["amount"] for each in declined) == money > 0
    assert {
        name: count
        for name in ("fraud", "genuine", "unknown")
        if (count := sum(each[name]["count"] for each in declined))
    } == dict(truths)
    assert told["rules"]["abroad"] == {"before": 0, "after": 3}
    assert told["rules"]["round"]["after"] == 0 < told["rules"]["round"]["before"]
    assert pq.read_metadata(tmp_path / "out" / "changes.parquet").num_rows == told["changed"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 5_000


def test_a_job_over_features_computed_anew_says_what_this_process_says(
    deployment: Deployment, merchant: str, tmp_path: Path
) -> None:
    del merchant
    options = {"features": "standard", "model": "champion", "rules": "current", "policy": "current"}
    by_job, in_place = (replayed(deployment, tmp_path / str(job), job=job, **options) for job in (True, False))
    for told in (by_job, in_place):
        for name in ("id", "as_of", "seconds", "rows_per_second"):
            del told[name]
    assert by_job == in_place
    assert by_job["decisions"] == COUNT


def test_a_replay_of_thirty_days_reads_only_those_days(
    deployment: Deployment, merchant: str, tmp_path: Path
) -> None:
    """Where payments have no times of their own: what lies in other days of the lake is not given to the job."""
    dated = replace(deployment, environment=replace(deployment.environment, replay_time=False))
    s3, lake, models = deployment.client("s3"), deployment["LakeBucket"], deployment["ModelsBucket"]
    now = datetime.now(UTC)
    since, until = (round(each.timestamp() * 1_000) for each in (now - timedelta(days=30), now))
    named = {(now.date() + timedelta(days=number)).isoformat() for number in range(-30, 3)}
    strange = ("decisions/day=2024-03-01/strange.parquet", "labels/day=2024-03-01/strange.parquet")
    asked = Asked(since=since, until=until, merchant=merchant, policy="current")
    # The query looks at all files here, whatever days it names; the job does not.
    plan = plan_of(dated, asked, f"replay-{time.time_ns()}", now=until)
    try:
        for key in strange:
            # Whoever reads it fails.
            s3.put_object(Bucket=lake, Key=key, Body=b"not Parquet")
        told = as_job(dated, plan, tmp_path, machine="ml.m5.xlarge", show=unseen)
    finally:
        for key in strange:
            s3.delete_object(Bucket=lake, Key=key)
    assert (told["decisions"], told["cannot_be_replayed"]) == (COUNT, {})
    for part in ("decisions", "labels"):
        key = f"replays/{plan.plan.id}/inputs/{part}.manifest"
        prefix, *names = json.loads(s3.get_object(Bucket=models, Key=key)["Body"].read())
        assert prefix == {"prefix": f"s3://{lake}/{part}/"}
        assert names
        assert {name.removeprefix("day=").partition("/")[0] for name in names} <= named


def test_a_replay_leaves_nothing_but_its_own_folder(deployment: Deployment, merchant: str, tmp_path: Path) -> None:
    """Neither the models nor the lake, neither the ledger nor what serves are other ones afterwards."""
    del merchant
    before = _objects(deployment)
    told = replayed(deployment, tmp_path, job=True)
    assert (told["identical"], told["decisions"], told["cannot_be_replayed"]) == (True, COUNT, {})
    gained = _objects(deployment) - before
    assert gained
    # A retraining that another test began may still write to its own folder.
    in_models = {key.partition("/")[0] for bucket, key in gained if bucket == deployment["ModelsBucket"]}
    assert "replays" in in_models
    assert in_models <= {"replays", "runs"}
    in_lake = {key.partition("/")[0] for bucket, key in gained if bucket == deployment["LakeBucket"]}
    # What other tests send meanwhile is delivered, and the query's answer is kept.
    assert in_lake <= {"athena-results", "decisions", "labels", "outcomes"}


def test_what_is_not_there_is_said_in_a_sentence(deployment: Deployment, merchant: str) -> None:
    asked = Asked(since=1_000, until=2_000, merchant=merchant)
    with pytest.raises(ReplayError, match="no decision of merchant replays-its-past lies between 1970-01-01"):
        plan_of(deployment, asked, "replay-none", now=3_000)
    asked = Asked(since=0, until=4_000_000_000_000, merchant=merchant, model="run-of-nobody")
    with pytest.raises(ReplayError, match="--model run-of-nobody"):
        plan_of(deployment, asked, "replay-none", now=3_000)


def _objects(deployment: Deployment) -> set[tuple[str, str]]:
    client = deployment.client("s3")
    found = set()
    for bucket in (deployment["ModelsBucket"], deployment["LakeBucket"]):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            found |= {(bucket, each["Key"]) for each in page.get("Contents", ())}
    return found

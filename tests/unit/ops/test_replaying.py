"""What `paywarden replay` looks up, asks SageMaker for, and tells people."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from rich.console import Console
from typer.testing import CliRunner

from fraud.features import STANDARD
from fraud.lists import ListDefinition, StoredLists
from fraud.policy import Policy, Thresholds
from fraud.rules import Rule, StoredRules
from fraud.rules.check import check_rules
from fraud.serving import Serving
from fraud.windows import DAY
from ops.cli import app
from ops.localcloud.checks import check_locally
from ops.localcloud.validation import validate
from ops.replaying import commands as replay_commands
from ops.replaying import planning, running
from ops.replaying.errors import ReplayError
from ops.replaying.places import inputs_of
from ops.replaying.planning import Asked, Planned, plan_of
from ops.replaying.running import as_job, job_request
from ops.replaying.tables import shown
from runtime.stores.documents import StoredPolicy
from runtime.stores.lineages import Served
from runtime.stores.releases import MemoryReleaseStore
from runtime.stores.settings import MemorySettingsStore
from tests.unit.ops.clock import Clock
from training.replay_plan import ReplayPlan

NOW = 1_767_261_600_000
PLATFORM = Policy(version="p2", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
EARLIER = Policy(version="p1", thresholds=Thresholds(challenge=0.1, review=0.5, decline=0.8))
OWN = Policy(version="own-1", thresholds=Thresholds(challenge=0.3, review=0.5, decline=0.8))
SERVING = Serving(policy=PLATFORM, champion="run-2")
BUNDLES = ("run-1", "run-2")


class S3:
    """Keys by bucket, each of a gigabyte."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.put: dict[str, bytes] = {}

    def head_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803 - boto3's names
        if Bucket != "models" or Key.split("/")[1] not in BUNDLES:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def get_paginator(self, _operation: str) -> "S3":
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str = "") -> list[dict[str, Any]]:  # noqa: N803 - boto3's names
        """Two keys a page, in their order."""
        keys = sorted(each.partition("/")[2] for each in self.keys if each.startswith(f"{Bucket}/{Prefix}"))
        found = [{"Key": key, "Size": 10**9} for key in keys if key > StartAfter]
        return [{"Contents": found[place : place + 2]} for place in range(0, len(found), 2)] or [{}]

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803 - boto3's names
        assert ContentType == "application/json"
        self.put[f"s3://{Bucket}/{Key}"] = Body


class Deployed:
    """A deployment in memory, as far as a replay looks at it."""

    def __init__(self, *keys: str, replay_time: bool = True) -> None:
        policy = SimpleNamespace(data=SimpleNamespace(minimum_confidence=0.5))
        self.environment = SimpleNamespace(replay_time=replay_time, prefix="paywarden-test", run_policy=policy)
        self.store, self.served = MemorySettingsStore(), MemoryReleaseStore()
        self.s3 = S3(*keys)

    def client(self, service: str) -> Any:
        return self.s3 if service == "s3" else service

    def __getitem__(self, name: str) -> str:
        names = {"ModelsBucket": "models", "LakeBucket": "lake", "TrainingImage": "training:1"}
        return names.get(name) or {"ReplayRole": "arn:aws:iam::123456789012:role/replay"}.get(name, name)

    def settings(self) -> MemorySettingsStore:
        return self.store

    def releases(self) -> MemoryReleaseStore:
        return self.served


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two merchants of which one has set something, and two platform policies one after the other."""
    made = Deployed()
    for number, policy in enumerate((EARLIER, PLATFORM), 1):
        document = Serving(policy=policy, champion=f"run-{number}")
        made.served.serves(
            Served(number=number, document=document, at=number, by="t", reason="t", configuration="1")
        )
    for version in (1, 2):
        rules = check_rules([Rule(id=f"r{version}", when="amount > 1", action="review")], STANDARD, {})
        made.store.put(
            "acme", StoredRules(version=version, mode="first_match", rules=rules, changed_at=1, changed_by="t")
        )
    made.store.put("acme", StoredPolicy(version=1, policy=OWN, changed_at=1, changed_by="t"))
    lists = (ListDefinition(name="watched", field="device", action="none"),)
    made.store.put("acme", StoredLists(version=1, lists=lists, changed_at=1, changed_by="t"))
    found = [["acme", "run-1", "own-1", "1", NOW, NOW], ["shop", "run-gone", "p1", "", NOW, NOW]]
    asked: list[str] = []

    class Lake:
        def rows(self, sql: str, *, until: float) -> list[list[Any]]:
            del until
            asked.append(sql)
            return [each for each in found if "merchant_id = 'nobody'" not in sql]

    monkeypatch.setattr(planning, "lake_of", lambda _deployment: Lake())
    monkeypatch.setattr(planning, "serving_profile", lambda _deployment: None)
    monkeypatch.setattr(planning, "current", lambda _client, _profile: SERVING)
    made.asked = asked  # type: ignore[attr-defined] # what the lake was asked
    return made


def plan(deployed: Any, **asked: Any) -> Any:
    return plan_of(deployed, Asked(**{"since": NOW, "until": NOW + DAY, **asked}), "replay-1", now=NOW + DAY)


def test_the_plan_holds_every_document_that_decided(deployed: Any) -> None:
    planned = plan(deployed)
    past = planned.plan.merchants["acme"]
    assert [rule.id for rule in past.rules["1"].rules] == ["r1"]
    assert past.current_rules is not None
    assert [rule.id for rule in past.current_rules.rules] == ["r2"]
    assert past.policies == {"own-1": OWN}
    assert [each.version for each in past.lists] == [1]
    assert [each.policy.version for each in planned.plan.platform] == ["p2", "p1"]
    assert set(planned.plan.merchants) == {"acme"}
    # The bundle that is gone is left to the replay to count.
    assert planned.bundles == ("run-1",)
    assert planned.plan.as_served
    assert msgspec.json.decode(msgspec.json.encode(planned.plan), type=ReplayPlan) == planned.plan


def test_days_of_the_lake_are_named_only_where_payments_have_no_times_of_their_own(deployed: Any) -> None:
    plan(deployed)
    deployed.environment.replay_time = False
    plan(deployed, merchant="acme")
    anywhere, by_day = deployed.asked
    assert "day" not in anywhere
    assert "day >= '2026-01-01' AND day <= '2026-01-04'" in by_day
    assert "merchant_id = 'acme'" in by_day


def test_documents_are_given_as_files(deployed: Any, tmp_path: Path) -> None:
    rules, policy = tmp_path / "rules.json", tmp_path / "policy.json"
    rules.write_text('{"rules": [{"id": "w", "when": "\\"watched\\" in lists", "action": "decline"}]}')
    policy.write_text('{"thresholds": {"challenge": 0.1, "review": 0.2, "decline": 0.3}}')
    found = plan(deployed, rules=str(rules), policy=str(policy), model="champion").plan
    assert (found.rules, found.policy, found.model) == ("given", "given", "run-2")
    assert found.given_rules.rules[0].needs == ("lists",)
    assert found.given_policy.thresholds.decline == 0.3
    rules.write_text('{"rules": [{"id": "w", "when": "amuont > 1", "action": "decline"}]}')
    with pytest.raises(ReplayError, match=r"--rules .*rules\.json: rules\[0\]\.when: There is no such field"):
        plan(deployed, rules=str(rules))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"until": NOW}, "--since is not before --until"),
        ({"merchant": "nobody"}, r"no decision of merchant nobody lies between 2026-01-01 10:00"),
        ({"merchant": "o'clock"}, "that is no merchant id"),
        ({"model": "run-9"}, "--model run-9: no such bundle or folder"),
    ],
)
def test_what_is_not_there_is_said(deployed: Any, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        plan(deployed, **asked)


def test_a_folder_that_holds_no_bundle_is_said(deployed: Any, tmp_path: Path) -> None:
    from ops.scoring.errors import ScoringError

    with pytest.raises(ScoringError, match="holds no bundle"):
        plan(deployed, model=str(tmp_path))


def day(number: int) -> str:
    """The date so many days after the stretch's first."""
    return f"{datetime.fromtimestamp(NOW / 1_000, UTC).date() + timedelta(days=number)}"


KEYS = (
    *("models/replays/r/plan/plan.json", "models/replays/r/bundles/run-1/model.ubj"),
    *(
        f"lake/{part}/day={day(number)}/a.parquet"
        for part in ("decisions", "labels")
        for number in range(-120, 60)
    ),
    "lake/history/x/a.parquet",
)
WHOLE = range(-120, 60)


@pytest.mark.parametrize(
    ("asked", "replay_time", "days", "labels", "more"),
    [
        ({}, False, range(4), range(60), set()),
        # Thirty days are thirty days, and two for what comes late.
        ({"until": NOW + 30 * DAY}, False, range(33), range(60), set()),
        ({}, True, WHOLE, WHOLE, set()),
        # Windows of the standard set reach back 91 days, of the handbook's 37. There are no outcomes here, and
        # SageMaker refuses an input without objects.
        ({"features": "standard"}, False, range(-91, 4), range(-91, 60), {"history"}),
        ({"features": "handbook"}, False, range(-37, 4), range(-37, 60), {"history"}),
        ({"features": "all"}, True, WHOLE, WHOLE, {"history"}),
    ],
)
def test_a_job_is_given_the_days_it_reads_and_asks_for_no_more(
    asked: dict[str, Any], replay_time: bool, days: range, labels: range, more: set[str]
) -> None:
    deployed: Any = Deployed(*KEYS, replay_time=replay_time)
    planned = ReplayPlan(**{"id": "r", "since": NOW, "until": NOW + DAY, "as_of": NOW, **asked})
    inputs = inputs_of(deployed, planned, "replays/r/")
    assert {each.name for each in inputs} == {"plan", "bundles", "decisions", "labels"} | more
    request = job_request(deployed, "paywarden-test-r", inputs, "replays/r/", machine="ml.m5.xlarge")
    validate("CreateProcessingJob", request)
    check_locally("Processing", request)
    assert request["NetworkConfig"] == {"EnableNetworkIsolation": True}
    (output,) = request["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"] == "s3://models/replays/r/report/"
    sources = {each["InputName"]: each["S3Input"] for each in request["ProcessingInputs"]}
    assert {name for name, each in sources.items() if each["S3DataType"] == "S3Prefix"} == {"plan", "bundles"}
    for part, wanted in (("decisions", days), ("labels", labels)):
        assert sources[part]["LocalPath"] == f"/opt/ml/processing/input/{part}"
        prefix, *keys = json.loads(deployed.s3.put[sources[part]["S3Uri"]])
        assert prefix == {"prefix": f"s3://lake/{part}/"}
        assert keys == [f"day={day(number)}/a.parquet" for number in wanted]
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == "ObjectsKey"
    assert request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "ObjectsKey"
    # The disk holds what is listed twice over: objects here are of a gigabyte.
    size = 2 + len(days) + len(labels) + len(more)
    assert request["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] == 30 + 2 * size
    assert request["StoppingCondition"]["MaxRuntimeInSeconds"] == 3_600 + size * 500


class Sagemaker(Deployed):
    """The same around one job, which is at work for some looks; its log may not be read."""

    port = None

    def __init__(self, *looks: str) -> None:
        super().__init__(*KEYS, "models/replays/r/report/replay.json", "models/replays/r/report/report.html")
        self.looks = list(looks)
        self.s3.download_file = self._download  # type: ignore[attr-defined]

    @staticmethod
    def _download(bucket: str, key: str, path: str) -> None:
        Path(path).write_text(json.dumps({"from": f"{bucket}/{key}"}))

    def client(self, service: str) -> Any:
        return self.s3 if service == "s3" else self

    def create_processing_job(self, *, ProcessingJobName: str, **_asked: Any) -> None:  # noqa: N803 - AWS's name
        assert ProcessingJobName == "paywarden-test-r"

    def describe_processing_job(self, *, ProcessingJobName: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        if ProcessingJobName != "paywarden-test-r":
            told = {"Code": "ValidationException", "Message": "Could not find requested job"}
            raise ClientError({"Error": told}, "DescribeProcessingJob")
        status = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {"ProcessingJobStatus": status, "FailureReason": "it had no disk"}

    def describe_log_streams(self, **_asked: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "DescribeLogStreams")


def test_a_job_is_waited_for_though_its_log_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed: Any = Sagemaker("InProgress", "InProgress", "Completed")
    clock = Clock()
    monkeypatch.setattr(running, "time", clock)
    told: list[str] = []
    planned = Planned(ReplayPlan(id="r", since=NOW, until=NOW + DAY, as_of=NOW), bundles=())
    report = as_job(
        deployed, planned, tmp_path, machine="ml.m5.xlarge", show=lambda what, _done, _total: told.append(what)
    )
    assert report == {"from": "models/replays/r/report/replay.json"}
    assert told.count("paywarden-test-r: InProgress") == 2
    # On AWS nobody asks each second.
    assert clock.now == 20


def test_the_report_of_a_job_is_fetched_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deployed = Sagemaker("InProgress", "Failed", "Completed")
    monkeypatch.setattr(replay_commands, "connect", lambda _env, **_port: deployed)

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["replay", *words])

    assert "--since" in str(run().exception)
    assert "there is no replay 'x' here that ran as a job" in str(run("--fetch", "x").exception)
    assert "r has not ended (InProgress)" in str(run("--fetch", "r").exception)
    assert "ended as Failed: it had no disk" in str(run("--fetch", "r").exception)
    done = run("--fetch", "r", "--json")
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout) == {"from": "models/replays/r/report/replay.json"}
    assert (tmp_path / "build/replays/r/report.html").is_file()
    deployed.s3.keys = ()
    assert "went after 90 days" in str(run("--fetch", "r", "--out", "elsewhere").exception)


def test_people_are_told_what_changes_and_what_is_left_out() -> None:
    total = {"count": 3, "amount": 123_456}
    nothing = {"count": 0, "amount": 0}
    way = {"currency": "EUR", "from": "approve", "to": "decline", "all": total, "fraud": total}
    document = {
        "sentence": "3 of 9 decisions come out otherwise.",
        "changed": 3,
        "cannot_be_replayed": {"model_not_kept": 2},
        "notes": {"without_score": 1},
        "ways": [{**way, "genuine": nothing, "unknown": nothing}, {**way, "to": "approve"}],
    }
    console = Console(width=200, record=True, file=StringIO())
    for part in shown(document):
        console.print(part)
    text = console.export_text()
    for words in ("3 of 9 decisions", "1,234.56 EUR", "the bundle of the model that decided is not kept"):
        assert words in text

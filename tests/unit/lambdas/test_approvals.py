"""Whoever says the word on a model, the execution that waits for it is told once, and nobody else is."""

import json
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from fraud.release import ReleasePolicy
from runtime import clients
from runtime.stores.lineages import Waiting
from runtime.stores.releases import DynamoReleaseStore
from tests.unit.lambdas.releases import GROUP, Executions, Registry, lineage, releases_table
from tests.unit.lambdas.support import REGION, Context

PACKAGE = f"{GROUP}/7"
PERSON = "arn:aws:sts::123456789012:assumed-role/risk/jane"
EXECUTION = f"arn:aws:states:{REGION}:123456789012:execution:paywarden-test-retrain:run-2"


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.put(PACKAGE, CustomerMetadataProperties={"run_id": "run-2", "dataset": "d"})
    return made


@pytest.fixture
def executions() -> Executions:
    return Executions()


@pytest.fixture
def store(
    aws: None, registry: Registry, executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> DynamoReleaseStore:
    del aws
    monkeypatch.setattr(clients, "sagemaker", lambda: registry)
    monkeypatch.setattr(clients, "stepfunctions", lambda: executions)
    made = releases_table()
    made.register(lineage("run-2", PACKAGE))
    return made


@pytest.fixture
def letters(aws: None) -> Any:
    """Where messages to the topic of the alarms arrive."""
    del aws
    queue = boto3.client("sqs").create_queue(QueueName="letters")["QueueUrl"]
    topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
    boto3.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:letters"
    )

    def read() -> list[dict[str, str]]:
        found = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(each["Body"]) for each in found]

    return read


@pytest.fixture
def request_approval(load: Any, store: DynamoReleaseStore) -> ModuleType:
    del store
    module: ModuleType = load("request_approval")
    return module


@pytest.fixture
def settle_approval(load: Any, store: DynamoReleaseStore) -> ModuleType:
    del store
    module: ModuleType = load("settle_approval")
    return module


def asked(approval: str) -> dict[str, Any]:
    """What the state machine sends."""
    policy = msgspec.to_builtins(ReleasePolicy())
    return {
        "token": "token-1",
        "run_id": "run-2",
        "version": "run-2",
        "package": PACKAGE,
        "champion": "run-1",
        "reason": "It finds more fraud.",
        "verdict": {"passed": True, "reason": "The comparison holds.", "at": "comparison"},
        "report": "s3://models/runs/run-2/evaluation/",
        "comparison": "s3://models/runs/run-2/comparison/",
        "policy": {**policy, "approval": approval},
        "execution": EXECUTION,
    }


def changed(package: str = PACKAGE) -> dict[str, Any]:
    return {
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "detail": {"ModelPackageArn": package, "ModelApprovalStatus": "Approved"},
    }


def test_a_person_is_told_where_to_look_and_what_to_type(
    request_approval: ModuleType, letters: Any, executions: Executions, store: DynamoReleaseStore
) -> None:
    assert request_approval.handler(asked("person"), Context()) == {"waits": True}
    [letter] = letters()
    assert letter["Subject"] == "Paywarden: model run-2 waits for approval"
    for words in (
        "It finds more fraud.",
        "It would follow run-1.",
        "s3://models/runs/run-2/evaluation/report.html",
        "s3://models/runs/run-2/comparison/report.html",
        f"https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{EXECUTION}",
        PACKAGE,
        "paywarden models approve run-2 --reason '...' --env test",
        "paywarden models reject run-2",
    ):
        assert words in letter["Message"]
    assert executions.told == []
    waiting = store.waiting("run-2")
    assert waiting is not None
    assert waiting.token == "token-1"  # noqa: S105 - it opens nothing


def test_within_the_bounds_nobody_is_waited_for(
    request_approval: ModuleType,
    settle_approval: ModuleType,
    letters: Any,
    executions: Executions,
    registry: Registry,
    store: DynamoReleaseStore,
) -> None:
    assert request_approval.handler(asked("bounds"), Context()) == {"waits": False}
    [(token, told)] = executions.told
    assert token == "token-1"  # noqa: S105 - it opens nothing
    comment = "Within the bounds of its run. It finds more fraud."
    assert json.loads(told) == {"approved": True, "by": "bounds", "comment": comment}
    assert registry.packages[PACKAGE]["ModelApprovalStatus"] == "Approved"
    assert registry.packages[PACKAGE]["CustomerMetadataProperties"] == {
        "run_id": "run-2",
        "dataset": "d",
        "decided_by": "bounds",
    }
    assert letters() == []
    # The registry tells of it too, when nobody waits any more.
    assert settle_approval.handler(changed(), Context()) == {"run_id": "run-2", "told": False}
    assert len(executions.told) == 1
    found = store.lineage("run-2")
    assert found is not None
    assert [(each.what, each.by) for each in found.events[1:]] == [("approved", "bounds")]


@pytest.mark.parametrize(("status", "approved"), [("Approved", True), ("Rejected", False)])
def test_a_word_in_the_registry_reaches_the_execution(
    request_approval: ModuleType,
    settle_approval: ModuleType,
    letters: Any,
    executions: Executions,
    registry: Registry,
    store: DynamoReleaseStore,
    status: str,
    approved: bool,
) -> None:
    del letters
    request_approval.handler(asked("person"), Context())
    registry.update_model_package(
        ModelPackageArn=PACKAGE,
        ModelApprovalStatus=status,
        ApprovalDescription="I looked at the slices.",
        LastModifiedBy={"IamIdentity": {"Arn": PERSON}},
    )
    assert settle_approval.handler(changed(), Context()) == {"run_id": "run-2", "told": True}
    [(_, told)] = executions.told
    assert json.loads(told) == {"approved": approved, "by": PERSON, "comment": "I looked at the slices."}
    assert settle_approval.handler(changed(), Context())["told"] is False
    found = store.lineage("run-2")
    assert found is not None
    assert [each.what for each in found.events[1:]] == ["asked", "approved" if approved else "declined"]
    assert found.events[-1].by == PERSON


def test_what_was_decided_before_it_was_asked_is_told_at_once(
    request_approval: ModuleType, letters: Any, executions: Executions, registry: Registry
) -> None:
    registry.packages[PACKAGE] |= {"ModelApprovalStatus": "Rejected", "ApprovalDescription": "No."}
    assert request_approval.handler(asked("person"), Context()) == {"waits": False}
    assert json.loads(executions.told[0][1]) == {"approved": False, "by": "unknown", "comment": "No."}
    assert letters() == []


@pytest.mark.parametrize("status", ["PendingManualApproval", "Approved"])
def test_what_nobody_waits_for_is_ignored(
    settle_approval: ModuleType, executions: Executions, registry: Registry, status: str
) -> None:
    registry.put(f"{GROUP}/8", status)  # not one of ours: it names no run
    registry.packages[PACKAGE]["ModelApprovalStatus"] = status
    for package in (f"{GROUP}/8", PACKAGE):
        assert settle_approval.handler(changed(package), Context())["told"] is False
    assert executions.told == []


@pytest.mark.parametrize(("status", "what"), [("Approved", "approved"), ("Rejected", "declined")])
def test_a_word_that_nobody_waited_for_is_written_down_once(
    settle_approval: ModuleType, registry: Registry, store: DynamoReleaseStore, status: str, what: str
) -> None:
    registry.packages[PACKAGE] |= {
        "ModelApprovalStatus": status,
        "ApprovalDescription": "I looked again.",
        "LastModifiedBy": {"IamIdentity": {"Arn": PERSON}},
    }
    for _ in range(2):
        settle_approval.handler(changed(), Context())
    found = store.lineage("run-2")
    assert found is not None
    told = [(each.what, each.by, each.reason) for each in found.events[1:]]
    assert told == [(what, PERSON, "I looked again.")]


def test_who_asks_answers_its_own_execution_and_forgets_no_other(
    request_approval: ModuleType,
    executions: Executions,
    store: DynamoReleaseStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A re-driven execution asks again while the first one is still answered."""
    wait = store.wait

    def overtaken(run: str, waiting: Waiting) -> None:
        wait(run, waiting)
        wait(run, Waiting(token="token-2", asked_at=2))  # noqa: S106 - it opens nothing

    monkeypatch.setattr(request_approval.releases, "wait", overtaken)
    assert request_approval.handler(asked("bounds"), Context()) == {"waits": False}
    assert [token for token, _ in executions.told] == ["token-1"]
    left = store.waiting("run-2")
    assert left is not None
    assert left.token == "token-2"  # noqa: S105 - it opens nothing


@pytest.mark.parametrize(
    ("status", "approved", "reason"),
    [
        ("Approved", True, f"{PERSON} approved the model: I looked."),
        ("Rejected", False, f"{PERSON} did not approve the model: I looked."),
        ("PendingManualApproval", False, "nobody approved or rejected the model within 72 hours"),
    ],
)
def test_the_registry_has_the_last_word_when_the_event_of_one_was_lost(
    request_approval: ModuleType,
    letters: Any,
    executions: Executions,
    registry: Registry,
    store: DynamoReleaseStore,
    status: str,
    approved: bool,
    reason: str,
) -> None:
    request_approval.handler(asked("person"), Context())
    assert len(letters()) == 1
    registry.packages[PACKAGE] |= {
        "ModelApprovalStatus": status,
        "ApprovalDescription": "I looked.",
        "LastModifiedBy": {"IamIdentity": {"Arn": PERSON}},
    }
    executions.error = "TaskTimedOut"
    waited = {name: each for name, each in asked("person").items() if name != "token"}
    assert request_approval.handler(waited, Context()) == {"approved": approved, "reason": reason}
    assert letters() == []
    found = store.lineage("run-2")
    assert found is not None
    what = {"Approved": ["approved"], "Rejected": ["declined"]}.get(status, [])
    assert [each.what for each in found.events[2:]] == what
    assert (store.waiting("run-2") is None) == bool(what)


@pytest.mark.parametrize("error", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_execution_that_waits_no_longer_is_forgotten(
    settle_approval: ModuleType, executions: Executions, registry: Registry, store: DynamoReleaseStore, error: str
) -> None:
    store.wait("run-2", Waiting(token="token-1", asked_at=1))  # noqa: S106 - it opens nothing
    registry.packages[PACKAGE]["ModelApprovalStatus"] = "Approved"
    executions.error = error
    assert settle_approval.handler(changed(), Context())["told"] is False
    assert store.waiting("run-2") is None


def test_a_word_that_could_not_be_told_is_told_again(
    settle_approval: ModuleType, executions: Executions, registry: Registry, store: DynamoReleaseStore
) -> None:
    store.wait("run-2", Waiting(token="token-1", asked_at=1))  # noqa: S106 - it opens nothing
    registry.packages[PACKAGE]["ModelApprovalStatus"] = "Approved"
    executions.error = "ThrottlingException"
    with pytest.raises(Exception, match="ThrottlingException"):
        settle_approval.handler(changed(), Context())
    executions.error = ""
    assert settle_approval.handler(changed(), Context())["told"] is True

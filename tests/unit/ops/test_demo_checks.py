"""The demo's checks: each passes on what it claims, and stops on the least that contradicts it."""

import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console

from fraud.events import Label, Transaction
from ops.client import Reply
from ops.demo import checks
from ops.demo.model import ModelFigures
from ops.demo.stages import DemoError, Stages
from ops.traffic import Exchange, Replayed

NOON = 1_770_000_000_000


def payment(number: int, card: str = "a") -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        merchant_id="shop",
        event_time=NOON + number,
        amount=100 + number,
        currency="EUR",
        card=card,
        customer="u",
    )


def decided(number: int, *, card: str = "a", version: str = "r1", status: int = 200, **changes: Any) -> Exchange:
    answer = {
        "decision": "approve",
        "degraded": False,
        "model": {"name": "paywarden", "version": version},
        "evaluated_at": NOON + number,
        "signals": {"card_merchant_count_24h": float(number)},
    } | changes
    return Exchange(payment(number, card), Reply(status, msgspec.json.encode(answer), 10.0 + number, 3.0, 2.0))


def labelled(number: int, status: int = 202) -> Exchange:
    label = Label(transaction=payment(number), kind="chargeback", known_at=NOON + 1_000)
    return Exchange(label, Reply(status, b"{}", 5.0, 1.0, 1.0))


def replayed(*exchanges: Exchange) -> Replayed:
    return Replayed(list(exchanges), 2.0)


def test_every_call_was_answered() -> None:
    assert (
        checks.answered(replayed(decided(1), decided(2), labelled(1))) == "2 payments, 1 labels, 2 calls a second"
    )


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (decided(2, status=503), "/v1/decisions answered 503"),
        (labelled(1, status=200), "/v1/labels answered 200"),
        (labelled(1, status=404), "/v1/labels answered 404"),
        (decided(2, degraded=True), "1 decisions were made without a score"),
    ],
)
def test_one_call_that_was_not_answered_stops_the_demo(exchange: Exchange, words: str) -> None:
    with pytest.raises(DemoError, match=words):
        checks.answered(replayed(decided(1), exchange))


class Again:
    """The API, asked a second time."""

    def __init__(self, change: Callable[[bytes], bytes] = lambda body: body, status: int = 200) -> None:
        self.change = change
        self.status = status
        self.at: list[int | None] = []

    def post(self, merchant_id: str, path: str, body: dict[str, Any], *, at: int | None = None) -> Reply:
        assert (merchant_id, path) == ("shop", "/v1/decisions")
        self.at.append(at)
        first = decided(int(body["transaction_id"][1:])).reply.body
        return Reply(self.status, self.change(first), 1.0, 0.0, 0.0)


def test_a_retry_is_answered_with_the_same_bytes() -> None:
    api: Any = Again()
    assert checks.same_bytes(api, [decided(1), decided(2)]) == "2 payments sent twice"
    assert api.at == [NOON + 1, NOON + 2]


@pytest.mark.parametrize(
    ("again", "words"),
    [(Again(lambda body: body + b" "), "differently"), (Again(status=409), "answered with 409")],
)
def test_a_retry_that_differs_by_a_byte_stops_the_demo(again: Any, words: str) -> None:
    with pytest.raises(DemoError, match=words):
        checks.same_bytes(again, [decided(1)])


class Deployment:
    """Queues, and the code of the scoring function."""

    def __init__(self, *, dead: int = 0, code: str = "c0ffee") -> None:
        self.dead = dead
        self.code = code
        self.environment = self
        self.prefix = "paywarden-local"

    def __getitem__(self, name: str) -> str:
        return f"the {name}"

    def client(self, _service: str) -> Any:
        return self

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "the UpdateDeadLetterQueueUrl"
        return {"Attributes": {AttributeNames[0]: str(self.dead)}}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> list[dict[str, Any]]:  # noqa: N803 - AWS's name
        kinds = ["AWS::Lambda::Function", "AWS::Lambda::Function", "AWS::IAM::Role"]
        logical = ["AuthorizeMerchantF1", "ScoreTransactionF2", "ScoreTransactionRole"]
        return [
            {"StackResourceSummaries": [_resource(StackName, *each)]} for each in zip(kinds, logical, strict=True)
        ]

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        assert FunctionName == "paywarden-local-scoring ScoreTransactionF2"
        return {"CodeSha256": self.code, "LastModified": "then"}


def _resource(stack: str, kind: str, logical: str) -> dict[str, str]:
    return {"ResourceType": kind, "LogicalResourceId": logical, "PhysicalResourceId": f"{stack} {logical}"}


def test_resources_are_counted_over_all_stacks() -> None:
    deployment: Any = Deployment()
    assert checks.resources(deployment) == {"AWS::Lambda::Function": 10, "AWS::IAM::Role": 5}


def folding(monkeypatch: pytest.MonkeyPatch, *looks: dict[str, float]) -> None:
    left = list(looks)
    monkeypatch.setattr(checks, "freshness", lambda _deployment: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(checks.time, "sleep", lambda _seconds: None)


def test_folding_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    folding(monkeypatch, {}, {"a": 1.0}, {"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0, "c": 0.1})
    notes: list[str] = []
    deployment: Any = Deployment()
    assert sorted(checks.folded(deployment, {"a", "b"}, {"c"}, notes.append)) == [1.0, 2.0]
    assert notes == ["3 events to come", "2 events to come", "1 events to come"]


@pytest.mark.parametrize(
    ("found", "dead", "words"),
    [
        ({"a": 1.0}, 0, "1 events never reached the features, e.g. b"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 0, "1 events were folded that nobody sent, e.g. c"),
        ({"a": 1.0, "b": 1.0}, 3, "3 messages are in the dead-letter queue"),
    ],
)
def test_an_event_lost_made_up_or_dead_stops_the_demo(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, float], dead: int, words: str
) -> None:
    folding(monkeypatch, found)
    monkeypatch.setattr(checks, "_PATIENCE", 0.0)
    deployment: Any = Deployment(dead=dead)
    with pytest.raises(DemoError, match=words):
        checks.folded(deployment, {"a"}, {"b"}, lambda _note: None)


def in_the_lake(monkeypatch: pytest.MonkeyPatch, decisions: list[dict[str, str]], labels: int) -> str:
    def query(_deployment: object, sql: str) -> list[dict[str, str]]:
        return [{"n": str(labels)}] if "FROM labels" in sql else decisions

    monkeypatch.setattr(checks, "query", query)
    monkeypatch.setattr(checks, "_PATIENCE", 0.0)
    monkeypatch.setattr(checks.time, "sleep", lambda _seconds: None)
    deployment: Any = Deployment()
    sent = replayed(decided(1), decided(2), decided(3, decision="decline"), labelled(1))
    return checks.in_the_lake(deployment, sent, lambda _note: None)


GOOD_ROWS = [{"decision": "approve", "n": "2"}, {"decision": "decline", "n": "1"}]


def test_the_lake_holds_what_the_api_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_the_lake(monkeypatch, GOOD_ROWS, 1) == "3 decisions: 2 approve, 1 decline"


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (GOOD_ROWS[:1], 1),
        ([{"decision": "approve", "n": "3"}], 1),
        ([*GOOD_ROWS, {"decision": "review", "n": "1"}], 1),
        ([], 0),
        (GOOD_ROWS, 2),
    ],
)
def test_a_lake_that_holds_anything_else_stops_the_demo(
    monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, str]], labels: int
) -> None:
    with pytest.raises(DemoError, match="the lake holds"):
        in_the_lake(monkeypatch, rows, labels)


def swapped(*versions: str, code: str = "c0ffee then") -> str:
    deployment: Any = Deployment()
    after = replayed(*(decided(number, version=version) for number, version in enumerate(versions)))
    return checks.swapped(deployment, after, first="r1", second="r2", code=code)


def test_a_swap_is_a_second_model_by_the_same_code() -> None:
    assert swapped("r1", "r1", "r2", "r2", "r2") == "3 answers from r2, the first 2 still from r1"
    assert swapped("r2", "r2") == "2 answers from r2, the first 0 still from r1"


@pytest.mark.parametrize(
    ("versions", "code", "words"),
    [
        (("r1", "r1"), "c0ffee then", "no answer came from r2"),
        (("r2", "r3"), "c0ffee then", r"answers came from \['r2', 'r3'\]"),
        (("r2", "r2", "r2", "r1"), "c0ffee then", "r1 still answered half-way"),
        (("r1", "r2", "r2"), "another then", "deployed anew"),
    ],
)
def test_anything_but_a_swap_stops_the_demo(versions: tuple[str, ...], code: str, words: str) -> None:
    with pytest.raises(DemoError, match=words):
        swapped(*versions, code=code)


def test_decisions_are_counted_by_model() -> None:
    done = replayed(decided(1), decided(2, version="r2"), decided(3, version="r2"), labelled(1))
    assert checks.by_model(done) == {"r1": 1, "r2": 2}


def figures(precision: float) -> ModelFigures:
    return ModelFigures(
        version="r",
        role="first model",
        auc=0.9,
        average_precision=precision,
        trained_until=0,
        precision=[],
        recall=[],
        scores_fraud=[],
        scores_genuine=[],
    )


def test_better_means_better() -> None:
    assert "0.500 → 0.600" in checks.improved([figures(0.5), figures(0.6)])
    for worse in (0.5, 0.4):
        with pytest.raises(DemoError, match=r"average precision fell from 0\.500"):
            checks.improved([figures(0.5), figures(worse)])


def story(*exchanges: Exchange) -> tuple[list[Any], Stages]:
    stages = Stages(Console(file=io.StringIO()))
    return list(checks.velocity(stages, replayed(*exchanges))), stages


def test_the_story_told_is_of_a_card_that_was_stopped() -> None:
    calm = [decided(number, card="calm") for number in range(9)]
    stopped = [decided(3, card="hot", decision="decline"), decided(1, card="hot")]
    found, stages = story(*calm, *stopped, labelled(1))
    assert [(each.count_24h, each.decision) for each in found] == [(1.0, "approve"), (3.0, "decline")]
    assert [step.ok for step in stages.steps] == [True]


def test_a_count_that_never_moves_stops_the_demo() -> None:
    still = {"card_merchant_count_24h": 0.0}
    with pytest.raises(DemoError, match="never moved"):
        story(decided(1, signals=still), decided(2, signals=still))


def test_spreads_and_samples_are_of_what_was_measured() -> None:
    done = replayed(*(decided(number) for number in range(5_000)))
    found = checks.latency(done)["whole call"]
    assert (found.count, found.worst) == (5_000, 5_009.0)
    assert found.p50 == pytest.approx(10 + 4_999 / 2)
    drawn = checks.samples(done, [1.23456, 2.0])
    assert drawn["freshness"] == [1.235, 2.0]
    assert len(drawn["whole call"]) <= 2_000
    assert set(drawn["whole call"]) <= {10.0 + number for number in range(5_000)}
    assert checks.samples(replayed(), [])["freshness"] == []

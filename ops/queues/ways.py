"""The way back of a dead letter, for each queue: what it is told to be, and where it belongs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ops.deployment import Deployment
from ops.functions import FunctionError, call
from ops.queues.judging import Judgement, judge_label, judge_updates
from ops.queues.letters import Box, Letter, Queue, QueueError
from ops.queues.relaying import lost_of, publish
from runtime.stores.decisions import DynamoDecisionStore

__all__ = ["Way", "way_of"]


class Way(Protocol):
    """Where letters of one queue go."""

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        """What is to be said of each."""
        ...

    def send(self, letters: Sequence[Letter]) -> list[str]:
        """Send up to ten letters to where they belong; for each nothing, or why it could not be."""
        ...


@dataclass(frozen=True)
class ToQueue:
    """Back to the queue that a function serves."""

    source: Box
    judging: Callable[[Sequence[Letter]], list[Judgement]]

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return self.judging(letters)

    def send(self, letters: Sequence[Letter]) -> list[str]:
        return self.source.send(letters, redriven=True)


class _Undelivered(msgspec.Struct):
    detail: msgspec.Raw


@dataclass(frozen=True)
class ToTarget:
    """To the queue or the stream to the lake that a rule of the bus could not reach; and to no other target."""

    deployment: Deployment

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return [self._judged(letter) for letter in letters]

    def send(self, letters: Sequence[Letter]) -> list[str]:
        return [self._sent(letter) for letter in letters]

    def _judged(self, letter: Letter) -> Judgement:
        service, name = _place(self._target(letter))
        if service not in ("sqs", "firehose") or not name.startswith(self.deployment.environment.prefix):
            return Judgement("its target is not one of this deployment", hopeless=True)
        try:
            msgspec.json.decode(letter.body, type=_Undelivered)
        except (msgspec.MsgspecError, UnicodeError):
            return Judgement("it holds no event", hopeless=True)
        error = letter.attributes.get("ERROR_CODE", "no error code")
        where = "a queue" if service == "sqs" else "the lake"
        return Judgement(f"{error} on the way to {where}")

    def _sent(self, letter: Letter) -> str:
        service, name = _place(self._target(letter))
        if service == "sqs":
            client = self.deployment.client("sqs")
            box = Box(client, client.get_queue_url(QueueName=name)["QueueUrl"])
            return box.send([letter], redriven=True)[0]
        detail = bytes(msgspec.json.decode(letter.body, type=_Undelivered).detail)
        self.deployment.client("firehose").put_record(DeliveryStreamName=name, Record={"Data": detail})
        return ""

    def _target(self, letter: Letter) -> str:
        """What the bus could not reach; of a letter that does not say so, the one target of its rule."""
        target = letter.attributes.get("TARGET_ARN", "")
        rule = letter.attributes.get("RULE_ARN", "")
        if target or "/" not in rule:
            return target
        bus, _, name = rule.partition("/")[2].rpartition("/")
        found = self.deployment.client("events").list_targets_by_rule(
            Rule=name, **({"EventBusName": bus} if bus else {})
        )["Targets"]
        return str(found[0]["Arn"]) if len(found) == 1 else ""


@dataclass(frozen=True)
class ToBus:
    """Lines of the ledger, published anew."""

    deployment: Deployment

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return [self._judged(letter) for letter in letters]

    def send(self, letters: Sequence[Letter]) -> list[str]:
        return [self._sent(letter) for letter in letters]

    def _judged(self, letter: Letter) -> Judgement:
        lost = lost_of(letter)
        if lost is None:
            return Judgement("it is no report on lines of the ledger", hopeless=True)
        return Judgement(f"{lost.condition}: {lost.size} lines")

    def _sent(self, letter: Letter) -> str:
        lost = lost_of(letter)
        if lost is None:
            return "no report on lines of the ledger"
        try:
            publish(self.deployment, lost)
        except (FunctionError, QueueError) as error:
            return str(error)
        return ""


@dataclass(frozen=True)
class ToRelease:
    """To `release_model`, which takes the model of a failed run out of service."""

    deployment: Deployment

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return [self._judged(letter) for letter in letters]

    def send(self, letters: Sequence[Letter]) -> list[str]:
        return [self._sent(letter) for letter in letters]

    def _judged(self, letter: Letter) -> Judgement:
        asked = _withdrawal(letter.value())
        if asked is None:
            return Judgement("it asks for no withdrawal", hopeless=True)
        return Judgement(letter.attributes.get("ERROR_CODE", "release_model failed"))

    def _sent(self, letter: Letter) -> str:
        try:
            call(self.deployment, "release_model", _withdrawal(letter.value()))
        except FunctionError as error:
            return str(error)
        return ""


def way_of(deployment: Deployment, queue: Queue, *, clock: Callable[[], int]) -> Way:
    """The way back for a queue.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    """
    match queue:
        case Queue.UPDATES:
            store, replays = deployment.features(), deployment.environment.replay_time

            def updates(letters: Sequence[Letter]) -> list[Judgement]:
                return judge_updates(letters, store=store, now=clock(), replays=replays)

            return ToQueue(Box(deployment.client("sqs"), deployment["UpdateQueueUrl"]), updates)
        case Queue.LABELS:
            ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])

            def labels(letters: Sequence[Letter]) -> list[Judgement]:
                return [judge_label(letter, store=ledger, now=clock()) for letter in letters]

            return ToQueue(Box(deployment.client("sqs"), deployment["LabelQueueUrl"]), labels)
        case Queue.UNDELIVERED:
            return ToTarget(deployment)
        case Queue.UNRELAYED:
            return ToBus(deployment)
        case Queue.UNWITHDRAWN:
            return ToRelease(deployment)


def _place(arn: str) -> tuple[str, str]:
    """Service and name of a target."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return "", ""
    return parts[2], parts[5].rpartition("/")[2]


def _withdrawal(value: dict[str, Any]) -> dict[str, Any] | None:
    """What `release_model` was asked: as Lambda reports it, as EventBridge keeps it, or by the event itself."""
    asked = value.get("requestPayload", value)
    if isinstance(asked, dict) and asked.get("action") == "withdraw":
        return asked
    detail = value.get("detail")
    if not isinstance(detail, dict) or "executionArn" not in detail:
        return None
    return {
        "action": "withdraw",
        "execution": detail["executionArn"],
        "stopped_at": detail.get("stopDate"),
        "reason": f"the run ended as {detail.get('status')}",
    }

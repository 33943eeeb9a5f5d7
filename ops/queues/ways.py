"""The way back of a dead letter, for each queue: what it is told to be, and where it belongs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from botocore.exceptions import ClientError

from fraud.runids import run_id_of
from ops.deployment import Deployment
from ops.functions import FunctionError, calling
from ops.queues.judging import Judgement, judge_label, judge_updates
from ops.queues.letters import AWS_ERRORS, Box, Letter, Queue, in_short
from ops.queues.relaying import Relay, lost_of
from runtime.stores.decisions import DynamoDecisionStore

__all__ = ["Outcome", "Way", "way_of"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter.

    Attributes
    ----------
    why : str
        Why it was not sent; nothing if it was.
    settled : bool
        Whether it asks for nothing any more, although it was not sent.
    """

    why: str = ""
    settled: bool = False

    @property
    def gone(self) -> bool:
        """Whether the letter may be deleted."""
        return self.settled or not self.why


class Way(Protocol):
    """Where letters of one queue go."""

    @property
    def together(self) -> bool:
        """Whether all letters of a run are sent at once, however many they are; else ten of them."""
        ...

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        """What is to be said of each."""
        ...

    def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Send letters to where they belong; what became of each. Errors of AWS are outcomes."""
        ...


@dataclass(frozen=True)
class ToQueue:
    """Back to the queue that a function serves."""

    source: Box
    judging: Callable[[Sequence[Letter]], list[Judgement]]
    together: bool = False

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return self.judging(letters)

    def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        return [Outcome(why) for why in self.source.send(letters, redriven=True)]


class _Undelivered(msgspec.Struct):
    detail: msgspec.Raw


@dataclass(frozen=True)
class ToTarget:
    """To the queue or the stream to the lake that a rule of the bus could not reach; and to no other target."""

    deployment: Deployment
    together: bool = False
    _boxes: dict[str, Box | None] = field(default_factory=dict)

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return [self._judged(letter) for letter in letters]

    def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        return [self._sent(letter) for letter in letters]

    def _judged(self, letter: Letter) -> Judgement:
        service, name = _place(self._target(letter))
        if service not in ("sqs", "firehose") or not name.startswith(self.deployment.environment.prefix):
            return Judgement("its target is not one of this deployment", hopeless=True)
        if service == "sqs" and self._box(name) is None:
            return Judgement("its target, a queue, does not exist any more", hopeless=True)
        try:
            msgspec.json.decode(letter.body, type=_Undelivered)
        except (msgspec.MsgspecError, UnicodeError):
            return Judgement("it holds no event", hopeless=True)
        error = letter.attributes.get("ERROR_CODE", "no error code")
        where = "a queue" if service == "sqs" else "the lake"
        return Judgement(f"{error} on the way to {where}")

    def _sent(self, letter: Letter) -> Outcome:
        try:
            service, name = _place(self._target(letter))
            if service == "sqs":
                box = self._box(name)
                return Outcome(box.send([letter], redriven=True)[0] if box else "its queue does not exist")
            detail = bytes(msgspec.json.decode(letter.body, type=_Undelivered).detail)
            self.deployment.client("firehose").put_record(DeliveryStreamName=name, Record={"Data": detail})
        except AWS_ERRORS as error:
            return Outcome(in_short(error))
        return Outcome()

    def _box(self, name: str) -> Box | None:
        """The queue of a name; None if there is none."""
        if name not in self._boxes:
            client = self.deployment.client("sqs")
            try:
                self._boxes[name] = Box(client, client.get_queue_url(QueueName=name)["QueueUrl"])
            except client.exceptions.QueueDoesNotExist:
                self._boxes[name] = None
        return self._boxes[name]

    def _target(self, letter: Letter) -> str:
        """What the bus could not reach; of a letter that does not say so, the one target of its rule."""
        target = letter.attributes.get("TARGET_ARN", "")
        rule = letter.attributes.get("RULE_ARN", "")
        if target or "/" not in rule:
            return target
        bus, _, name = rule.partition("/")[2].rpartition("/")
        try:
            found = self.deployment.client("events").list_targets_by_rule(
                Rule=name, **({"EventBusName": bus} if bus else {})
            )["Targets"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ResourceNotFoundException", "ValidationException"):
                raise
            return ""
        return str(found[0]["Arn"]) if len(found) == 1 else ""


@dataclass(frozen=True)
class ToBus:
    """Lines of the ledger, published anew: of all letters together, since the ledger is read for them once."""

    relay: Relay
    together: bool = True

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return [self._judged(letter) for letter in letters]

    def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        lost = [lost_of(letter) for letter in letters]
        told = self.relay.publish([each for each in lost if each is not None])
        return [Outcome("no report on lines of the ledger" if each is None else told[each]) for each in lost]

    def _judged(self, letter: Letter) -> Judgement:
        lost = lost_of(letter)
        if lost is None:
            return Judgement("it is no report on lines of the ledger", hopeless=True)
        return Judgement(f"{lost.condition}: {lost.size} lines")


@dataclass(frozen=True)
class ToRelease:
    """To `release_model`, which takes the model of a failed run out of service."""

    call: Callable[[Any], Any]
    together: bool = False

    def judge(self, letters: Sequence[Letter]) -> list[Judgement]:
        return [self._judged(letter) for letter in letters]

    def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        return [self._sent(letter) for letter in letters]

    def _judged(self, letter: Letter) -> Judgement:
        asked = _withdrawal(letter.value())
        if asked is None:
            return Judgement("it asks for no withdrawal", hopeless=True)
        run = asked.get("version") or run_id_of(str(asked.get("execution", "")).rpartition(":")[2])
        return Judgement(f"{run}: {letter.attributes.get('ERROR_CODE', 'release_model failed')}")

    def _sent(self, letter: Letter) -> Outcome:
        try:
            answer = self.call(_withdrawal(letter.value()))
        except (FunctionError, *AWS_ERRORS) as error:
            return Outcome(in_short(error))
        if answer.get("refused"):
            # Somebody acted since, and that stays: a person let the model in, or the run was re-driven and sees to
            # its model itself (if it fails again, there is another letter). Asking again changes nothing.
            return Outcome(f"release_model refused it: {answer.get('reason')}", settled=True)
        return Outcome()


def way_of(
    deployment: Deployment,
    queue: Queue,
    *,
    clock: Callable[[], int],
    tell: Callable[[str], None] = lambda _text: None,
) -> Way:
    """The way back for a queue.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    tell : callable
        Called with sentences on what takes long.
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
            return ToBus(Relay(deployment, calling(deployment, "relay_decisions"), tell))
        case Queue.UNWITHDRAWN:
            return ToRelease(calling(deployment, "release_model"))


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

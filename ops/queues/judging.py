"""What a dead letter would meet if it came again now, told by the very code that would handle it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from fraud.decision import event_of
from fraud.events import LATEST_TIME, EventError, check
from lambdas.record_label.recording import record
from lambdas.update_features.updating import MOST_AHEAD, Delivery
from ops.queues.letters import Letter
from runtime.http import Problem, Request
from runtime.stores.decisions import DecisionStore, Record
from runtime.stores.features import FeatureStore

__all__ = ["Judgement", "judge_label", "judge_updates"]

READY = "nothing is wrong with it: its handler failed, or had no capacity"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of a letter.

    Attributes
    ----------
    reason : str
        Why it is here, as far as it can be told; holds nothing of what the letter says.
    hopeless : bool
        Whether it would fail again: it is not sent back.
    """

    reason: str
    hopeless: bool = False


class _Recorded(msgspec.Struct):
    recorded_at: Annotated[int, msgspec.Meta(ge=0, lt=LATEST_TIME)]


class _Event(msgspec.Struct):
    """What EventBridge puts around a detail."""

    id: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    detail: dict[str, Any]


class _ReadOnly:
    """A ledger that is looked at, and takes nothing."""

    def __init__(self, store: DecisionStore) -> None:
        self.get, self.all = store.get, store.all

    def put(self, record: Record) -> Record | None:
        del record
        return None


def judge_updates(letters: Sequence[Letter], *, store: FeatureStore, now: int, replays: bool) -> list[Judgement]:
    """Judge events for the feature table.

    Parameters
    ----------
    now : int
        Wall-clock ms.
    replays : bool
        Whether events may be from the future, as where histories are replayed.
    """
    read: list[Delivery | Judgement] = [_delivery(letter) for letter in letters]
    known = store.digests({each.event.event_id for each in read if isinstance(each, Delivery)})

    def judged(found: Delivery | Judgement) -> Judgement:
        if isinstance(found, Judgement):
            return found
        event, digest = found.event, known.get(found.event.event_id)
        if not replays and event.event_time > now + MOST_AHEAD:
            return Judgement("its event is from the future: a clock was wrong", hopeless=True)
        if digest is not None and digest != found.digest:
            return Judgement("its id was folded before, with another content", hopeless=True)
        return Judgement("it was folded meanwhile; sending it back changes nothing" if digest else READY)

    return [judged(each) for each in read]


def judge_label(letter: Letter, *, store: DecisionStore, now: int) -> Judgement:
    """Judge a label that was reported over the bus."""
    try:
        event = msgspec.json.decode(letter.body, type=_Event)
        detail = dict(event.detail)
        merchant_id = msgspec.convert(detail.pop("merchant_id", None), str)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Judgement("it holds no event with a label and a merchant_id", hopeless=True)
    request = Request(
        merchant_id=merchant_id, request_id=event.id, body=msgspec.json.encode(detail), headers={}, path={}
    )
    sent_at = round(event.time.timestamp() * 1_000)
    try:
        record(request, store=_ReadOnly(store), received_at=min(sent_at, now), recorded_at=now)
    except Problem as problem:
        return Judgement(_said(problem), hopeless=problem.status < 500)
    return Judgement(READY)


def _said(problem: Problem) -> str:
    about = f" ({problem.body['field']})" if "field" in problem.body else ""
    return f"{problem.body['title']}{about}: {problem}"


def _delivery(letter: Letter) -> Delivery | Judgement:
    try:
        detail = letter.value()["detail"]
        event = event_of(detail)
        recorded_at = msgspec.convert(detail, _Recorded).recorded_at
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError):
        return Judgement("it holds no event", hopeless=True)
    try:
        check(event)
    except EventError:
        return Judgement("no feature can be computed from its event", hopeless=True)
    return Delivery(letter.message_id, event, recorded_at)

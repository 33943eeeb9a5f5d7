"""Labels that other systems put onto the bus: recorded as a merchant's are, each message by itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from runtime.http import Problem, Request, counted
from runtime.stores.decisions import DecisionStore
from runtime.telemetry import correlated, count, logger

from .recording import record

__all__ = ["lag", "record_reported"]


def lag(seconds: float) -> None:
    """Count how long a label had been known."""
    count("LabelLag", seconds)


class _Envelope(msgspec.Struct, frozen=True):
    """What EventBridge puts around a detail, as far as it is needed."""

    id: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    detail: dict[str, Any]


def record_reported(messages: Sequence[Any], *, store: DecisionStore, clock: int) -> list[str]:
    """Record the labels of a batch.

    Parameters
    ----------
    messages : sequence
        SQS records whose bodies are events; their details are bodies of ``POST /v1/labels`` with a `merchant_id`.
    clock : int
        Wall-clock milliseconds.

    Returns
    -------
    list of str
        The ids of the messages to deliver again. Those that never can be used end among the dead letters.
    """
    failed = []
    ids = []
    for message in messages:
        try:
            request, sent_at = _request(message["body"])
            ids.append(request.correlation_id)
            # The time of the event and not of its delivery: a message that comes twice says the same thing twice.
            record(request, store=store, received_at=min(sent_at, clock), recorded_at=clock, news=lag)
        except Problem as problem:
            counted(problem)
        except Exception as error:
            # Whatever it is, the messages beside it are not at fault.
            logger.error("a label was not recorded: %s", type(error).__name__, exc_info=error)
            count("Failed")
        else:
            count("Labels")
            continue
        failed.append(message["messageId"])
    logger.info(
        "labels of the bus",
        extra={"messages": len(messages), "failed": len(failed), "correlation_ids": correlated(ids)},
    )
    return failed


def _request(body: str) -> tuple[Request, int]:
    """What a message asks for, as if its merchant had called; and when it was sent, in ms."""
    try:
        event = msgspec.json.decode(body, type=_Envelope)
        detail = dict(event.detail)
        merchant_id = msgspec.convert(detail.pop("merchant_id", None), str)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        # Its text may hold anything: only that it is none is told.
        remedy = "Send an event whose detail is an object with a merchant_id and what POST /v1/labels takes."
        raise Problem(400, "invalid-body", "Invalid body", remedy, "merchant_id") from None
    request = Request(
        merchant_id=merchant_id,
        request_id=event.id,
        body=msgspec.json.encode(detail),
        headers={},
        path={},
        # The event's own: whoever sent it knows it from the bus.
        correlation_id=event.id,
    )
    return request, round(event.time.timestamp() * 1_000)

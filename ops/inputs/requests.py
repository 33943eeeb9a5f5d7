"""From rows to what a merchant sends: bodies of API calls, in the order in which they would arrive."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from fraud.events import Label, Transaction
from fraud.replay import arrival
from ops.inputs.rows import Row

__all__ = ["Burst", "decision_body", "label_body", "path", "schedule", "together"]

type Arrival = Transaction | Label


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls that arrive close together; none depends on another one of the same burst.

    Attributes
    ----------
    at : int
        When the first one arrives: milliseconds since the epoch, UTC.
    """

    at: int
    arrivals: tuple[Arrival, ...]


def path(arrival: Arrival) -> str:
    """The call that an arrival is sent with."""
    return "/v1/labels" if isinstance(arrival, Label) else "/v1/decisions"


def decision_body(transaction: Transaction) -> dict[str, Any]:
    """The body of ``POST /v1/decisions``; fields that the transaction lacks are left out."""
    body: dict[str, Any] = {
        "transaction_id": transaction.transaction_id,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "occurred_at": _rfc3339(transaction.event_time),
        "card": _present(token=transaction.card, bin=transaction.bin, issuer_country=transaction.issuer_country),
        "customer": _present(id=transaction.customer, email=transaction.email, phone=transaction.phone),
        "device": _present(id=transaction.device),
        "ip": transaction.ip,
        "billing": _present(country=transaction.billing_country),
        "shipping": _present(country=transaction.shipping_country),
        "mcc": transaction.mcc,
        "channel": transaction.channel,
        "entry_mode": transaction.entry_mode,
        "three_ds": transaction.three_ds,
    }
    return {name: value for name, value in body.items() if value not in ("", {})}


def label_body(label: Label) -> dict[str, Any]:
    """The body of ``POST /v1/labels``."""
    return {
        "transaction_id": label.transaction.transaction_id,
        "label": label.kind,
        "known_at": _rfc3339(label.known_at),
    }


def schedule(
    rows: Iterable[Row],
    *,
    since: int | None = None,
    until: int | None = None,
    span_ms: int = 30_000,
    size: int = 25,
) -> Iterator[Burst]:
    """Merge payments and their labels into one stream in arrival order, in bursts.

    A payment arrives at its event time, its label at `known_at`. Arrivals at most `span_ms` after the first
    one of a burst belong to it, up to `size` of them. No two calls of a burst are about the same card or the
    same customer, so that they may be sent at once. They see nothing of each other, so `span_ms` is how far
    features may lag; consistency reports take less than a minute for a lag and anything else for an error.

    Parameters
    ----------
    since, until : int, optional
        Keep what arrives at since <= time < until; milliseconds since the epoch, UTC. Labels of the long
        tail may arrive weeks after the last payment.
    """
    events: list[Arrival] = []
    for row in rows:
        events.append(row.transaction)
        if (label := row.label) is not None:
            events.append(label)
    burst: list[Arrival] = []
    members: set[tuple[str, str]] = set()
    for event in sorted(events, key=arrival):
        at = arrival(event)[0]
        if since is not None and at < since:
            continue
        if until is not None and at >= until:
            break
        about = {("card", event.transaction.card), ("customer", event.transaction.customer)}
        if burst and (at - arrival(burst[0])[0] > span_ms or len(burst) >= size or about & members):
            yield Burst(arrival(burst[0])[0], tuple(burst))
            burst, members = [], set()
        burst.append(event)
        members |= about
    if burst:
        yield Burst(arrival(burst[0])[0], tuple(burst))


def together(burst: Burst, *, step_ms: int = 1_000) -> Burst:
    """The same burst as if its calls had come as close together as they are sent, one a step, or closer.

    A generated history is played in less time this way and nothing in it claims to be older than it is: what
    was sent at once also came at once, in the same order, after the burst before and before the one after.
    """
    moved: list[Arrival] = []
    for number, event in enumerate(burst.arrivals):
        at = min(arrival(event)[0], burst.at + number * step_ms)
        moved.append(
            msgspec.structs.replace(event, known_at=at)
            if isinstance(event, Label)
            else msgspec.structs.replace(event, event_time=at)
        )
    return Burst(burst.at, tuple(moved))


def _present(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1_000:03d}Z"

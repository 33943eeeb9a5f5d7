"""From rows to what a merchant sends: bodies of API calls, in the order in which they would arrive."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fraud.events import Label, Transaction
from fraud.replay import arrival
from ops.inputs.rows import Row

__all__ = ["Burst", "decision_body", "label_body", "path", "schedule"]

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
        "customer": _present(id=transaction.customer, email=transaction.email),
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
    gap_ms: int = 60_000,
    size: int = 25,
) -> Iterator[Burst]:
    """Merge payments and their labels into one stream in arrival order, in bursts.

    A payment arrives at its event time, its label at `known_at`. Arrivals less than `gap_ms` after the
    one before belong to one burst, up to `size` of them. No two calls of a burst are about the same card
    or the same customer, so that they may be sent at once.

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
    last = 0
    for event in sorted(events, key=arrival):
        at = arrival(event)[0]
        if since is not None and at < since:
            continue
        if until is not None and at >= until:
            break
        about = {("card", event.transaction.card), ("customer", event.transaction.customer)}
        if burst and (at - last > gap_ms or len(burst) >= size or about & members):
            yield Burst(arrival(burst[0])[0], tuple(burst))
            burst, members = [], set()
        burst.append(event)
        members |= about
        last = at
    if burst:
        yield Burst(arrival(burst[0])[0], tuple(burst))


def _present(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1_000:03d}Z"

"""Labels in the ledger: every change of what is known is a line of its own, and a repeat is none."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from fraud.decision import event_of, label_row
from fraud.events import Label, Transaction
from runtime import reports
from runtime.api import LabelRequest, parse
from runtime.contract.answers import LabelRecorded
from runtime.http import Problem, Request, unavailable
from runtime.stores.decisions import DECISION, LABEL, DecisionStore, Record

__all__ = ["ATTEMPTS", "MOST_LINES", "record"]

MOST_LINES = 50
"""How many labels a transaction may have: nobody changes their mind more often, but a fault of a program does."""

MOST_AHEAD = 120_000
"""How far the clocks of a sender and of a function may differ, in ms."""

ATTEMPTS = 8
"""How often a line is put before the caller shall come again; each one that fails was put by somebody else."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the ledger, and the label that it holds."""

    record: Record
    label: Label

    @property
    def rank(self) -> tuple[int, bool]:
        """What comes later holds; of one moment, fraud does."""
        return self.label.known_at, self.label.is_fraud


def record(
    request: Request,
    *,
    store: DecisionStore,
    received_at: int,
    recorded_at: int,
    news: Callable[[float], object] | None = None,
) -> str:
    """Put a label beside its decision, unless it was said before; return the answer's JSON.

    It says something new if the verdict that holds at its time is another one, if its source has not said so
    since the verdict last changed, or if that source was less sure. What is no news gets the first answer, byte
    for byte.

    Parameters
    ----------
    received_at, recorded_at : int
        The receipt time, which `known_at` defaults to, and the wall clock, in ms.
    news : callable, optional
        Told of a label that is recorded anew how long it had been known when it was received, in seconds. Until
        the receipt and not until now: where histories are replayed, now is years later.

    Raises
    ------
    Problem
        400 for a bad body, 404 for a transaction that this merchant never sent, 409 where there are too many
        labels, 503 where too many are reported at once.
    """
    body = parse(request.body, LabelRequest)
    event_id = f"{request.merchant_id}/{body.transaction_id}"
    for _ in range(ATTEMPTS):
        kept = {line.kind: line for line in store.all(event_id)}
        label = _label(body, reports.transaction_of(kept.get(DECISION)), received_at)
        lines = [_read(line) for kind, line in kept.items() if kind.startswith(LABEL)]
        if (said := _said_before(label, lines)) is not None:
            return said.record.answer
        if len(lines) >= MOST_LINES:
            detail = f"The payment has {MOST_LINES} labels. Find out why its verdict keeps changing."
            raise Problem(409, "too-many-labels", "Too many labels", detail, "transaction_id")
        line = reports.line(
            label.transaction,
            kind=f"{LABEL}{_next(kept):04}",
            request=request,
            told=LabelRecorded(
                transaction_id=body.transaction_id,
                label=label.kind,
                known_at=reports.written(label.known_at),
                source=label.source,
                confidence=label.confidence,
            ),
            row=label_row(label, recorded_at, request.correlation_id),
        )
        if store.put(line) is None:
            if news is not None:
                news(max(0, received_at - label.known_at) / 1_000)
            return line.answer
        # Another report, or this one by an attempt whose answer was lost, has the number: look again.
    raise unavailable()


def _label(body: LabelRequest, transaction: Transaction, received_at: int) -> Label:
    known_at = (
        # Clocks differ: what comes at once after its payment may seem to come before it.
        max(received_at, transaction.event_time) if body.known_at is None else _milliseconds(body.known_at)
    )
    if not transaction.event_time <= known_at <= received_at + MOST_AHEAD:
        detail = "A label becomes known after its transaction and not in the future."
        raise Problem(400, "invalid-field", "Invalid field", detail, "known_at")
    return Label(
        transaction=transaction,
        kind=body.label,
        known_at=known_at,
        source=body.source,
        confidence=body.confidence,
    )


def _said_before(label: Label, lines: Sequence[_Line]) -> _Line | None:
    """The first line that makes a label no news."""
    ordered = sorted(lines, key=lambda line: line.rank)
    same = [line for line in ordered if line.label == label]
    if same:
        return same[0]
    found = None
    for line in reversed(ordered):
        if line.rank > (label.known_at, label.is_fraud):
            continue
        if line.label.is_fraud != label.is_fraud:
            break
        if line.label.source == label.source and line.label.confidence >= label.confidence:
            found = line
    return found


def _read(line: Record) -> _Line:
    label = event_of(msgspec.json.decode(line.row))
    if not isinstance(label, Label):
        raise TypeError(f"the ledger's line {line.kind} holds no label")
    return _Line(line, label)


def _next(kinds: Iterable[str]) -> int:
    numbers = [kind.removeprefix(LABEL) for kind in kinds if kind.startswith(LABEL)]
    # Lines from before they were numbered are named by what they said.
    return max((int(number) for number in numbers if number.isdecimal()), default=0) + 1


def _milliseconds(time_known: datetime) -> int:
    if time_known.tzinfo is None:
        detail = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."
        raise Problem(400, "invalid-field", "Invalid field", detail, "known_at")
    return round(time_known.timestamp() * 1_000)

"""The canonical row: one transaction, what became known of it, and when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.events import Label, LabelKind, Transaction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CANONICAL", "FIELDS", "Row", "from_frame", "to_frame"]

FIELDS: tuple[str, ...] = tuple(field.name for field in msgspec.structs.fields(Transaction))
"""Names of the transaction's fields, in their order."""

CANONICAL: tuple[str, ...] = (*FIELDS, "is_fraud", "known_at")
"""Columns of an imported history."""

_OPTIONAL = frozenset(field.name for field in msgspec.structs.fields(Transaction) if not field.required)


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction with its outcome.

    Attributes
    ----------
    is_fraud : bool or None
        The outcome; None when nobody ever learnt it.
    known_at : int or None
        Milliseconds since the epoch, UTC: from when on the outcome may be used.
    kind : str or None
        The label that someone reports at `known_at`. None when nobody reports anything: the
        outcome of such a row is known by silence alone.
    scenario : str
        Why the row exists, in a generated world ("" elsewhere). Never sent, never trained on.
    """

    transaction: Transaction
    is_fraud: bool | None = None
    known_at: int | None = None
    kind: LabelKind | None = None
    scenario: str = ""

    @property
    def order(self) -> tuple[int, str]:
        """The order of events: by time, then by id."""
        return self.transaction.event_time, self.transaction.event_id

    @property
    def label(self) -> Label | None:
        """The label that is reported of this row, if one is."""
        if self.kind is None or self.known_at is None:
            return None
        return Label(transaction=self.transaction, kind=self.kind, known_at=self.known_at)


def to_frame(rows: Iterable[Row]) -> "pd.DataFrame":
    """Turn rows into a frame with the columns `CANONICAL`.

    Returns
    -------
    pandas.DataFrame
        Strings as `str` objects, `event_time` and `amount` as int64, `is_fraud` as nullable boolean,
        `known_at` as nullable Int64.
    """
    import pandas as pd

    listed = list(rows)
    columns: dict[str, Any] = {name: [getattr(row.transaction, name) for row in listed] for name in FIELDS}
    columns["is_fraud"] = pd.array([row.is_fraud for row in listed], dtype="boolean")
    columns["known_at"] = pd.array([row.known_at for row in listed], dtype="Int64")
    return pd.DataFrame(columns).astype({"event_time": "int64", "amount": "int64"})


def from_frame(frame: "pd.DataFrame") -> Iterator[Row]:
    """Turn a canonical frame into rows, ready to be replayed.

    A fraud is reported as a chargeback, and a genuine payment not at all: merchants seldom do.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns as in `CANONICAL`; a text that has a default may be absent, as it is in imports from before it.
    """
    import pandas as pd

    present = [name for name in CANONICAL if name in frame.columns or name not in _OPTIONAL]
    for values in frame[present].itertuples(index=False, name=None):
        fields = dict(zip(present, values, strict=True))
        is_fraud = None if pd.isna(fields["is_fraud"]) else bool(fields["is_fraud"])
        known_at = None if pd.isna(fields["known_at"]) else int(fields["known_at"])
        kind: LabelKind | None = "chargeback" if is_fraud and known_at is not None else None
        transaction = msgspec.convert(
            {
                name: int(fields[name]) if name in ("event_time", "amount") else fields[name]
                for name in FIELDS
                if name in fields
            },
            Transaction,
        )
        yield Row(transaction, is_fraud=is_fraud, known_at=known_at, kind=kind)

"""Changes of the token key: what was one card under two keys is one card again.

While a new key takes over, each decision carries the tokens that its identifiers had under the key before. From
these pairs the tokens of all that was recorded earlier are replaced by those that came after them, over any number
of changes, so that history hangs together as it does for serving, which reads states under both keys meanwhile.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from fraud.tokens import IDENTIFIERS
from training.contract import ProgramError

__all__ = ["LINKS", "PREVIOUS", "links_of", "relinked"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

PREVIOUS = "previous_tokens"
"""The column of decisions with the tokens before, by field; absent from decisions of before there was one."""

_TYPES: dict[str, pa.DataType] = {"old": pa.string(), "new": pa.string(), "at": pa.int64()}
LINKS = pa.schema(_TYPES)
"""A token, what it became, and when the decision was made that says so (ms)."""

_PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))


def links_of(decisions: pa.Table, path: Path) -> pa.Table:
    """The links that decisions tell of.

    Parameters
    ----------
    decisions : pyarrow.Table
        With `event_time`, the identifiers, and perhaps `PREVIOUS`.
    path : Path
        Where they were read, for errors.

    Raises
    ------
    ProgramError
        If the column holds anything but a map from field to token.
    """
    if PREVIOUS not in decisions.column_names:
        return LINKS.empty_table()
    found = [LINKS.empty_table()]
    for field, (rows, old) in _by_field(decisions[PREVIOUS].combine_chunks(), path).items():
        columns: list[Any] = [old, decisions[field].take(rows), decisions["event_time"].take(rows)]
        linked = pa.table(columns, schema=LINKS)
        kept = pc.and_(pc.not_equal(linked["old"], ""), pc.not_equal(linked["new"], ""))
        found.append(
            linked.filter(kept)
            .group_by(["old", "new"])
            .aggregate([("at", "min")])
            .rename_columns(["old", "new", "at"])
        )
    return pa.concat_tables(found)


def relinked(events: pa.Table, links: pa.Table, as_of: int) -> pa.Table:
    """The same events, each token replaced by the last one that it is known at `as_of` (ms) to have become."""
    known = links.filter(pc.less_equal(links["at"], as_of)).to_pandas()
    if known.empty:
        return events
    # A token became two others only if an old secret was restored: the later word counts.
    latest = known.sort_values(["at", "new"]).drop_duplicates("old", keep="last")
    old, new = pd.Index(latest["old"]), latest["new"].to_numpy(object)
    # Each round goes twice as far along the chain; a chain is as long as there were changes of the key.
    for _ in range(len(latest).bit_length()):
        places = old.get_indexer(pd.Index(new))
        further = np.where(places >= 0, new[places], new)
        if (further == new).all():
            break
        new = further
    tokens, last = pa.array(old, pa.string()), pa.array(new, pa.string())
    for place, name in enumerate(events.column_names):
        if name in IDENTIFIERS:
            column = events[name]
            found = last.take(pc.index_in(column, tokens).combine_chunks())
            events = events.set_column(place, name, pc.coalesce(found, column.combine_chunks()))
    return events


def _by_field(column: Any, path: Path) -> dict[str, tuple[Any, Any]]:
    """The rows that have a token before, and those tokens, by field.

    A map comes as a map, as key/value records or as one record, depending on who wrote it.
    """
    if pa.types.is_null(column.type):
        return {}
    if pa.types.is_struct(column.type):
        found = {}
        for field in IDENTIFIERS:
            if column.type.get_field_index(field) >= 0:
                old = pc.struct_field(column, field)
                rows = pc.indices_nonzero(pc.is_valid(old))
                found[field] = rows, old.take(rows)
        return found
    try:
        if pa.types.is_string(column.type):
            raise pa.ArrowNotImplementedError
        pairs = column.cast(_PAIRS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise ProgramError(
            f"Column {PREVIOUS!r} of {path} is {column.type}; it must be map<string,string>, as the table in the "
            "data catalogue declares it."
        ) from None
    flat, rows = pairs.flatten(), pc.list_parent_indices(pairs)
    found = {}
    for field in IDENTIFIERS:
        mine = pc.indices_nonzero(pc.equal(flat.field("key"), field))
        found[field] = rows.take(mine), flat.field("value").take(mine)
    return found

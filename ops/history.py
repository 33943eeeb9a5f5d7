"""Importing history: rows into the lake for training, their states into the feature store for serving."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import batched

from fraud.bundle import digest
from fraud.codec import encode
from fraud.events import Event
from fraud.features import STANDARD, Key
from fraud.replay import arrival, fold
from fraud.state import State
from ops.deployment import Deployment
from ops.inputs import Row, to_frame
from runtime.stores.features import MOST_ITEMS, ConflictError, FeatureStore, Marker, Versioned

__all__ = ["ImportConflictError", "Imported", "import_history"]

_ATTEMPTS = 5


class ImportConflictError(Exception):
    """Other rows were imported under this name before."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    later_labels : int
        Labels that became known after the last payment of the file: they wait in the lake, and training
        uses them from the day they were known, but no state counts them.
    states, unchanged : int
        Keys whose state was written now, and by an earlier run of the same import.
    """

    rows: int
    later_labels: int
    states: int
    unchanged: int


def import_history(
    deployment: Deployment,
    name: str,
    rows: Iterable[Row],
    *,
    clock: int,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
) -> Imported:
    """Import past payments under a name; the same import again changes nothing.

    Identifiers are turned into this deployment's tokens, exactly as serving does it, so that a card's
    history and its next payment meet in one state.

    Parameters
    ----------
    clock : int
        Wall-clock milliseconds.
    progress : callable
        Called with what is being done, how much of it is done, and how much there is.

    Raises
    ------
    ImportConflictError
        If other rows were imported under this name.
    """
    tokeniser = deployment.tokeniser()
    tokenised = [replace(row, transaction=tokeniser.apply(row.transaction)) for row in rows]
    tokenised.sort(key=lambda row: row.order)
    content = _parquet(tokenised)
    _upload(deployment, name, content, fingerprint=digest(content))
    progress("lake", len(tokenised), len(tokenised))
    end = max((row.transaction.event_time for row in tokenised), default=0)
    events, later = _known(tokenised, until=end)
    states = _fold(events, progress)
    written, unchanged = _store(deployment.features(), name, states, clock=clock, progress=progress)
    return Imported(len(tokenised), later, written, unchanged)


def _parquet(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    to_frame(rows).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _upload(deployment: Deployment, name: str, content: bytes, *, fingerprint: str) -> None:
    client, bucket = deployment.client("s3"), deployment["LakeBucket"]
    key = f"history/{name}/transactions-00000.parquet"
    found = client.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    if found:
        kept = client.head_object(Bucket=bucket, Key=key)["Metadata"].get("fingerprint")
        if kept != fingerprint:
            raise ImportConflictError(f"{name!r} holds other rows already; import these under another name")
        return
    client.put_object(Bucket=bucket, Key=key, Body=content, Metadata={"fingerprint": fingerprint})


def _known(rows: list[Row], *, until: int) -> tuple[list[Event], int]:
    events: list[Event] = [row.transaction for row in rows]
    labels = [row.label for row in rows if row.label is not None]
    events += [label for label in labels if label.known_at <= until]
    events.sort(key=arrival)
    return events, sum(label.known_at > until for label in labels)


def _fold(events: list[Event], progress: Callable[[str, int, int], None]) -> dict[Key, State]:
    states: dict[Key, State] = defaultdict(State)
    for number, event in enumerate(events, 1):
        fold(event, states)
        if number % 2_000 == 0 or number == len(events):
            progress("fold", number, len(events))
    return dict(states)


def _store(
    store: FeatureStore,
    name: str,
    states: dict[Key, State],
    *,
    clock: int,
    progress: Callable[[str, int, int], None],
) -> tuple[int, int]:
    """Write the states in chunks, each together with a marker: a killed import is taken up where it ended."""
    written = unchanged = 0
    chunks = list(batched(sorted(states), MOST_ITEMS - 1, strict=False))
    for number, keys in enumerate(chunks):
        folded = {key: states[key] for key in keys}
        marker = Marker(f"import/{name}/{number}", _fingerprint(folded), clock, clock)
        if _merge(store, marker, folded):
            written += len(keys)
        else:
            unchanged += len(keys)
        progress("store", number + 1, len(chunks))
    return written, unchanged


def _merge(store: FeatureStore, marker: Marker, folded: dict[Key, State]) -> bool:
    """Merge states into what live traffic may have written meanwhile; False if this chunk was done before."""
    for _ in range(_ATTEMPTS):
        known = store.digests([marker.event_id]).get(marker.event_id)
        if known is not None:
            if known != marker.digest:
                raise ImportConflictError(
                    f"{marker.event_id} was applied with other states, by another version of the features"
                )
            return False
        merged = {key: Versioned(state) for key, state in folded.items()}
        for key, found in store.read(list(folded)).items():
            found.state.merge(STANDARD.layouts[key.entity], folded[key])
            merged[key] = found
        newest = max(state.state.newest for state in merged.values())
        expires_at = (max(newest, marker.applied_at) + 2 * STANDARD.retention) // 1_000
        try:
            store.commit([marker], merged, expires_at=expires_at)
        except ConflictError:
            continue
        return True
    raise ImportConflictError(f"{marker.event_id}: states kept changing; import while there is less traffic")


def _fingerprint(states: dict[Key, State]) -> str:
    return digest(b"".join(str(key).encode() + encode(state) for key, state in sorted(states.items())))[:32]

"""Importing history: rows into the lake for training, their states into the feature store for serving."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import batched

from fraud.bundle import digest
from fraud.events import Event
from fraud.features import STANDARD, Key
from fraud.replay import fold
from fraud.state import State
from ops.deployment import Deployment
from ops.featurestore.merging import BusyError, OtherStatesError, fingerprint, merge
from ops.featurestore.sources import import_key, known
from ops.inputs import Row, to_frame
from runtime.stores.features import MOST_ITEMS, FeatureStore, Marker
from runtime.stores.generations import Generation, Generations

__all__ = ["ImportConflictError", "Imported", "import_history"]

_ATTEMPTS = 5


class ImportConflictError(Exception):
    """An import cannot be done now, or not under this name; the message says why."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    later_labels : int
        Labels that became known after the last payment of the file: they wait in the lake, and training
        uses them from the day they were known, but no state counts them.
    states, unchanged : int
        Keys whose state was written now, and before: by an earlier run of the same import, or by a bootstrap.
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
        If other rows have this name, a generation of states is being built, or the states never rest.
    """
    store, tokeniser = deployment.features(), deployment.tokeniser()
    _serving(store)
    tokenised = [replace(row, transaction=tokeniser.apply(row.transaction)) for row in rows]
    tokenised.sort(key=lambda row: row.order)
    content = _parquet(tokenised)
    _upload(deployment, name, content, fingerprint=digest(content))
    progress("lake", len(tokenised), len(tokenised))
    # Once more, now that the rows can be seen in the lake: a build that began before was refused, and one that
    # begins from here on finds them there.
    serving = _serving(store)
    events, later = known(tokenised)
    states = _fold(events, progress)
    if name in (serving.imports or ()):
        return Imported(len(tokenised), later, 0, len(states))
    written, unchanged = _store(store, name, states, generation=serving.number, clock=clock, progress=progress)
    return Imported(len(tokenised), later, written, unchanged)


def _parquet(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    to_frame(rows).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _upload(deployment: Deployment, name: str, content: bytes, *, fingerprint: str) -> None:
    client, bucket = deployment.client("s3"), deployment["LakeBucket"]
    key = import_key(name)
    found = client.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    if found:
        kept = client.head_object(Bucket=bucket, Key=key)["Metadata"].get("fingerprint")
        if kept != fingerprint:
            raise ImportConflictError(f"{name!r} holds other rows already; import these under another name")
        return
    client.put_object(Bucket=bucket, Key=key, Body=content, Metadata={"fingerprint": fingerprint})


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
    generation: int,
    clock: int,
    progress: Callable[[str, int, int], None],
) -> tuple[int, int]:
    """Write the states in chunks, each together with a marker: a killed import is taken up where it ended."""
    written = unchanged = 0
    chunks = list(batched(sorted(states), MOST_ITEMS - 1, strict=False))
    for number, keys in enumerate(chunks):
        folded = {key: states[key] for key in keys}
        marker = Marker(f"import/{generation}/{name}/{number}", fingerprint(folded), clock, clock)
        try:
            new = merge(
                store,
                [marker],
                folded,
                generation=generation,
                features=STANDARD,
                attempts=_ATTEMPTS,
                pause=lambda _attempt: None,
                still=lambda generations: _refuse_beside_a_build(generations, generation),
            )
        except (BusyError, OtherStatesError) as error:
            raise ImportConflictError(str(error)) from error
        written += len(keys) if new else 0
        unchanged += 0 if new else len(keys)
        progress("store", number + 1, len(chunks))
    return written, unchanged


def _serving(store: FeatureStore) -> Generation:
    """The generation to import into."""
    generations, _ = store.look(())
    _refuse_beside_a_build(generations, generations.serving.number)
    return generations.serving


def _refuse_beside_a_build(generations: Generations, serving: int) -> None:
    """Refuse to import while a generation is being built: its list of imports is fixed."""
    if generations.building is not None or generations.serving.number != serving:
        raise ImportConflictError(
            "a generation of states is being built or was just switched to; import again once `paywarden features "
            "status` shows that none is being built"
        )

"""Importing history: rows into the lake for training, their states into the feature store for serving."""

import io
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import batched

from fraud.bundle import digest
from fraud.events import Event, Label
from fraud.features import STANDARD, Key
from fraud.replay import arrival, fold
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from ops.deployment import Deployment
from ops.featurestore.merging import BusyError, OtherStatesError, chunks, fingerprint, merge
from ops.featurestore.sources import import_key, import_names, known
from ops.inputs import Row, from_frame, to_frame
from runtime.stores.features import FeatureStore, Marker
from runtime.stores.generations import Generation, Generations

__all__ = ["ImportConflictError", "Imported", "LaterLabels", "import_history", "labels_until"]

_BATCH = 10
_UNTIL = "labels-until"
"""Metadata of an import's rows: the moment up to which its labels are in the states."""


class ImportConflictError(Exception):
    """An import cannot be done now, or not under this name; the message says why."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    later_labels : int
        Labels that were not known yet: at the time of the import or, where history is replayed at its own times,
        at that of the file's last payment. They wait in the lake, and training uses them from the day they are
        known. `LaterLabels` brings them to the states during a replay; elsewhere the next bootstrap does.
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
    sleep: Callable[[float], None],
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
) -> Imported:
    """Import past payments under a name; the same import again changes nothing.

    Identifiers are turned into this deployment's tokens, exactly as serving does it, so that a card's
    history and its next payment meet in one state.

    Parameters
    ----------
    clock : int
        Wall-clock milliseconds. Labels known by then are folded in; the first import under a name decides, so that
        the same again is the same.
    sleep : callable
        Waits for so many seconds, after a race that was lost.
    progress : callable
        Called with what is being done, how much of it is done, and how much there is.

    Raises
    ------
    ImportConflictError
        If other rows have this name, a generation of states is being built, or the states never rest.
    """
    store, tokeniser = deployment.features(), deployment.tokeniser()
    _serving(store)
    replays = deployment.environment.replay_time
    # Under the key of today, as the next payments are; where history is replayed, under that of its own times.
    moment = None if replays else clock
    tokenised = [replace(row, transaction=tokeniser.apply(row.transaction, at=moment)) for row in rows]
    tokenised.sort(key=lambda row: row.order)
    content = _parquet(tokenised)
    until = max((row.transaction.event_time for row in tokenised), default=0) if replays else clock
    fingerprint = digest(content)
    deployment.tell("states", "import", of=name, after={"rows": len(tokenised), "sha256": fingerprint})
    until = _upload(deployment, name, content, fingerprint=fingerprint, until=until)
    progress("lake", len(tokenised), len(tokenised))
    # Once more, now that the rows can be seen in the lake: a build that began before was refused, and one that
    # begins from here on finds them there.
    serving = _serving(store)
    events, later = known(tokenised, until)
    states = _fold(events, progress)
    if name in (serving.imports or ()):
        return Imported(len(tokenised), later, 0, len(states))
    written, unchanged = _store(
        store, name, states, generation=serving.number, clock=clock, sleep=sleep, progress=progress
    )
    return Imported(len(tokenised), later, written, unchanged)


def _parquet(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    to_frame(rows).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _upload(deployment: Deployment, name: str, content: bytes, *, fingerprint: str, until: int) -> int:
    """Put the rows into the lake; the moment up to which their labels are folded in: that of the first time."""
    client, bucket = deployment.client("s3"), deployment["LakeBucket"]
    key = import_key(name)
    found = client.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    if found:
        kept = client.head_object(Bucket=bucket, Key=key)["Metadata"]
        if kept.get("fingerprint") != fingerprint:
            raise ImportConflictError(f"{name!r} holds other rows already; import these under another name")
        return labels_until(kept)
    metadata = {"fingerprint": fingerprint, _UNTIL: str(until)}
    client.put_object(Bucket=bucket, Key=key, Body=content, Metadata=metadata)
    return until


def labels_until(metadata: Mapping[str, str]) -> int:
    """The moment (ms) up to which the labels of an import are in the states, from what is kept with its rows."""
    return int(metadata[_UNTIL])


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
    sleep: Callable[[float], None],
    progress: Callable[[str, int, int], None],
) -> tuple[int, int]:
    """Write the states in chunks, each together with a marker: a killed import is taken up where it ended."""
    written = unchanged = 0
    parts = list(chunks(states, STANDARD))
    for number, keys in enumerate(parts):
        folded = {key: states[key] for key in keys}
        marker = Marker(f"import/{generation}/{name}/{number}", fingerprint(folded), clock, clock)
        try:
            new = merge(
                store,
                [marker],
                folded,
                generation=generation,
                features=STANDARD,
                sleep=sleep,
                still=lambda generations: _refuse_beside_a_build(generations, generation),
            )
        except (BusyError, OtherStatesError) as error:
            raise ImportConflictError(str(error)) from error
        written += len(keys) if new else 0
        unchanged += 0 if new else len(keys)
        progress("store", number + 1, len(parts))
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


class LaterLabels:
    """The labels of imported payments that become known while history is replayed, for the states.

    No merchant sends them, since the payments were never decided here; but training counts them from the moment
    they are known, and so must serving. Each is folded in once, as live labels are, however often this is done.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    sleep : callable
        Waits for so many seconds, after a race that was lost.

    Attributes
    ----------
    folded : set of str
        Events that are in the states by now.
    """

    def __init__(
        self, deployment: Deployment, *, clock: Callable[[], int], sleep: Callable[[float], None]
    ) -> None:
        self.folded: set[str] = set()
        self._clock = clock
        self._updater = Updater(
            STANDARD, deployment.features(), clock, pause=lambda attempt: sleep(0.02 * 2**attempt)
        )
        self._waiting = deque(sorted(_later_labels(deployment), key=arrival))

    def __call__(self, event: Event) -> None:
        """Fold in what becomes known before an event arrives.

        Raises
        ------
        ImportConflictError
            If the states never rest; nothing is lost.
        """
        due: list[Label] = []
        while self._waiting and arrival(self._waiting[0]) < arrival(event):
            due.append(self._waiting.popleft())
        for labels in batched(due, _BATCH, strict=False):
            now = self._clock()
            report = self._updater.apply([Delivery(label.event_id, label, now) for label in labels])
            if report.failed:
                raise ImportConflictError(
                    f"{len(report.failed)} labels of imported payments could not be folded in; replay again while "
                    "there is less traffic"
                )
            self.folded |= {label.event_id for label in labels}


def _later_labels(deployment: Deployment) -> Iterator[Label]:
    """The labels that no import has folded in, of all of them."""
    import pandas as pd

    client, bucket = deployment.client("s3"), deployment["LakeBucket"]
    for name in import_names(client, bucket):
        found = client.get_object(Bucket=bucket, Key=import_key(name))
        until = labels_until(found["Metadata"])
        for row in from_frame(pd.read_parquet(io.BytesIO(found["Body"].read()))):
            if row.label is not None and row.label.known_at > until:
                yield row.label

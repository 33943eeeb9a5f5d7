"""Building a generation of states from history while live traffic goes on, resumable after a kill.

What was recorded up to the watermark comes from the lake and the ledger, what is recorded after it from live
traffic, so nothing is missing and nothing counts twice. Buckets, imports and watermark are fixed when a build
begins: whoever resumes it folds the very same chunks, and skips those that are marked as written.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from fraud.events import Event
from fraud.features import STANDARD, FeatureSet, Key
from fraud.state import State
from ops.deployment import Deployment
from ops.featurestore.buckets import MOST_BUCKETS, Buckets
from ops.featurestore.lifecycle import GenerationError, announce, bucket_marker, buildable, change
from ops.featurestore.merging import OtherStatesError, chunks, fingerprint, merge
from ops.featurestore.sources import History
from runtime.stores.features import FeatureStore, Marker
from runtime.stores.generations import LEASE, Generation

__all__ = ["Built", "Source", "bootstrap", "build"]

SETTLE = 60_000
"""How long after a moment everything that was recorded up to it can be read in the ledger, in ms."""

BUCKETS = 64
_MOST_SKEW = 10_000

type Progress = Callable[[str, int, int], None]


class Source(Protocol):
    """Where history comes from."""

    refused: int

    def names(self) -> tuple[str, ...]:
        """The imports that there are now."""
        ...

    def events(self, imports: tuple[str, ...], until: int) -> Iterator[Event]:
        """Every event of those imports, and every one that was recorded up to `until` (ms)."""
        ...


@dataclass(frozen=True)
class Built:
    """What a bootstrap did.

    Attributes
    ----------
    events, refused : int
        Read from history, and left out of it since no feature can be computed from them.
    states, buckets : int
        Written by this run.
    resumed : int
        Buckets that an earlier run had written.
    """

    generation: int
    watermark: int
    events: int
    refused: int
    states: int
    buckets: int
    resumed: int


def bootstrap(
    deployment: Deployment,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    progress: Progress = lambda _what, _done, _all: None,
    features: FeatureSet = STANDARD,
    buckets: int = BUCKETS,
    lease: int = LEASE,
    settle: int = SETTLE,
) -> Built:
    """Build a generation of online states from all history of a deployment; run it again to resume it.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds; it must agree with that of the deployment.
    sleep : callable
        Waits for so many seconds.
    progress : callable
        Called with what is being done (wait, read, build), how much of it is done, and how much there is (0 where
        nobody knows).
    buckets : int
        In how many parts keys are folded, one after the other; a build that is resumed keeps its number.
    lease, settle : int
        Milliseconds until the watermark, and from there to the first look at history.

    Raises
    ------
    GenerationError
        If one is being built for other features, was abandoned meanwhile, or the clock is wrong.
    BusyError
        If live traffic leaves some states no moment alone; run it again.
    """
    dynamodb = deployment.client("dynamodb")
    _check_clock(dynamodb, deployment["FeaturesTable"], clock)
    source = History(
        deployment.client("s3"),
        deployment["LakeBucket"],
        dynamodb,
        deployment["DecisionsTable"],
        deployment.environment.replay_time,
    )
    return build(
        deployment.features(),
        source,
        clock=clock,
        sleep=sleep,
        progress=progress,
        features=features,
        buckets=buckets,
        lease=lease,
        settle=settle,
    )


def build(
    store: FeatureStore,
    source: Source,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    progress: Progress,
    features: FeatureSet,
    buckets: int,
    lease: int,
    settle: int,
) -> Built:
    """As `bootstrap`, from any source into any store."""
    if not 1 <= buckets <= MOST_BUCKETS:
        raise ValueError(f"buckets: give a number from 1 to {MOST_BUCKETS}")
    _, building = announce(store, now=clock(), feature_set=features.version, buckets=buckets, lease=lease)
    number, whole = building.number, building.buckets
    if building.built:
        return Built(number, building.watermark, 0, 0, 0, 0, resumed=whole)
    _wait(building.watermark + settle, building.started_at, clock, sleep, progress)
    building = _listed(store, source, building)
    markers = {bucket_marker(number, bucket): bucket for bucket in range(whole)}
    done = {markers[name] for name in store.digests(markers)}
    with (
        tempfile.TemporaryDirectory(prefix="paywarden-") as folder,
        Buckets(Path(folder), whole, features) as kept,
    ):
        events = 0
        for event in source.events(building.imports or (), building.watermark):
            kept.add(event)
            events += 1
            if events % 1_000 == 0:
                progress("read", events, 0)
        progress("read", events, events)
        written = 0
        for bucket in range(whole):
            if bucket not in done:
                states = kept.folded(bucket)
                written += _write(store, number, bucket, states, features=features, clock=clock, sleep=sleep)
            progress("build", bucket + 1, whole)
    _changed(store, number, built=True)
    return Built(number, building.watermark, events, source.refused, written, whole - len(done), resumed=len(done))


def _wait(
    until: int, since: int, clock: Callable[[], int], sleep: Callable[[float], None], progress: Progress
) -> None:
    """Wait until everything up to the watermark can be read."""
    whole = (until - since) // 1_000
    while (left := until - clock()) >= 0:
        progress("wait", whole - left // 1_000, whole)
        sleep(min(1.0, (left + 1) / 1_000))
    progress("wait", whole, whole)


def _listed(store: FeatureStore, source: Source, building: Generation) -> Generation:
    """Fix the imports that a generation is built from: a later one is no part of it, and is refused meanwhile."""
    if building.imports is not None:
        return building
    return _changed(store, building.number, imports=source.names())


def _changed(store: FeatureStore, number: int, **changes: object) -> Generation:
    """Change the generation that is being built."""
    generations, _ = store.look(())
    building = msgspec.structs.replace(buildable(generations, number), **changes)
    change(store, generations, msgspec.structs.replace(generations, building=building))
    return building


def _write(
    store: FeatureStore,
    generation: int,
    bucket: int,
    states: Mapping[Key, State],
    *,
    features: FeatureSet,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
) -> int:
    """Write a bucket in chunks, and with the last of them that it is done; how many states were written now."""
    whole = bucket_marker(generation, bucket)
    parts = list(chunks(states, features)) or [()]
    written = 0
    for number, keys in enumerate(parts):
        folded = {key: states[key] for key in keys}
        now = clock()
        markers = [Marker(f"{whole}/{number}", fingerprint(folded), now, now)]
        if number + 1 == len(parts):
            markers.append(Marker(whole, str(len(parts)), now, now))
        try:
            new = merge(
                store,
                markers,
                folded,
                generation=generation,
                features=features,
                sleep=sleep,
                still=lambda generations: buildable(generations, generation),
            )
        except OtherStatesError as error:
            # Lake or ledger are no longer what they were when the build began.
            raise GenerationError(
                f"{error}, or from another history; abandon this generation and begin anew"
            ) from error
        written += len(keys) if new else 0
    return written


def _check_clock(dynamodb: Any, table: str, clock: Callable[[], int]) -> None:
    """Refuse to announce a watermark by a wrong clock: it would not part the events that came before and after."""
    answer = dynamodb.describe_table(TableName=table)
    told = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if told is None:
        return
    skew = clock() - round(parsedate_to_datetime(told).timestamp() * 1_000)
    if abs(skew) > _MOST_SKEW:
        raise GenerationError(f"this machine's clock is {skew / 1_000:+.0f} s off; set it, then run this again")

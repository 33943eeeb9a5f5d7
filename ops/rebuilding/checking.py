"""Some states recomputed from history and compared with what is stored; nothing is written.

Says of each key whether its state is right; whether it is behind, and by which events; or whether it is wrong.
Events go on meanwhile: a state that one came to while history was read is looked at again, and never called wrong.
"""

import io
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import batched, chain
from typing import Any, Final

from fraud.codec import FORMS, VERSION, encode
from fraud.events import Event
from fraud.features import STANDARD, FeatureSet, Key
from fraud.replay import arrival
from fraud.state import State
from ops.deployment import Deployment
from ops.featurestore.lifecycle import GenerationError
from ops.featurestore.sources import History, import_key, known
from ops.history import labels_until
from ops.inputs import from_frame
from ops.rebuilding.comparing import key_of, pages
from runtime.stores.batches import batch_get
from runtime.stores.generations import Generation

__all__ = ["Checked", "Verdict", "check", "key_named", "sample", "stored_states"]

_PARTS: Final = 64
"""Into how many segments the table is parted to draw a sample: one is read at a time until there are enough."""

_LOOKED_UP: Final = 100
_LOOKS: Final = 3
"""How often a key is looked at whose state changes meanwhile; history is read once for each look."""


class Verdict(StrEnum):
    """What a state is."""

    RIGHT = "right"
    BEHIND = "behind"
    WRONG = "wrong"
    MISSING = "missing"
    BUSY = "busy"
    """It changed at every look: nothing can be said of it before its events pause."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One key.

    Attributes
    ----------
    events : int
        Of history that are about it.
    waiting : tuple of str
        Ids of those that were not folded yet.
    """

    key: Key
    verdict: Verdict
    events: int
    waiting: tuple[str, ...] = ()


@dataclass(slots=True)
class _About:
    """What history has of a key: what is certainly folded, and what has a marker if it is."""

    sure: list[Event] = field(default_factory=list)
    marked: list[Event] = field(default_factory=list)


def check(
    deployment: Deployment,
    keys: Sequence[Key],
    *,
    now: Callable[[], int],
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    features: FeatureSet = STANDARD,
) -> list[Checked]:
    """Recompute the states of some keys. All of history is read once, whatever their number.

    It is read again for those whose states changed meanwhile, twice at most.

    Parameters
    ----------
    now : callable
        Gives wall-clock ms.

    Raises
    ------
    GenerationError
        If the states that serve were built for other features than this code has.
    """
    generations, _ = deployment.features().look(())
    serving = generations.serving
    if serving.feature_set not in ("", features.version):
        raise GenerationError(
            f"generation {serving.number} serves features {serving.feature_set} and this code has "
            f"{features.version}; check with the code that is deployed"
        )
    found: dict[Key, Checked] = {}
    left = list(keys)
    for _ in range(_LOOKS):
        looked = _look(deployment, left, serving, now, progress, features)
        found |= {each.key: each for each in looked}
        left = [each.key for each in looked if each.verdict is Verdict.BUSY]
        if not left:
            break
    return [found[key] for key in keys]


def _look(
    deployment: Deployment,
    keys: Sequence[Key],
    serving: Generation,
    now: Callable[[], int],
    progress: Callable[[str, int, int], None],
    features: FeatureSet,
) -> list[Checked]:
    before = stored_states(deployment, keys, generation=serving.number)
    about: dict[Key, _About] = {key: _About() for key in keys}
    seen = 0
    # The moment up to which history is read comes after the states: it has all that is folded into them.
    for event, sure in _history(deployment, serving, now()):
        for key in features.keys_written(event):
            if key in about:
                (about[key].sure if sure else about[key].marked).append(event)
        seen += 1
        if seen % 1_000 == 0:
            progress("read", seen, 0)
    progress("read", seen, seen)
    # After history, so that what was folded since is in the states and its marker is there.
    names = sorted({event.event_id for each in about.values() for event in each.marked})
    folded: set[str] = set()
    store = deployment.features()
    for chunk in batched(names, _LOOKED_UP, strict=False):
        folded |= set(store.digests(chunk))
    stored = stored_states(deployment, keys, generation=serving.number)
    checked = [_checked(key, each, stored.get(key), folded, features) for key, each in about.items()]
    # A state that changed may hold events that are not in the history that was read.
    return [
        replace(each, verdict=Verdict.BUSY)
        if each.verdict in (Verdict.WRONG, Verdict.MISSING) and before.get(each.key) != stored.get(each.key)
        else each
        for each in checked
    ]


def stored_states(deployment: Deployment, keys: Sequence[Key], *, generation: int) -> dict[Key, bytes]:
    """States as they are stored, packed: also those that cannot be read as a state any more."""
    names = {f"s{generation}#{key}": key for key in keys}
    found: dict[Key, bytes] = {}
    for chunk in batched(names, _LOOKED_UP, strict=False):
        wanted = {
            "Keys": [{"key": {"S": name}} for name in chunk],
            "ConsistentRead": True,
            "ProjectionExpression": "#k, #s",
            "ExpressionAttributeNames": {"#k": "key", "#s": "state"},
        }
        table = deployment["FeaturesTable"]
        for item in batch_get(deployment.client("dynamodb"), {table: wanted})[table]:
            found[names[item["key"]["S"]]] = item["state"]["B"]
    return found


def sample(deployment: Deployment, count: int, *, seed: int | None = None) -> list[Key]:
    """Keys drawn at random from those that serve.

    Parameters
    ----------
    seed : int, optional
        For the same draw from the same table.
    """
    rng = random.Random(seed)  # noqa: S311 - draws a sample, no secrets
    generations, _ = deployment.features().look(())
    number = generations.serving.number
    parts = list(range(_PARTS))
    rng.shuffle(parts)
    found: list[Key] = []
    client, table = deployment.client("dynamodb"), deployment["FeaturesTable"]
    # Items lie in the order of a hash of their keys: a page is as good a draw as any.
    for items in chain.from_iterable(pages(client, table, segments=[part], total=_PARTS) for part in parts):
        names = (key_of(item["key"]["S"]) for item in items)
        found += [key_named(key) for generation, key in names if generation == number]
        if len(found) >= count:
            break
    return sorted(rng.sample(found, min(count, len(found))))


def key_named(name: str) -> Key:
    """A key by its name, ``entity#token#shard``.

    Raises
    ------
    GenerationError
        If it is none.
    """
    entity, _, rest = name.partition("#")
    token, _, shard = rest.rpartition("#")
    names = [each.name for each in STANDARD.entities]
    if entity not in names or not token or not shard.isdigit():
        raise GenerationError(f"{name!r} is no key: write ENTITY#TOKEN#SHARD with one of {', '.join(names)}")
    return Key(entity, token, int(shard))


def _history(deployment: Deployment, serving: Generation, now: int) -> Iterator[tuple[Event, bool]]:
    """Every event, and whether it is folded without a marker that says so."""
    s3, bucket, replays = deployment.client("s3"), deployment["LakeBucket"], deployment.environment.replay_time
    source = History(s3, bucket, deployment.client("dynamodb"), deployment["DecisionsTable"], replays)
    names = source.names()
    for name in names:
        yield from _import(s3, bucket, name, serving, replays=replays)
    for event in source.events((), now):
        yield event, False


def _import(
    s3: Any, bucket: str, name: str, serving: Generation, *, replays: bool
) -> Iterator[tuple[Event, bool]]:
    """An import's events: its payments and the labels that were known then, and the later ones."""
    import pandas as pd

    stored = s3.get_object(Bucket=bucket, Key=import_key(name))
    rows = list(from_frame(pd.read_parquet(io.BytesIO(stored["Body"].read()))))
    built_from = name in (serving.imports or ())
    until = labels_until(stored["Metadata"])
    if built_from and not replays:
        until = max(until, serving.watermark)
    events, _ = known(rows, until)
    for event in events:
        yield event, True
    for row in rows:
        if row.label is not None and row.label.known_at > until:
            yield row.label, False


def _checked(key: Key, about: _About, stored: bytes | None, folded: set[str], features: FeatureSet) -> Checked:
    events = [*about.sure, *about.marked]
    waiting = tuple(event.event_id for event in about.marked if event.event_id not in folded)
    if stored is None:
        return Checked(key, Verdict.MISSING if events else Verdict.RIGHT, len(events), waiting)
    form = stored[0] if stored and stored[0] in FORMS else VERSION
    if stored == _state(key, events, features, form):
        return Checked(key, Verdict.RIGHT, len(events))
    done = [event for event in events if event.event_id not in waiting]
    if waiting and stored == _state(key, done, features, form):
        return Checked(key, Verdict.BEHIND, len(events), waiting)
    return Checked(key, Verdict.WRONG, len(events), waiting)


def _state(key: Key, events: Sequence[Event], features: FeatureSet, form: int) -> bytes:
    """The state of a key after some events, each folded once, packed."""
    states: dict[Key, State] = defaultdict(State)
    seen = set()
    for event in sorted(events, key=arrival):
        if event.event_id not in seen:
            seen.add(event.event_id)
            features.fold(states[key], key.entity, event)
    return encode(states[key], form)

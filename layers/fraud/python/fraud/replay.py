"""The reference engine: fold events in arrival order, with no lag between a payment and its features."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, FeatureSet, Key
from fraud.state import State

__all__ = ["arrival", "fold", "replay"]


def arrival(event: Event) -> tuple[int, str]:
    """When the platform learnt of an event: the key that puts history into arrival order."""
    return (event.known_at if isinstance(event, Label) else event.event_time), event.event_id


def fold(event: Event, states: dict[Key, State], features: FeatureSet = STANDARD) -> bool:
    """Fold one event into the states of its keys, in place; False if it came too late for them all."""
    kept = [features.fold(states[key], key.entity, event) for key in features.keys_written(event)]
    return any(kept) or not kept


def replay(
    events: Iterable[Event], features: FeatureSet = STANDARD, states: dict[Key, State] | None = None
) -> Iterator[tuple[Transaction, tuple[float, ...]]]:
    """Yield the vector of every transaction, as serving would have seen it with no lag.

    Parameters
    ----------
    events : iterable of Transaction, Outcome or Label
        In arrival order (see `arrival`), each event once.
    states : dict of Key to State, optional
        States to start from; they are folded in place.

    Yields
    ------
    (Transaction, tuple of float)
        The transaction and its vector, shape (len(features.names),).
    """
    known: dict[Key, State] = states if states is not None else defaultdict(State)
    for event in events:
        if isinstance(event, Transaction):
            read = {key: known[key] for key in features.keys_read(event) if key in known}
            yield event, features.vector(event, read)
        for key in features.keys_written(event):
            state = known.get(key)
            if state is None:
                state = known[key] = State()
            features.fold(state, key.entity, event)

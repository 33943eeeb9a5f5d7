"""Several decisions at once: read in groups, made one after the other, written beside each other."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from runtime.http import Problem
from runtime.stores.snapshots import Snapshot

from .scoring import Asking, Made, Outcome, Scorer, Understood, tried

__all__ = ["decide_many"]

_THREADS = 8
_GROUP = 10
"""Payments that are read together: some 250 keys at most. What fails, fails for these alone."""

_READING = 2.0
"""Seconds in which what could not be read is asked for once more: nobody waits at a till for a batch."""

_WRITING = 4.0
"""Seconds after which a batch begins no further write: one may take seven, as may token keys before all this."""


def decide_many(scorer: Scorer, bodies: Sequence[bytes | Problem], asking: Asking) -> list[Outcome | Problem]:
    """Decide on several, each on its own.

    Those with the same id are written in the order given, so that the first of them counts.

    Parameters
    ----------
    bodies : sequence of bytes or Problem
        What is wrong with one that was looked at before keeps its place.
    """
    requests = [tried(scorer.understand, body, asking) for body in bodies]
    understood = [each for each in requests if isinstance(each, Understood)]
    groups = [understood[at : at + _GROUP] for at in range(0, len(understood), _GROUP)]

    try_again_until = scorer.monotonic() + _READING

    def look(group: Sequence[Understood]) -> Snapshot | None:
        keys = list(dict.fromkeys(key for each in group for key in each.keys))
        settings = list(dict.fromkeys(key for each in group for key in each.settings))
        found = scorer.look(keys, settings)
        return scorer.look(keys, settings) if found is None and scorer.monotonic() < try_again_until else found

    with ThreadPoolExecutor(_THREADS) as pool:
        snapshots = scorer.timer.timed(lambda: list(pool.map(look, groups)))
        found = iter([snapshot for group, snapshot in zip(groups, snapshots, strict=True) for _ in group])
        made = [each if isinstance(each, Problem) else scorer.make(each, next(found), asking) for each in requests]
        decided = [each for each in made if isinstance(each, Made)]
        kept = scorer.timer.timed(lambda: _keep(scorer, decided, pool))
    return [
        each if isinstance(each, Problem) else scorer.settle(each, next(kept[each.record.event_id]))
        for each in made
    ]


def _keep(
    scorer: Scorer, made: Sequence[Made], pool: ThreadPoolExecutor
) -> dict[str, Iterator[Outcome | Problem]]:
    """What became of each, by the id of its event and in the order given."""
    give_up_at = scorer.monotonic() + _WRITING
    same: dict[str, list[Made]] = {}
    for each in made:
        same.setdefault(each.record.event_id, []).append(each)

    def write(together: Sequence[Made]) -> list[Outcome | Problem]:
        return [tried(scorer.keep, each, give_up_at) for each in together]

    return dict(zip(same, map(iter, pool.map(write, same.values())), strict=True))

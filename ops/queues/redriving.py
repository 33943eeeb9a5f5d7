"""Dead letters sent back to where they belong: those that would be handled now, each once a run."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from ops.queues.judging import Judgement
from ops.queues.letters import AWS_ERRORS, BATCH, Box, Letter, in_short, returned
from ops.queues.ways import Way

__all__ = ["Group", "Redriven", "look", "redrive"]


@dataclass(slots=True)
class Group:
    """Letters of which the same is to be said.

    Attributes
    ----------
    returned : int
        How many of them were sent back before, and died again.
    oldest : int
        When the first of them was sent, in ms.
    """

    judgement: Judgement
    count: int = 0
    returned: int = 0
    oldest: int = 0


@dataclass(slots=True)
class Redriven:
    """What became of the letters that were taken.

    Attributes
    ----------
    sent : int
        Those that went back.
    settled : Counter of str
        Those that ask for nothing any more and were deleted, by why.
    left : Counter of str
        Those that were left where they are, by why.
    """

    sent: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)


def look(box: Box, way: Way, *, most: int) -> list[Group]:
    """What the letters are, the most frequent first; they are back in their place afterwards."""
    letters = box.peek(most)
    groups: dict[Judgement, Group] = {}
    for letter, judgement in _judged(way, letters):
        group = groups.setdefault(judgement, Group(judgement, oldest=letter.sent_at))
        group.count += 1
        group.returned += returned(letter)
        group.oldest = min(group.oldest, letter.sent_at)
    return sorted(groups.values(), key=lambda group: -group.count)


def redrive(box: Box, way: Way, *, most: int, progress: Callable[[int], None]) -> Redriven:
    """Send letters back; a letter is deleted once it is where it belongs.

    If this ends in between, a letter may go back twice, which changes nothing: everything behind the queues counts
    what it gets once. Those that cannot go back are put back at the end, so that each is looked at once. What AWS
    refuses for some of them leaves those, and ends nothing.

    Parameters
    ----------
    progress : callable
        Called with how many letters were handled.
    """
    done = Redriven()
    held: dict[str, Letter] = {}
    handled = 0
    batches: Iterable[list[Letter]] = box.take(most)
    if way.together:
        batches = [list(chain.from_iterable(batches))]
    try:
        for batch in batches:
            held |= {letter.message_id: letter for letter in batch}
            gone = _handled(way, batch, done)
            box.drop(gone)
            for letter in gone:
                del held[letter.message_id]
            handled += len(batch)
            progress(handled)
    finally:
        box.put_back(held.values())
    return done


def _handled(way: Way, letters: Sequence[Letter], done: Redriven) -> list[Letter]:
    """Send those that are worth it, and note what became of each; those that may be deleted."""
    try:
        judged = _judged(way, letters)
    except AWS_ERRORS as error:
        done.left[f"it cannot be judged now: {in_short(error)}"] += len(letters)
        return []
    done.left.update(judgement.reason for _, judgement in judged if judgement.hopeless)
    hopeful = [letter for letter, judgement in judged if not judgement.hopeless]
    gone = []
    for letter, outcome in zip(hopeful, way.send(hopeful) if hopeful else [], strict=True):
        if outcome.gone:
            gone.append(letter)
            done.sent += not outcome.why
        if outcome.why:
            (done.settled if outcome.gone else done.left)[outcome.why] += 1
    return gone


def _judged(way: Way, letters: Sequence[Letter]) -> list[tuple[Letter, Judgement]]:
    found = []
    for start in range(0, len(letters), BATCH):
        batch = letters[start : start + BATCH]
        found += list(zip(batch, way.judge(batch), strict=True))
    return found

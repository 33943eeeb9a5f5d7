"""Dead letters sent back to where they belong: those that would be handled now, each once a run."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ops.queues.judging import Judgement
from ops.queues.letters import BATCH, Box, Letter, returned
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
    left : Counter of str
        Those that were left where they are, by why.
    """

    sent: int = 0
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
    what it gets once. Those that cannot go back are put back at the end, so that each is looked at once.

    Parameters
    ----------
    progress : callable
        Called with how many letters were handled.
    """
    done = Redriven()
    kept: list[Letter] = []
    handled = 0
    try:
        for batch in box.take(most):
            handled += len(batch)
            hopeful = []
            for letter, judgement in _judged(way, batch):
                if judgement.hopeless:
                    done.left[judgement.reason] += 1
                    kept.append(letter)
                else:
                    hopeful.append(letter)
            failures = way.send(hopeful) if hopeful else []
            sent = [letter for letter, why in zip(hopeful, failures, strict=True) if not why]
            kept += [letter for letter, why in zip(hopeful, failures, strict=True) if why]
            done.left.update(why for why in failures if why)
            box.drop(sent)
            done.sent += len(sent)
            progress(handled)
    finally:
        box.put_back(kept)
    return done


def _judged(way: Way, letters: Sequence[Letter]) -> list[tuple[Letter, Judgement]]:
    found = []
    for start in range(0, len(letters), BATCH):
        batch = letters[start : start + BATCH]
        found += list(zip(batch, way.judge(batch), strict=True))
    return found

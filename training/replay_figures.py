"""What a replay found, summed up while it goes on: by the way a decision went, by merchant, by day."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.replay_past import PastDecision

__all__ = ["BINS", "MOST_LARGEST", "MOST_MERCHANTS", "Compared", "Figures"]

MOST_MERCHANTS = 50
"""So many are told of, those with the most changes."""
MOST_LARGEST = 25
"""So many changed payments are told of by their ids, those of the largest amounts; the file of changes has all."""
BINS = 40

_DAY = 86_400_000
_STOPPED = ("review", "decline")
_SUMS = ("decisions", "changed", "stopped_before", "stopped_after")

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Compared:
    """A decision beside its replay.

    Attributes
    ----------
    becomes : str
        What the replay decides.
    score : float or None
        The replay's.
    truth : str
        ``fraud``, ``genuine`` or ``unknown``: what is known by now.
    note : str
        See `training.replay_judging.Judged`; or ``without_score``.
    """

    past: PastDecision
    becomes: str
    score: float | None
    rules: tuple[str, ...]
    truth: str
    note: str

    @property
    def changed(self) -> bool:
        return self.becomes != self.past.decision


class Figures:
    """Sums of a replay; nothing here grows with the number of payments but by merchants and days."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._merchants: dict[str, list[int]] = defaultdict(lambda: [0] * len(_SUMS))
        self._days: dict[int, list[int]] = defaultdict(lambda: [0] * len(_SUMS))
        self._rules: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._largest: list[tuple[int, str, Document]] = []
        self._notes: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._count: Counter[str] = Counter()
        self._edges = np.linspace(-1.0, 1.0, BINS + 1)
        self._differences = np.zeros(BINS, np.int64)
        self._furthest = 0.0
        self._scores = {side: np.zeros(BINS // 2, np.int64) for side in ("before", "after")}

    def leave_out(self, reason: str) -> None:
        """Count a decision that cannot be replayed."""
        self._left_out[reason] += 1

    def add(self, compared: Iterable[Compared]) -> None:
        """Count decisions with their replays."""
        before, after = [], []
        for each in compared:
            self._one(each)
            if each.past.score is not None and each.score is not None:
                before.append(each.past.score)
                after.append(each.score)
        self._add_scores(np.array(before, np.float64), np.array(after, np.float64))

    def _one(self, each: Compared) -> None:
        past, changed, count = each.past, each.changed, self._count
        paid, truth = past.transaction, each.truth
        count["replayed"] += 1
        count["changed"] += changed
        count["labelled"] += truth != "unknown"
        count["rules_differ"] += each.rules != past.rules
        count["scored_anew"] += past.score is None and each.score is not None
        count["lost_score"] += past.score is not None and each.score is None
        if each.note:
            self._notes[each.note] += 1
        way = self._ways[paid.currency, past.decision, each.becomes, truth]
        way[0] += 1
        way[1] += paid.amount
        before, after = past.decision in _STOPPED, each.becomes in _STOPPED
        for sums in (self._merchants[paid.merchant_id], self._days[paid.event_time // _DAY]):
            sums[0] += 1
            sums[1] += changed
            sums[2] += before
            sums[3] += after
        for name in past.rules:
            self._rules[name][0] += 1
        for name in each.rules:
            self._rules[name][1] += 1
        if changed and (len(self._largest) < MOST_LARGEST or paid.amount >= self._largest[0][0]):
            # The id is the entry's own, so that documents are never compared.
            keep = heapq.heappush if len(self._largest) < MOST_LARGEST else heapq.heappushpop
            keep(self._largest, (paid.amount, paid.event_id, changed_payment(each)))

    def _add_scores(self, before: Any, after: Any) -> None:
        if not len(before):
            return
        difference = after - before
        self._count["scores"] += len(before)
        self._count["scores_equal"] += int((before.view(np.int64) == after.view(np.int64)).sum())
        self._furthest = max(self._furthest, float(np.abs(difference).max()))
        moved = difference[difference != 0]
        self._differences += np.histogram(moved, self._edges)[0]
        for side, scores in (("before", before), ("after", after)):
            self._scores[side] += np.histogram(scores, np.linspace(0.0, 1.0, BINS // 2 + 1))[0]

    def told(self) -> Document:
        """All of it as a document of plain values."""
        count = self._count
        merchants = sorted(self._merchants.items(), key=lambda each: (-each[1][1], each[0]))
        return {
            "decisions": count["replayed"] + self._left_out.total(),
            "replayed": count["replayed"],
            "changed": count["changed"],
            "labelled": count["labelled"],
            "rules_differ": count["rules_differ"],
            "identical": not (count["changed"] or count["rules_differ"] or self._score_changes()),
            "cannot_be_replayed": dict(sorted(self._left_out.items())),
            "notes": dict(sorted(self._notes.items())),
            "ways": [self._way(*key) for key in sorted({key[:3] for key in self._ways})],
            "scores": {
                "compared": count["scores"],
                "equal": count["scores_equal"],
                "scored_anew": count["scored_anew"],
                "lost": count["lost_score"],
                "furthest": self._furthest,
                "differences": self._differences.tolist(),
                **{side: counts.tolist() for side, counts in self._scores.items()},
            },
            "rules": {
                name: dict(zip(("before", "after"), sums, strict=True))
                for name, sums in sorted(self._rules.items())
            },
            "merchants": {
                "count": len(merchants),
                "most_changed": [_told(*each) for each in merchants[:MOST_MERCHANTS]],
            },
            "days": [_told(day * _DAY, told) for day, told in sorted(self._days.items())],
            "largest": [told for _, _, told in sorted(self._largest, key=lambda each: (-each[0], each[1]))],
        }

    def _score_changes(self) -> int:
        count = self._count
        return count["scores"] - count["scores_equal"] + count["scored_anew"] + count["lost_score"]

    def _way(self, currency: str, was: str, becomes: str) -> Document:
        by_truth = {}
        for truth in ("fraud", "genuine", "unknown"):
            payments, amount = self._ways.get((currency, was, becomes, truth), (0, 0))
            by_truth[truth] = {"count": payments, "amount": amount}
        total = {name: sum(each[name] for each in by_truth.values()) for name in ("count", "amount")}
        return {"currency": currency, "from": was, "to": becomes, "all": total, **by_truth}


def changed_payment(each: Compared) -> Document:
    """A changed payment by its ids: no token of a person, and nothing that leads to one."""
    paid = each.past.transaction
    return {
        "event_id": paid.event_id,
        "merchant_id": paid.merchant_id,
        "transaction_id": paid.transaction_id,
        "event_time": paid.event_time,
        "amount": paid.amount,
        "currency": paid.currency,
        "from": each.past.decision,
        "to": each.becomes,
        "score": each.past.score,
        "new_score": each.score,
        "rules": list(each.past.rules),
        "new_rules": list(each.rules),
        "truth": each.truth,
    }


def _told(name: str | int, sums: list[int]) -> Document:
    return {"name": name, **dict(zip(_SUMS, sums, strict=True))}

"""What has to hold after every drill: judged from what was answered, the ledger, and the feature store."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

import msgspec

from fraud.decision import Decision, event_of
from fraud.events import Event
from ops.deployment import Deployment
from ops.lake import query
from runtime.stores.decisions import DECISION
from runtime.stores.features import FeatureStore
from tests.load.checks import Ledger, balance
from tests.load.generator import AGAIN, Exchange
from tests.load.report import Finding
from tests.load.told import Told

__all__ = [
    "Balance",
    "Seen",
    "answers",
    "degraded",
    "events_of",
    "in_lake",
    "secret",
    "unfolded",
    "unkept",
]

ALLOWED = frozenset({200, 202, 400, 404, 409, 503})
CUT_OFF = frozenset({0, 500, 502, 504})
"""What API Gateway answers, or not, for a process that is gone."""


@dataclass(frozen=True)
class Seen:
    """What one drill left.

    Attributes
    ----------
    exchanges : sequence of Exchange
        Its own calls.
    items : sequence of Told
        What they told about payments.
    ledger : mapping of (event id, kind) to Line
        All of it, also of the drills before.
    dead : sequence of str
        The dead letters of update_features, which were taken out.
    since, until : int
        Wall-clock milliseconds of the fault.
    """

    exchanges: Sequence[Exchange]
    items: Sequence[Told]
    ledger: Ledger
    dead: Sequence[str]
    since: int
    until: int

    def decided(self, since: int = 0, until: int = 0) -> list[dict[str, Any]]:
        """The ledger's rows of decisions that were recorded in this drill, or between two moments (ms)."""
        low, high = max(since, self.since), until or 2**62
        rows = [line.row for (_, kind), line in self.ledger.items() if kind == DECISION]
        return [row for row in rows if low <= row["recorded_at"] < high]


@dataclass
class Balance:
    """Answers against the ledger, drill after drill: what was told before is not told again."""

    items: list[Told] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)

    def add(self, items: Iterable[Told], ledger: Ledger) -> tuple[set[str], set[str]]:
        """The payments that are found lost and doubled now that these were told, too."""
        self.items += items
        _, lost, doubled = balance(self.items, ledger)
        new = lost - self.lost, doubled - self.doubled
        self.lost |= lost
        self.doubled |= doubled
        return new


def answers(exchanges: Sequence[Exchange], *, cut_off: bool) -> Iterator[Finding]:
    """Whether every call was answered as the contract says."""
    allowed = ALLOWED | CUT_OFF if cut_off else ALLOWED
    wrong = Counter(each.status for each in exchanges if each.status not in allowed)
    yield Finding("every status is the documented one", not wrong, f"{len(exchanges)} calls; {dict(wrong)}")
    hasty = sum(each.status == 503 and not each.retry_after for each in exchanges)
    yield Finding("every 503 says when to ask again", not hasty, f"{hasty} do not")


def degraded(items: Iterable[Told]) -> set[str]:
    """The payments whose decision was made without state or model."""
    return {
        each.event_id
        for each in items
        if each.decision
        and each.exchange.call.phase != AGAIN
        and msgspec.json.decode(each.decision, type=Decision).degraded
    }


def secret(ledger: Ledger, items: Iterable[Told]) -> set[str]:
    """Decisions that are kept and that nobody was told."""
    known = {each.event_id for each in items if each.digest and each.decision}
    return {event_id for event_id, kind in ledger if kind == DECISION} - known


def unfolded(store: FeatureStore, event_ids: Iterable[str]) -> set[str]:
    """Those of some events that the feature store has no marker of."""
    missing: set[str] = set()
    for names in batched(event_ids, 90, strict=False):
        missing.update(set(names) - store.look(names)[1].keys())
    return missing


def events_of(ledger: Ledger) -> Mapping[str, Event]:
    """What the lines of the ledger set in motion, by event id."""
    events = [event_of(line.row) for line in ledger.values()]
    return {event.event_id: event for event in events}


def in_lake(deployment: Deployment) -> int:
    """How many payments the lake has a decision of."""
    [found] = query(deployment, "SELECT count(DISTINCT event_id) AS n FROM decisions")
    return int(found["n"])


def unkept(items: Iterable[Told], ledger: Ledger) -> set[str]:
    """The payments of which an outcome was taken that the ledger does not have."""
    kept = {event_id for event_id, kind in ledger if kind.startswith("outcome")}
    return {each.event_id for each in items if each.exchange.call.kind == "outcome" and each.status == 202} - kept

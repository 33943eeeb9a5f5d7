"""What the tables are asked for, and how hot their hottest items get."""

import math
from dataclasses import dataclass

from fraud.features import STANDARD
from ops.capacity.concurrency import batch_of_updates, hold_ms
from ops.capacity.units import read_units, write_units
from ops.capacity.work import ASSUMED, work

__all__ = ["PARTITION_READS", "PARTITION_WRITES", "Asked", "Heat", "asked", "heat", "share_in_batch"]

PARTITION_READS, PARTITION_WRITES = 3_000.0, 1_000.0
"""Units a second that one partition, and so one item, gives at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Units a second that a table is asked for."""

    table: str
    reads: float
    writes: float

    @property
    def partitions(self) -> int:
        """Partitions that it takes if nothing is hot."""
        return max(1, math.ceil(max(self.reads / PARTITION_READS, self.writes / PARTITION_WRITES)))


def asked(rate: float) -> tuple[Asked, ...]:
    """Each table on the way of a transaction, at `rate` decisions a second."""
    measured, reports = work(), ASSUMED.reports
    fold = measured.folding(batch_of_updates(rate))
    label = "fold a label, 10 at once"
    return (
        Asked(
            "features",
            reads=rate
            * (
                measured.units("decision", "features", "BatchGetItem")
                + measured.units(fold, "features", "BatchGetItem")
                + reports * measured.units(label, "features", "BatchGetItem")
            ),
            writes=rate
            * (
                measured.units(fold, "features", "TransactWriteItems")
                + reports * measured.units(label, "features", "TransactWriteItems")
            ),
        ),
        Asked(
            "decisions",
            reads=rate * reports * measured.units("label", "decisions", "Query"),
            writes=rate
            * (
                measured.units("decision", "decisions", "PutItem")
                + reports * measured.units("label", "decisions", "PutItem")
            ),
        ),
        Asked("settings", reads=rate * measured.units("decision", "settings", "BatchGetItem"), writes=0.0),
    )


@dataclass(frozen=True, slots=True)
class Heat:
    """An item that many payments share.

    Attributes
    ----------
    units : float
        Units a second that it is asked for.
    limit : float
        Units a second that it gives.
    races : float
        Of its writes: how many others begin, on average, between the read and the write of one. At 1 most are in
        vain, at more than that a queue grows. 0 for what is only read.
    """

    item: str
    kind: str
    units: float
    limit: float
    races: float = 0.0

    @property
    def used(self) -> float:
        """The share of what it gives, by whichever of the two is nearer to its end."""
        return max(self.units / self.limit, self.races)


def heat(rate: float) -> tuple[Heat, ...]:
    """The hottest items, at `rate` decisions a second."""
    batch, events = batch_of_updates(rate), rate * (1 + ASSUMED.reports)
    batches = events / batch
    # Every decision asks which generation serves, and every batch does so consistently.
    control = rate * read_units(0, consistent=False) + batches * read_units(0, consistent=True)
    shards = {entity.name: entity.shards for entity in STANDARD.entities}
    found = [Heat("`generations` of the features table", "read", control, PARTITION_READS)]
    for entity, share in (("merchant", ASSUMED.merchant_share), ("bin", ASSUMED.bin_share)):
        name = f"one of {shards[entity]} shards of a {entity} with {share:.0%} of all payments"
        touching = batches * share_in_batch(share / shards[entity], batch)
        size = work().size(f"state of {entity}", "p99")
        writes = touching * write_units(size, transactional=True)
        reads = rate * share * read_units(size, consistent=False) + touching * read_units(size, consistent=True)
        found.append(Heat(name, "read", reads, PARTITION_READS))
        found.append(Heat(name, "write", writes, PARTITION_WRITES, touching * hold_ms(rate) / 1_000))
    return tuple(found)


def share_in_batch(share: float, batch: int) -> float:
    """How likely one of `batch` events or more is, when a `share` of all are: a batch writes an item once."""
    return float(1 - (1 - share) ** batch)

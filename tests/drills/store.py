"""DynamoDB has no capacity left, or is slow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills.drill import Drill, Sign
from tests.drills.judging import Seen, degraded
from tests.drills.proxy import rule
from tests.drills.stage import Stage
from tests.load.report import Finding
from tests.waiting import waited

__all__ = ["StoreSlow", "StoreThrottled"]

THROTTLED = "ProvisionedThroughputExceededException"
SHARE = 0.7
"""Of all calls that are refused: a read is tried once, a write twice, and an update four times in six rounds."""
DELAY = 1.75
"""Seconds: more than scoring waits for a read, less than for a write."""


class StoreThrottled(Drill):
    name = "store-throttled"
    fault = f"DynamoDB refuses {SHARE:.0%} of all reads and writes for want of capacity"
    holds = "reads degrade, writes answer 503 and are made when asked again, updates wait and are folded once"
    signs = (
        Sign("degraded-decisions"),
        Sign("decision-availability-fast"),
    )

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        refused = [
            rule("dynamodb", operation, code=THROTTLED, share=SHARE)
            for operation in ("BatchGetItem", "PutItem", "TransactWriteItems")
        ]
        with stage.faults.injected(*refused):
            since = time.time()
            yield
            # An update's reads are refused, too, so that its write may come later than the last payment.
            waited(lambda: stage.faults.fired(since)["dynamodb", "TransactWriteItems"], within=20, pause=0.2)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        found = degraded(seen.items)
        yield Finding("reads that were refused degrade", bool(found), f"{len(found)} decisions")
        refused = sum(each.status == 503 for each in seen.items)
        yield Finding("writes that were refused are told", refused > 0, f"{refused} times a 503")
        # Most of these its client asks again by itself, so that `Throttled` need not rise in a short drill.
        updates = stage.faults.fired(seen.since / 1e3)["dynamodb", "TransactWriteItems"]
        yield Finding("updates meet it, too", updates > 0, f"{updates} were throttled")


class StoreSlow(Drill):
    name = "store-slow"
    fault = f"every answer of DynamoDB takes {DELAY} s"
    holds = "decisions go on without state, and the breaker spares payments the wait; writes take their time"
    signs = (Sign("degraded-decisions"),)

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        with stage.faults.injected(rule("dynamodb", latency=DELAY)):
            yield

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        found = degraded(seen.items)
        yield Finding("slow reads are done without", bool(found), f"{len(found)} decisions")
        reads = stage.faults.fired(seen.since / 1e3)["dynamodb", "BatchGetItem"]
        yield Finding("it was really slow", reads > 0, f"{reads} slow reads")

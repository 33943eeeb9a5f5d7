"""The event bus is down, and functions are killed in the middle of what they do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills.drill import Drill, Sign
from tests.drills.judging import Seen
from tests.drills.proxy import rule
from tests.drills.stage import Stage
from tests.load.report import Finding
from tests.waiting import waited

__all__ = ["BusDown", "Killed"]

HELD = 0.8
"""Seconds that a call is held so that its caller can be killed meanwhile; it is carried out all the same."""
PATIENCE = 60.0
"""Seconds until a function does what it is to be killed at: those before it have to start anew."""
_CONSISTENT = "RequestItems.*.ConsistentRead | [0]"
"""Updates read consistently, decisions do not: by that a call's body tells whose it is."""
_MOMENTS = (
    ("score_transaction", rule("dynamodb", "BatchGetItem", latency=HELD, body=f"!({_CONSISTENT})")),
    ("update_features", rule("dynamodb", "BatchGetItem", latency=HELD, body=_CONSISTENT)),
    ("update_features", rule("dynamodb", "TransactWriteItems", latency=HELD)),
    ("relay_decisions", rule("events", "PutEvents", latency=HELD)),
    ("score_transaction", rule("dynamodb", "PutItem", latency=HELD)),
)
"""The moments at which a function is killed: before its commit, and while that is on its way."""


class BusDown(Drill):
    name = "bus-down"
    fault = "EventBridge answers every PutEvents with an internal error"
    holds = "decisions do not notice; the relay asks again and again, and what was kept is published in the end"
    signs = (Sign("function-errors", "relay_decisions"),)
    seconds = 12.0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        with stage.faults.injected(rule("events", "PutEvents", code="InternalException", status=500)):
            since = time.time()
            yield
            # The relay's client asks four times before the function fails.
            waited(lambda: stage.faults.fired(since)["events", "PutEvents"] >= 4, within=20, pause=0.2)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        tries = stage.faults.fired(seen.since / 1e3)["events", "PutEvents"]
        yield Finding("the relay goes on trying", tries >= 4, f"{tries} calls refused")
        failed = sum(each.status >= 500 for each in seen.exchanges)
        yield Finding("decisions do not notice", not failed, f"{failed} calls failed")


class Killed(Drill):
    name = "killed"
    fault = "functions are killed between a read and its write, and while a write is under way"
    holds = "what was not committed is done again, what was is not done twice, at every step of the way"
    signs = (Sign("function-errors", "update_features"),)
    cut_off = True
    within = 120.0

    def __init__(self) -> None:
        self._killed: dict[tuple[str, str], int] = {}
        self._killer = threading.Thread()

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        self._killer = threading.Thread(target=self._kill, args=(stage,), name="killer")
        self._killer.start()
        try:
            yield
        finally:
            self._killer.join()
            stage.faults.clear()

    def busy(self) -> bool:
        return self._killer.is_alive()

    def _kill(self, stage: Stage) -> None:
        """Hold a call, kill who waits for it, and let it be."""
        for verb_noun, held in _MOMENTS:
            since = time.time()
            with stage.faults.injected(held):
                if stage.faults.wait_for(held["operation"], since, PATIENCE):
                    time.sleep(HELD / 4)
                    self._killed[verb_noun, held["operation"]] = stage.kill(verb_noun)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        told = ", ".join(f"{count} {name} at {operation}" for (name, operation), count in self._killed.items())
        held = len(self._killed) == len(_MOMENTS) and all(self._killed.values())
        yield Finding("every function was killed at its work", held, told)
        again = stage.counted("update_features", "Duplicate", seen.since)
        yield Finding("what had been committed came again, and was not counted", again > 0, f"{again:.0f} times")

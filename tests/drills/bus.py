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

__all__ = ["BusDown", "Killed"]

HELD = 0.8
"""Seconds that a call is held so that its caller can be killed meanwhile; it is carried out all the same."""


class BusDown(Drill):
    name = "bus-down"
    fault = "EventBridge answers every PutEvents with an internal error"
    holds = "decisions do not notice; the relay asks again and again, and what was kept is published in the end"
    signs = (Sign("function-errors", "relay_decisions", "Errors"),)
    seconds = 12.0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        with stage.faults.injected(rule("events", "PutEvents", code="InternalException", status=500)):
            since = time.time()
            yield
            # The relay's client asks four times before the function fails.
            deadline = time.monotonic() + 20
            while stage.faults.fired(since)["events", "PutEvents"] < 4 and time.monotonic() < deadline:
                time.sleep(0.2)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        tries = stage.faults.fired(seen.since / 1e3)["events", "PutEvents"]
        yield Finding("the relay goes on trying", tries >= 4, f"{tries} calls refused")
        failed = sum(each.status >= 500 for each in seen.exchanges)
        yield Finding("decisions do not notice", not failed, f"{failed} calls failed")


class Killed(Drill):
    name = "killed"
    fault = "functions are killed between a read and its write, and while a write is under way"
    holds = "what was not committed is done again, what was is not done twice, at every step of the way"
    signs = (Sign("function-errors", "update_features", "Errors"),)
    cut_off = True
    within = 120.0

    def __init__(self) -> None:
        self._killed: dict[tuple[str, str], int] = {}

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        killer = threading.Thread(target=self._kill, args=(stage,), name="killer")
        killer.start()
        try:
            yield
        finally:
            killer.join()
            stage.faults.clear()

    def _kill(self, stage: Stage) -> None:
        """Hold a call, kill who waits for it, and let it be."""
        for verb_noun, service, operation in (
            ("score_transaction", "dynamodb", "BatchGetItem"),
            ("update_features", "dynamodb", "TransactWriteItems"),
            ("relay_decisions", "events", "PutEvents"),
            ("score_transaction", "dynamodb", "PutItem"),
        ):
            since = time.time()
            with stage.faults.injected(rule(service, operation, latency=HELD)):
                if stage.faults.wait_for(operation, since, 20):
                    time.sleep(HELD / 4)
                    self._killed[verb_noun, operation] = stage.kill(verb_noun)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        told = ", ".join(f"{count} {name} at {operation}" for (name, operation), count in self._killed.items())
        held = len(self._killed) == 4 and all(self._killed.values())
        yield Finding("every function was killed at its work", held, told)
        again = stage.counted("update_features", "Duplicate", seen.since)
        yield Finding("what had been committed came again, and was not counted", again > 0, f"{again:.0f} times")

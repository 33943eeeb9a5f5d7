"""The relay stands still, or gives up what it could not publish."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.drill import Drill, Sign
from tests.drills.judging import Seen
from tests.drills.messages import now
from tests.drills.proxy import rule
from tests.drills.stage import Stage
from tests.load.report import Finding
from tests.waiting import waited

__all__ = ["RelayStopped", "Unrelayed"]

GIVEN_UP_WITHIN = 60.0
"""Seconds: the relay's client asks four times before the function fails."""
LETTERS = "UnrelayedQueueUrl"
_UNRELAYED = Sign("unrelayed")


class RelayStopped(Drill):
    name = "relay-stopped"
    fault = "the mapping before relay_decisions is switched off: nobody reads the ledger's stream"
    holds = "decisions go on with the features that there are; all is published, in its order, when it is on again"
    signs = (Sign("relay-stopped"),)
    fresh = True

    def __init__(self) -> None:
        self._relayed = 0.0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        since = now()
        with stage.held_back("relay_decisions"):
            yield
            self._relayed = stage.counted("relay_decisions", "Relayed", since)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        yield Finding("nothing reached the bus meanwhile", not self._relayed, f"{self._relayed:.0f} lines")
        failed = sum(each.status >= 500 for each in seen.exchanges)
        yield Finding("decisions do not notice", not failed, f"{failed} calls failed")
        lines, relayed = len(seen.decided()), stage.counted("relay_decisions", "Relayed", seen.since)
        yield Finding("all reached it afterwards", relayed >= lines > 0, f"{relayed:.0f} lines, {lines} decisions")


class Unrelayed(Drill):
    name = "unrelayed"
    fault = "EventBridge is down for longer than the relay tries: it gives up what it has"
    holds = "decisions do not notice; what was given up is named in dead letters, and a command publishes it"
    signs = (_UNRELAYED,)
    within = 120.0

    def __init__(self) -> None:
        self._letters = 0
        self._code = -1
        self._told = ""

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        since = now()
        down = rule("events", "PutEvents", code="InternalException", status=500)
        # On AWS it gives up after hours; here at once.
        with stage.giving_up("relay_decisions"), stage.faults.injected(down):
            yield
            waited(lambda: stage.reading(_UNRELAYED, since), within=GIVEN_UP_WITHIN, pause=0.5)
        self._letters = stage.depth(LETTERS)
        program = Path(sys.executable).with_name("paywarden")
        words = ("redrive", "unrelayed", "--yes", "--port", str(stage.deployment.port))
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=300)
        self._code, self._told = done.returncode, (done.stdout + done.stderr).strip()[-300:]

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        yield Finding("it was given up", self._letters > 0, f"{self._letters} dead letters")
        yield Finding("the command publishes it", self._code == 0, f"exit code {self._code}: {self._told}")
        left = stage.depth(LETTERS)
        yield Finding("no letter is left", not left, f"{left} left")
        failed = sum(each.status >= 500 for each in seen.exchanges)
        yield Finding("decisions do not notice", not failed, f"{failed} calls failed")

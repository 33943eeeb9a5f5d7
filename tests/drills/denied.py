"""The keys `secrets` and `objects` are gone from us: secrets and models cannot be read (docs/encryption.md)."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills.drill import Sign
from tests.drills.judging import CUT_OFF, Seen
from tests.drills.messages import now
from tests.drills.proxy import rule
from tests.drills.serving import Swap
from tests.drills.stage import KNOWN, LATE, Stage
from tests.load.report import Finding

__all__ = ["KeyDenied"]

DENIED = "The ciphertext refers to a customer master key that does not exist or that you may not use"
NOT_FOUND = 404


class KeyDenied(Swap):
    name = "key-denied"
    fault = "secrets and models cannot be decrypted; half-way, all processes that decide or check keys end"
    holds = "those that run go on with what they have; new ones cannot start, and calls fail until they can"
    signs = (*Swap.signs, Sign("function-errors", "score_transaction"))
    cut_off = True
    within = 120.0

    def __init__(self) -> None:
        super().__init__()
        self._killed = 0
        self._checkers = 0
        self._at = 0
        self._unchecked = self._remembered = 0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        self._before, self._after = stage.champion, stage.next()

        def end() -> None:
            self._at = now()
            self._killed = stage.kill("score_transaction")
            # What is asked for is not behind the proxy: all that can fail is the check of a key that is not known.
            self._checkers = stage.kill("authorize_merchant")
            self._remembered = stage.knock(KNOWN)
            self._unchecked = stage.knock(LATE)

        refused = (
            rule("secretsmanager", code="AccessDeniedException", message=DENIED),
            rule("s3", "GetObject", code="AccessDenied", status=403, message=DENIED),
        )
        # Whatever the drill before did, a process that checks keys runs now. API Gateway remembers this key for a
        # minute, which is longer than anything is broken.
        stage.knock(KNOWN)
        timer = threading.Timer(stage.lasting(self) / 2, end)
        with stage.faults.injected(*refused):
            stage.promote(self._after)
            timer.start()
            yield
            timer.join()

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        yield from super().check(stage, seen)
        early = [each for each in seen.exchanges if each.answered_at < self._at]
        late = [each for each in seen.exchanges if self._at < each.sent_at < seen.until]
        failed = Counter(each.status for each in early if each.status in CUT_OFF)
        yield Finding("who runs goes on", bool(early) and not failed, f"{len(early)} calls; {dict(failed)}")
        refused = Counter(each.status for each in late)
        held = self._killed > 0 and any(status in CUT_OFF for status in refused)
        yield Finding("who is new cannot start", held, f"{self._killed} ended; {dict(refused)}")
        fired = stage.faults.fired(seen.since / 1e3)["secretsmanager", "GetSecretValue"]
        yield Finding("the secrets were refused", fired > 0, f"{fired} times")
        held = self._checkers > 0 and self._unchecked in CUT_OFF and self._remembered == NOT_FOUND
        told = (
            f"{self._checkers} ended; {self._unchecked} for a key not seen before, {self._remembered} for another"
        )
        yield Finding("a key that is not known cannot be checked, one that is goes on", held, told)
        after = stage.knock(LATE)
        yield Finding("it can be checked again", after == NOT_FOUND, f"{after}")

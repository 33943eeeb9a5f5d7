"""A key of KMS is gone from us: secrets and models cannot be read."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills.drill import Sign
from tests.drills.judging import CUT_OFF, Seen
from tests.drills.proxy import rule
from tests.drills.serving import Swap
from tests.drills.stage import Stage, now
from tests.load.report import Finding

__all__ = ["KeyDenied"]

DENIED = "The ciphertext refers to a customer master key that does not exist or that you may not use"


class KeyDenied(Swap):
    name = "key-denied"
    fault = "KMS denies the key of secrets and models; half-way, all processes that decide end"
    holds = "those that run go on with what they have; new ones cannot start, and calls fail until they can"
    signs = (*Swap.signs, Sign("function-errors", "score_transaction", "Errors"))
    cut_off = True
    within = 120.0

    def __init__(self) -> None:
        super().__init__()
        self._killed = 0
        self._at = 0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        self._before, self._after = stage.champion, stage.next()

        def end() -> None:
            self._at = now()
            self._killed = stage.kill("score_transaction")

        refused = (
            rule("secretsmanager", code="AccessDeniedException", message=DENIED),
            rule("s3", "GetObject", code="AccessDenied", status=403, message=DENIED),
            rule("kms", code="AccessDeniedException", message=DENIED),
        )
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

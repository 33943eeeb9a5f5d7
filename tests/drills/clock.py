"""Clocks that are wrong: those of whoever sends events, of merchants, and our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from fraud.decision import event_of
from runtime.stores.decisions import DECISION
from tests.drills.drill import Drill, Sign
from tests.drills.events import made_up
from tests.drills.judging import Seen
from tests.drills.messages import now
from tests.drills.proxy import rule
from tests.drills.stage import BRIEFLY, SHOPS, SOON, Stage
from tests.load.report import Finding

__all__ = ["ClockSkew"]

HOUR, AHEAD = 3_600_000, 300_000
"""Milliseconds. The second is less than an event may be ahead."""
SHARE = 0.4
"""Of the writes of decisions, whose signature is refused."""
SKEWED = "Signature expired: the request's time is too far from ours"


class ClockSkew(Drill):
    name = "clock-skew"
    fault = "events, labels and payments from the future, and AWS refuses signatures for their time"
    holds = "payments count by our own clock; the far future is refused, what is a little ahead is folded"
    signs = (
        Sign("dead-letters-updates"),
        Sign("stale-serving"),
    )
    dead = 1
    # The drill before may have left a dead letter in this minute.
    fresh = True

    def __init__(self) -> None:
        self._answers: dict[str, tuple[int, str]] = {}
        self._future = ""

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        random, at = Random(4), now()
        future = made_up("future", random, at) | {"event_time": at + HOUR}
        ahead = made_up("ahead", random, at) | {"event_time": at + AHEAD}
        stage.visible_after(BRIEFLY)
        stage.queue([future, ahead])
        stage.extra[ahead["event_id"]] = event_of(ahead)
        self._future = future["event_id"]
        self._report(stage)
        # Of what somebody waits for: an update that meets it again and again ends among the dead letters.
        refused = (
            rule("dynamodb", "PutItem", code="InvalidSignatureException", share=SHARE, message=SKEWED),
            rule("appconfig", code="RequestTimeTooSkewed", status=403, message=SKEWED),
            rule("s3", code="RequestTimeTooSkewed", status=403, message=SKEWED),
        )
        with stage.faults.injected(*refused):
            yield

    def _report(self, stage: Stage) -> None:
        """A payment that claims to be of another time, and labels of one."""
        payment = {"transaction_id": "skew-1", "amount": 1_000, "currency": "EUR"}
        late = {"Paywarden-Replay-Time": str(now() + HOUR)}
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        told = stage.post(SHOPS[0], "/v1/decisions", payment, late)
        self._answers["a payment with a time of its own"] = _told(*told)
        # Of any payment that was decided on; there are some, from the warm-up on.
        shop, name = next(event_id for event_id, kind in stage.ledger if kind == DECISION).split("/", 1)
        label = {"transaction_id": name, "label": "chargeback", "known_at": tomorrow}
        self._answers["a label of tomorrow"] = _told(*stage.post(shop, "/v1/labels", label))

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        stage.visible_after(SOON)
        for what, (status, kind) in self._answers.items():
            yield Finding(f"{what} is refused", status == 400, f"{status} {kind}")
        names = [msgspec.json.decode(each)["detail"]["event_id"] for each in seen.dead]
        yield Finding("only the far future is set aside", names == [self._future], ", ".join(names))
        refused = sum(each.status == 503 for each in seen.items)
        yield Finding("writes that were refused are told", refused > 0, f"{refused} times a 503")
        off = [
            row["event_id"]
            for row in seen.decided()
            if not seen.since <= row["event_time"] <= row["recorded_at"] + 1
        ]
        yield Finding("payments count by our own clock", not off, f"{len(seen.decided())} rows, {len(off)} off")


def _told(status: int, answer: object) -> tuple[int, str]:
    kind = answer.get("type", "") if isinstance(answer, dict) else ""
    return status, str(kind)

"""Events that pile up, hold nothing, or come ten times."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from fraud.decision import event_of
from tests.drills.drill import Drill, Sign
from tests.drills.judging import Seen
from tests.drills.messages import now, say
from tests.drills.stage import BRIEFLY, SOON, Stage
from tests.load.checks import ledger_of
from tests.load.report import Finding

__all__ = ["Backlog", "DuplicateStorm", "Poison", "made_up"]

POOL = 4_000
"""How many cards, customers, devices and addresses the events of a backlog are about."""
TIMES = 10
"""How often each event of the storm comes."""
POISON = '{"detail": "no event, but a drill"}'


def made_up(name: str, random: Random, at: int) -> dict[str, Any]:
    """A decided payment as its row of the ledger, of no merchant that pays here."""
    who = random.randrange(POOL)
    merchant = f"drill-{who % 97}"
    return {
        "event_id": f"{merchant}/{name}",
        "transaction_id": name,
        "merchant_id": merchant,
        "event_time": at - random.randrange(600_000),
        "amount": random.randrange(100, 50_000),
        "currency": "EUR",
        "card": f"card_{who:032x}",
        "customer": f"cust_{who:032x}",
        "device": f"dev_{random.randrange(POOL):032x}",
        "ip": f"ip_{random.randrange(POOL):032x}",
        "email": f"mail_{who:032x}",
        "bin": f"{400_000 + who % 50}",
        "issuer_country": "FR",
        "billing_country": "FR",
        "mcc": "5411",
        "decision": "approve",
        "recorded_at": at,
    }


class Backlog(Drill):
    name = "backlog"
    fault = "events pile up in the queue before update_features, which does not read"
    holds = "decisions go on with the features that there are; all is folded, once, when it reads again"
    signs = (Sign("updates-behind"),)
    fresh = True
    within = 3_600.0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        random, at = Random(1), now()
        rows = [made_up(f"backlog-{number}", random, at) for number in range(stage.backlog)]
        with stage.held_back():
            if not stage.short:
                say(f"  queueing {stage.backlog:,} messages")
            stage.queue(rows, progress=True)
            stage.extra |= {row["event_id"]: event_of(row) for row in rows}
            yield

    def well(self, stage: Stage) -> bool:
        return stage.depth("UpdateQueueUrl") == 0


class Poison(Drill):
    name = "poison"
    fault = "a message that holds no event comes in one batch with nine that do"
    holds = "it ends among the dead letters after five tries; its neighbours pass, and are folded once"
    signs = (Sign("dead-letters-updates"),)
    dead = 1

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        random, at = Random(2), now()
        rows = [made_up(f"neighbour-{number}", random, at) for number in range(9)]
        stage.visible_after(BRIEFLY)
        with stage.held_back():
            stage.queue([*rows[:4], POISON, *rows[4:]])
            stage.extra |= {row["event_id"]: event_of(row) for row in rows}
            yield

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        stage.visible_after(SOON)
        yield Finding(
            "the poison is kept, as it came", list(seen.dead) == [POISON], f"{len(seen.dead)} dead letters"
        )
        found = stage.counted("update_features", "Poison", seen.since)
        yield Finding("it was tried five times and no more", found == 5, f"{found:.0f} times")


class DuplicateStorm(Drill):
    name = "duplicate-storm"
    fault = f"every event comes {TIMES} times, in any order, at once"
    holds = "each is folded once; nobody has to be told"

    def __init__(self) -> None:
        self._sent = 0

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        since = now()
        with stage.held_back():
            yield
            rows = [line.row for line in ledger_of(stage.deployment).values() if line.row["recorded_at"] >= since]
            again = [row for row in rows for _ in range(TIMES - 1)]
            Random(3).shuffle(again)
            stage.queue(again)
            self._sent = len(again)

    def well(self, stage: Stage) -> bool:
        return stage.depth("UpdateQueueUrl") == 0

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        found = stage.counted("update_features", "Duplicate", seen.since)
        held = found >= self._sent > 0
        yield Finding("every copy is known for one", held, f"{self._sent} copies, {found:.0f} known again")
        mismatched = stage.counted("update_features", "Mismatched", seen.since)
        yield Finding("none is taken for another event", not mismatched, f"{mismatched:.0f} mismatched")

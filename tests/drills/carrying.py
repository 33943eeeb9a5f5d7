"""Carry out one drill: break, send, mend, wait until all is well, judge."""

import time
from collections.abc import Callable, Iterator

from tests.drills import judging
from tests.drills.drill import Drill, Result
from tests.drills.judging import Seen
from tests.drills.messages import now, say
from tests.drills.stage import Stage
from tests.drills.watched import MINUTE
from tests.load.checks import differing, ledger_of, some
from tests.load.generator import AGAIN, Sender
from tests.load.plan import Phase
from tests.load.report import Finding
from tests.load.told import told
from tests.waiting import waited

__all__ = ["carried_out", "warmed_up"]

PAUSE = 0.25
"""Seconds between two looks at what is waited for."""
TOLD_EVERY = 15.0
MORE = 1.0
"""Seconds that payments go on at a time, where a drill is not done when it should be."""
METERED = 30.0
"""Seconds until CloudWatch has what happened: the local one looks at queues every two, later where it is busy."""


def warmed_up(stage: Stage) -> None:
    """Start processes, and decide on payments that the drills can come back to."""
    name = "warm-up"
    with stage.sending(name) as sender:
        sender.ramp(stage.planner.calls(Phase(name, 6, 1)))
        _again(sender, time.monotonic() + 30)
    stage.ledger = ledger_of(stage.deployment)
    lost, doubled = stage.balance.add(told(stage.exchanges(name), stage.digest), stage.ledger)
    missing = _folded(stage, time.monotonic() + 60)
    if lost or doubled or missing:
        raise RuntimeError(f"not well before anything is broken: {lost}, {doubled}, {missing}")


def carried_out(drill: Drill, stage: Stage) -> Result:
    """What comes of a drill."""
    if drill.fresh:
        time.sleep(MINUTE - time.time() % MINUTE)
    since = now()
    before = {sign: stage.reading(sign, since) for sign in drill.signs}
    with stage.sending(drill.name) as sender:
        with drill.broken(stage):
            stage.send(sender, drill.name, stage.lasting(drill))
            while drill.busy():
                stage.send(sender, drill.name, MORE)
            at_worst = {sign: stage.reading(sign, since) for sign in drill.signs}
        until, ended = now(), time.monotonic()
        deadline = ended + drill.within
        _again(sender, deadline)
    exchanges = stage.exchanges(drill.name)
    items = list(told(exchanges, stage.digest))
    stage.ledger = ledger_of(stage.deployment)
    missing = _folded(stage, deadline)
    well = _waited(lambda: drill.well(stage), deadline)
    settled = _waited(lambda: stage.depth("UpdateDeadLetterQueueUrl") >= drill.dead, deadline)
    seconds = time.monotonic() - ended

    def told_all() -> bool:
        for sign in drill.signs:
            at_worst[sign] = max(at_worst[sign], stage.reading(sign, since))
        return all(at_worst[sign] > before[sign] for sign in drill.signs)

    _waited(told_all, time.monotonic() + METERED)
    raised = {sign: (low, at_worst[sign]) for sign, low in before.items()}
    seen = Seen(exchanges, items, stage.ledger, stage.dead_letters(), since, until)
    lost, doubled = stage.balance.add(items, stage.ledger)
    findings = [
        *judging.answers(exchanges, cut_off=drill.cut_off),
        Finding("no decision is lost", not lost, some(lost)),
        Finding("no decision is made twice", not doubled, some(doubled)),
        *_kept(stage, seen, missing),
        Finding("it is well again in time", well and settled and not missing, f"{seconds:.1f} s"),
        Finding("dead letters are what they must be", len(seen.dead) == drill.dead, f"{len(seen.dead)} of them"),
        *drill.check(stage, seen),
        *(
            Finding(f"{sign} is told", high > low, f"{stage.watched(sign)}: from {low:.4g} to {high:.4g}")
            for sign, (low, high) in raised.items()
        ),
    ]
    return Result(
        name=drill.name,
        fault=drill.fault,
        holds=drill.holds,
        lost=len(lost),
        doubled=len(doubled),
        seconds=seconds,
        payments=sum(bool(each.digest) for each in items if each.exchange.call.phase != AGAIN),
        unavailable=sum(
            each.status == 0 or each.status >= 500 for each in items if each.exchange.call.phase != AGAIN
        ),
        degraded=len(judging.degraded(items)),
        findings=findings,
        told=[f"{sign} ({stage.watched(sign)})" for sign, (low, high) in raised.items() if high > low],
    )


def _kept(stage: Stage, seen: Seen, missing: set[str]) -> Iterator[Finding]:
    """What was decided against what was kept and folded."""
    secret = judging.secret(seen.ledger, stage.balance.items)
    yield Finding("nothing is kept that nobody was told", not secret, some(secret))
    unkept = judging.unkept(seen.items, seen.ledger)
    yield Finding("no outcome is lost", not unkept, some(unkept))
    events = {**judging.events_of(seen.ledger), **stage.extra}
    yield Finding("every event is folded", not missing, f"{len(events)} events; {some(missing)}")
    count, other = differing(stage.deployment.features(), events.values())
    yield Finding("every state is what its events make it", not other, f"{count} states; {some(other)}")


def _again(sender: Sender, deadline: float) -> None:
    """Send again what was not decided on, until it is."""
    while sender.undecided and time.monotonic() < deadline:
        sender.run(list(sender.again()))
        if sender.undecided:
            time.sleep(PAUSE)


def _folded(stage: Stage, deadline: float) -> set[str]:
    """Wait until every event is folded; those that are not in the end."""
    events = {*judging.events_of(stage.ledger), *stage.extra}
    told_at = time.monotonic()
    # A look at each of a hundred thousand markers takes a while: first the queue has to be nearly empty.
    while (depth := stage.depth("UpdateQueueUrl")) > 500 and time.monotonic() < deadline:
        if time.monotonic() > told_at + TOLD_EVERY:
            told_at = time.monotonic()
            say(f"  {depth:,} messages left in the queue")
        time.sleep(PAUSE)
    missing = events - stage.folded
    store = stage.deployment.features()
    while (missing := judging.unfolded(store, missing)) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    stage.folded |= events - missing
    return missing


def _waited(done: Callable[[], bool], deadline: float) -> bool:
    return waited(done, within=deadline - time.monotonic(), pause=PAUSE)

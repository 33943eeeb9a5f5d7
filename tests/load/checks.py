"""What has to hold after all that happened, judged from outside.

Answers are held against the ledger, and the ledger against the feature store and the lake.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import msgspec

from fraud.codec import encode
from fraud.decision import NO_STATE, Decision, event_of
from fraud.events import Event
from fraud.features import STANDARD, Key
from fraud.state import State
from ops.deployment import Deployment
from ops.lake import query
from ops.measures import freshness
from runtime.bundles import BundleStore
from runtime.stores.decisions import DECISION
from runtime.stores.features import FeatureStore
from tests.load.generator import AGAIN, Exchange
from tests.load.plan import BROWN_OUT
from tests.load.report import Finding, Row, row_of
from tests.load.told import Told, sealing, told

__all__ = ["Happened", "Line", "balance", "differing", "judged", "ledger_of", "some"]

FOLDED_WITHIN, IN_LAKE_WITHIN = 180.0, 120.0
"""Seconds."""
STALE = 6_000
"""Milliseconds after which a process that is in use looks at the serving document: its interval and a second."""


@dataclass
class Happened:
    """When what was done, in wall-clock milliseconds; how many processes may have been there."""

    promoted: int = 0
    corrupted: int = 0
    rolled_back: int = 0
    processes: int = 0


@dataclass(frozen=True)
class Line:
    """A line of the ledger."""

    answer: str
    digest: str
    row: dict[str, Any]


type Ledger = Mapping[tuple[str, str], Line]
"""By event id and kind."""


def judged(
    deployment: Deployment, exchanges: Sequence[Exchange], happened: Happened
) -> tuple[list[Finding], list[Row]]:
    """What held and what did not, and a row for each phase."""
    items = list(told(exchanges, sealing(deployment.tokeniser())))
    ledger = ledger_of(deployment)
    wanted, lost, doubled = balance(items, ledger)
    answers = {each.event_id for each in items if each.digest and each.decision}
    findings = [
        *_of_answers(exchanges, items),
        Finding("no decision is lost", not lost, f"{len(wanted)} payments; {some(lost)}"),
        Finding("no decision is made twice", not doubled, f"one answer for each; {some(doubled)}"),
        _nothing_else(ledger, answers),
        _reused(items, ledger),
        *_of_degraded(items),
        *_of_models(deployment, ledger, happened),
        *_of_features(deployment, ledger),
        _of_lake(deployment, ledger),
    ]
    phases = list(dict.fromkeys(exchange.call.phase for exchange in exchanges))
    return findings, [row_of(phase, exchanges, items, lost, doubled) for phase in phases]


def balance(items: Sequence[Told], ledger: Ledger) -> tuple[set[str], set[str], set[str]]:
    """The payments that were to be decided on, those that were lost, and those that were decided on twice.

    Lost is what was answered and is not kept with the very bytes, and what was never answered in the end.
    """
    answers: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for each in items:
        if each.digest and each.decision:
            answers[each.event_id].add((each.digest, each.decision))
    wanted = {each.event_id for each in items if each.digest and not _refused(each)}
    lost = {each.event_id for each in items if each.decision and not _kept(each, ledger)}
    doubled = {event_id for event_id, given in answers.items() if len(given) > 1}
    return wanted, lost | (wanted - answers.keys()), doubled


def _refused(each: Told) -> bool:
    """Whether a body is one that is to be refused: that of another payment, or the bad one of a batch."""
    return each.status in (400, 409)


def _kept(each: Told, ledger: Ledger) -> bool:
    line = ledger.get((each.event_id, DECISION))
    return line is not None and line.answer == each.decision and each.digest in ("", line.digest)


def _of_answers(exchanges: Sequence[Exchange], items: Sequence[Told]) -> Iterator[Finding]:
    unanswered = Counter(exchange.error for exchange in exchanges if not exchange.status)
    yield Finding("every call is answered", not unanswered, f"{len(exchanges)} calls; {dict(unanswered)}")
    wrong = Counter(
        (each.exchange.call.phase, each.exchange.call.kind, each.status)
        for each in items
        if each.exchange.status and not _expected(each)
    )
    yield Finding("every status is the documented one", not wrong, f"{len(items)} payments told of; {dict(wrong)}")
    ids = [exchange.request_id for exchange in exchanges if exchange.status]
    held = all(ids) and len(set(ids)) == len(ids)
    yield Finding("every answer has a request id of its own", held, f"{len(set(ids))} ids")
    given = [each for each in items if each.decision]
    odd = sum(
        msgspec.json.encode(msgspec.json.decode(each.decision, type=Decision)).decode() != each.decision
        for each in given
    )
    yield Finding("every decision is one of the contract's", not odd, f"{len(given)} decisions, {odd} are none")
    hasty = sum(exchange.status == 503 and not exchange.retry_after for exchange in exchanges)
    yield Finding("every 503 says when to ask again", not hasty, f"{hasty} do not")


def _expected(each: Told) -> bool:
    call, status = each.exchange.call, each.status
    kind = each.problem.type.rpartition("/")[2] if each.problem else ""
    if status == 503:
        return call.phase in BROWN_OUT and call.method == "POST" and kind == "unavailable"
    match call.kind:
        case "reuse":
            return status == 409 and kind == "id-reused"
        case "stranger":
            return status == 404 and kind == "unknown-transaction"
        case "outcome":
            return status == 202
        case "batch":
            return status == 200 or (
                status == 400 and each.problem is not None and each.problem.field == "currency"
            )
        case _:
            return status == 200


def _nothing_else(ledger: Ledger, answers: Set[str]) -> Finding:
    kept = {event_id for event_id, kind in ledger if kind == DECISION}
    secret = kept - answers
    return Finding(
        "nothing is kept that nobody was told", not secret, f"{len(kept)} decisions kept; {some(secret)}"
    )


def _reused(items: Sequence[Told], ledger: Ledger) -> Finding:
    others = [each for each in items if each.status == 409]
    wrong = {each.event_id for each in others if each.digest == ledger[each.event_id, DECISION].digest}
    detail = f"{len(others)} refused with 409; {some(wrong)}"
    return Finding("only another body is refused as another one", bool(others) and not wrong, detail)


def _of_degraded(items: Sequence[Told]) -> Iterator[Finding]:
    made = {}  # the first answer of each payment is the one that was made then
    for each in items:
        if each.decision and each.exchange.call.phase != AGAIN:
            made.setdefault(each.event_id, each)
    decisions = {name: msgspec.json.decode(each.decision, type=Decision) for name, each in made.items()}
    degraded = {name for name, decision in decisions.items() if decision.degraded}
    outside = Counter(made[name].exchange.call.phase for name in degraded) - Counter(
        made[name].exchange.call.phase for name in degraded if made[name].exchange.call.phase in BROWN_OUT
    )
    yield Finding("only the brown-out degrades", not outside, f"{len(degraded)} degraded; outside {dict(outside)}")
    unmarked = {
        name
        for name in degraded
        if decisions[name].score is not None
        or decisions[name].model is not None
        or [reason.code for reason in decisions[name].reasons] != [NO_STATE]
    }
    unmarked |= {name for name in decisions.keys() - degraded if decisions[name].score is None}
    yield Finding("what is degraded says so, and why", bool(degraded) and not unmarked, some(unmarked))
    refused = [each for each in items if each.status == 503]
    yield Finding("the store was really gone", bool(refused), f"{len(refused)} times a 503, all decided on later")


def _of_models(deployment: Deployment, ledger: Ledger, happened: Happened) -> Iterator[Finding]:
    rows = [line.row for (_, kind), line in ledger.items() if kind == DECISION]
    rows.sort(key=lambda row: row["recorded_at"])
    versions = Counter(row["model_version"] for row in rows)
    early = sum(row["model_version"] == "run-2" and row["recorded_at"] < happened.promoted for row in rows)
    held = set(versions) <= {"", "run-1", "run-2"} and versions["run-2"] > 0 and not early
    yield Finding("no other model decides, and none too early", held, f"{dict(versions)}")
    stale = [
        row["recorded_at"] - happened.promoted
        for row in rows
        if row["model_version"] == "run-1" and row["event_time"] > happened.promoted + STALE
    ]
    detail = (
        f"{len(stale)} answers of the one before after {STALE / 1e3:.0f} s, {max(stale, default=0) / 1e3:.1f} s"
    )
    yield Finding("a swap reaches every process", len(stale) <= 2 * happened.processes, detail)
    store = BundleStore(deployment.client("s3"), deployment["ModelsBucket"])
    models = {version: store.load(version, STANDARD.names) for version in versions if version}
    off = 0
    for row in rows:
        if model := models.get(row["model_version"]):
            vector = [row["features"].get(name, math.nan) for name in STANDARD.names]
            off += model.score(model.row(STANDARD.names, vector)) != (row["raw_score"], row["score"])
    yield Finding(
        "every score is that of the model it names", not off, f"{len(rows)} computed again, {off} differ"
    )


def _of_features(deployment: Deployment, ledger: Ledger) -> Iterator[Finding]:
    events = [event_of(line.row) for line in ledger.values()]
    names = {event.event_id for event in events}
    deadline = time.monotonic() + FOLDED_WITHIN
    while names - (folded := freshness(deployment).keys()) and time.monotonic() < deadline:
        time.sleep(1)
    yield Finding(
        "every event is folded in, and nothing else",
        names == set(folded),
        f"{len(events)} events; missing {some(names - folded)}, unknown {some(folded - names)}",
    )
    count, other = differing(deployment.features(), events)
    yield Finding("every state is what its events make it", not other, f"{count} states, {len(other)} differ")


def differing(store: FeatureStore, events: Iterable[Event]) -> tuple[int, list[str]]:
    """How many states some events make, and the keys of those that are stored otherwise, byte for byte."""
    states: dict[Key, State] = defaultdict(State)
    for event in sorted(events, key=lambda each: each.event_id):
        for key in STANDARD.keys_written(event):
            STANDARD.fold(states[key], key.entity, event)
    stored = store.read(list(states), generation=1)
    nothing = encode(State())
    return len(states), [
        str(key)
        for key, state in states.items()
        if encode(state) != (encode(stored[key].state) if key in stored else nothing)
    ]


def _of_lake(deployment: Deployment, ledger: Ledger) -> Finding:
    wanted = sum(kind == DECISION for _, kind in ledger)
    once = "SELECT DISTINCT event_id, amount FROM decisions"  # Firehose may deliver a row twice
    sql = f"SELECT count(event_id) AS n, sum(amount) AS total FROM ({once})"  # noqa: S608 - a constant of ours
    total = sum(line.row["amount"] for (_, kind), line in ledger.items() if kind == DECISION)
    deadline = time.monotonic() + IN_LAKE_WITHIN
    while True:
        [found] = query(deployment, sql)
        held = int(found["n"]) == wanted and int(float(found["total"] or 0)) == total
        if held or time.monotonic() > deadline:
            return Finding("the lake has them all", held, f"{found['n']} of {wanted} decisions")
        time.sleep(2)


def ledger_of(deployment: Deployment) -> Ledger:
    """Every line that can be read."""
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=deployment["DecisionsTable"], ConsistentRead=True)
    )
    return {
        (item["id"]["S"], item["kind"]["S"]): Line(
            item["answer"]["S"], item["digest"]["S"], msgspec.json.decode(item["row"]["S"])
        )
        for page in pages
        for item in page["Items"]
    }


def some(names: Iterable[str]) -> str:
    """How many of something there are, and the first few."""
    found = sorted(names)
    return f"{len(found)} such" + (f": {', '.join(found[:5])}" if found else "")

"""A day's traffic played in minutes: people by their hours, a flash sale, and attacks of every kind."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from fraud.decision import Decision
from ops import merchants
from ops.deployment import Deployment
from ops.inputs import decision_body
from ops.inputs.campaigns import attacks
from ops.inputs.population import build_population
from ops.inputs.randomness import stream
from ops.inputs.traffic import DAY_MS, Draft, ordinary
from ops.measures import freshness, percentiles
from tests.load import rollout
from tests.load.generator import Exchange, Sender, read_log
from tests.load.plan import Call

__all__ = ["ATTACKS", "MOST_PAYMENTS", "SALE_AT", "Day", "Hour", "as_json", "hours_of", "planned", "played"]

HOURS = 24
MOST_PAYMENTS = 20_000
"""More than this is no day of a local cloud; the run ends by itself in any case."""

START = 1_767_571_200_000  # 2026-01-05T00:00:00Z, a Monday
CUSTOMERS = 600
SALE_AT, SALE_MINUTES, SALE_SHARE = 20.0, 12, 0.10
"""A flash sale of one merchant: when it begins, how long it lasts, and its share of the day's payments."""

ATTACKS: Mapping[str, float] = {
    "card testing": 0.08,
    "bin attack": 0.03,
    "stolen card": 0.03,
    "account takeover": 0.03,
    "ticket resale": 0.01,
}
"""Shares of the day's payments; far more than in life, so that each is seen."""

REPORTED = 0.1
"""Share of payments whose outcome the merchant reports, an hour later."""

WARM = "warm"
"""The phase before midnight, which is not told."""

FOLDED_WITHIN = 120.0
"""Seconds after the last call."""


@dataclass(frozen=True)
class Day:
    """What is to be sent.

    Attributes
    ----------
    calls : sequence of Call
        In the order of their time; the phase is the hour of the day.
    scenarios : mapping of event id to str
        The kind of attack, ``flash sale``, or what ordinary people do.
    """

    calls: Sequence[Call]
    scenarios: Mapping[str, str]


@dataclass(frozen=True)
class Hour:
    """One hour of the day.

    Attributes
    ----------
    busiest : int
        Calls in the busiest ten minutes of the day's time.
    p50, p95, p99 : float
        Milliseconds of a call, as the client saw it.
    errors : int
        Calls without an answer, or with a status of 500 and above.
    fresh_p50, fresh_p99 : float
        Milliseconds from a decision's or report's record to its features.
    waited : float
        The longest that a call waited for a free sender, in ms: what the generator itself could not do.
    """

    hour: str
    calls: int
    busiest: int
    attacks: int
    p50: float
    p95: float
    p99: float
    errors: int
    degraded: int
    fresh_p50: float
    fresh_p99: float
    waited: float


def planned(payments: int, hour_seconds: float, *, seed: int) -> Day:
    """The calls of a day: `payments` of them decide, in 24 times `hour_seconds`.

    Raises
    ------
    ValueError
        If there are more payments than a local cloud plays.
    """
    if not 100 <= payments <= MOST_PAYMENTS:
        raise ValueError(f"payments: between 100 and {MOST_PAYMENTS:,}, not {payments:,}")
    population = build_population(seed, size=CUSTOMERS, days=1.0)
    quotas = {kind: max(1, round(share * payments)) for kind, share in ATTACKS.items()}
    sale = round(SALE_SHARE * payments)
    usual = payments - sum(quotas.values()) - sale
    drafts = ordinary(seed, population, start=START, first_day=0, days=1, rows=usual, sale_day=None)
    drafts += _sale(ordinary(seed + 1, population, start=START, first_day=0, days=1, rows=sale, sale_day=0), seed)
    drafts += attacks(seed, population, start=START, first_day=0, days=1, quotas=quotas)
    rng = stream(seed, "reports")
    calls, scenarios = [], {}
    for draft in drafts:
        made = draft.transaction
        at = (made.event_time - START) / DAY_MS * HOURS
        body = decision_body(made)
        # Everything happens now: the day's own times are in the pace alone.
        body.pop("occurred_at")
        calls.append(_call(at, hour_seconds, "payment", made.merchant_id, "/v1/decisions", body))
        scenarios[made.event_id] = draft.scenario
        if rng.random() < REPORTED and at + 1 < HOURS:
            path = f"/v1/decisions/{made.transaction_id}/outcome"
            calls.append(_call(at + 1, hour_seconds, "outcome", made.merchant_id, path, {"outcome": "declined"}))
    return Day(sorted(calls, key=lambda call: call.at), scenarios)


def played(deployment: Deployment, day: Day, hour_seconds: float, *, threads: int, log: Path) -> list[Hour]:
    """Send a day to a deployment that is new, wait for its features, and tell each hour.

    Raises
    ------
    TimeoutError
        If events are not folded two minutes after the last call.
    """
    rollout.register(deployment, "run-1")
    rollout.promote(deployment, "run-1")
    # What loses its races for a state six times comes again after this long, instead of minutes.
    queue, soon = deployment["UpdateQueueUrl"], {"VisibilityTimeout": "10"}
    deployment.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=soon)
    names = sorted({call.merchant for call in day.calls})
    keys = {name: merchants.add(deployment, name, at=time.time_ns() // 1_000_000).secret for name in names}
    sender = Sender(deployment.api_url, keys, threads, log)
    try:
        # A day begins warm: one process after the other starts before midnight, with payments of the evening.
        warm = [call for call in day.calls if call.kind == "payment"][-threads * (threads + 1) // 2 :]
        sender.ramp([msgspec.structs.replace(call, phase=WARM) for call in warm])
        sent = {(call.path, call.body) for call in warm}
        began = time.time_ns() // 1_000_000
        sender.run([call for call in day.calls if (call.path, call.body) not in sent])
    finally:
        sender.close()
    exchanges = [each for each in read_log(log) if each.call.phase != WARM]
    recorded = {_event(each) for each in exchanges if each.status in (200, 202)}
    deadline = time.monotonic() + FOLDED_WITHIN
    while recorded - (fresh := freshness(deployment)).keys():
        if time.monotonic() > deadline:
            missing = len(recorded - fresh.keys())
            raise TimeoutError(f"{missing} of {len(recorded)} events are not folded {FOLDED_WITHIN:.0f} s later")
        time.sleep(1)
    return hours_of(exchanges, day.scenarios, fresh, began, hour_seconds)


def hours_of(
    exchanges: Sequence[Exchange],
    scenarios: Mapping[str, str],
    fresh: Mapping[str, float],
    began: int,
    hour_seconds: float,
) -> list[Hour]:
    """Each hour of what was sent and answered; hours in which nothing was sent are left out."""
    found = []
    for hour in (f"{number:02d}" for number in range(HOURS)):
        own = [each for each in exchanges if each.call.phase == hour]
        if not own:
            continue
        tenths = [int(each.call.at / hour_seconds % 1 * 6) for each in own]
        took = percentiles([each.milliseconds for each in own] * 2)
        ages = [fresh[name] for each in own if (name := _event(each)) in fresh]
        age = percentiles(ages * 2) if ages else percentiles([0.0, 0.0])
        payments = [each for each in own if each.call.kind == "payment"]
        found.append(
            Hour(
                hour,
                calls=len(own),
                busiest=max(tenths.count(number) for number in range(6)),
                attacks=sum(scenarios.get(_event(each), "") in ATTACKS for each in payments),
                p50=took.p50,
                p95=took.p95,
                p99=took.p99,
                errors=sum(each.status == 0 or each.status >= 500 for each in own),
                degraded=sum(
                    msgspec.json.decode(each.answer, type=Decision).degraded
                    for each in payments
                    if each.status == 200
                ),
                fresh_p50=age.p50,
                fresh_p99=age.p99,
                waited=max(each.sent_at - began - each.call.at * 1_000 for each in own),
            )
        )
    return found


def as_json(hours: Sequence[Hour]) -> list[dict[str, Any]]:
    """The hours as JSON."""
    return [asdict(hour) for hour in hours]


def _sale(drafts: Sequence[Draft], seed: int) -> list[Draft]:
    """The same payments, all within the minutes of the sale and more at its beginning."""
    rng = stream(seed, "sale")
    moved = []
    for draft in drafts:
        minutes = min(rng.expovariate(3 / SALE_MINUTES), float(SALE_MINUTES))
        at = START + round((SALE_AT + minutes / 60) / HOURS * DAY_MS)
        moved.append(Draft(msgspec.structs.replace(draft.transaction, event_time=at), "flash sale"))
    return moved


def _call(at: float, hour_seconds: float, kind: Any, merchant: str, path: str, body: dict[str, Any]) -> Call:
    text = msgspec.json.encode(body).decode()
    return Call(f"{int(at):02d}", at * hour_seconds, kind, merchant, "POST", path, text)


def _event(exchange: Exchange) -> str:
    """The id of the event that a call records."""
    call = exchange.call
    if call.kind == "payment":
        named: str = msgspec.json.decode(call.body)["transaction_id"]
        return f"{call.merchant}/{named}"
    told: str = msgspec.json.decode(call.body)["outcome"]
    return f"{call.merchant}/{call.path.split('/')[3]}#{told}"

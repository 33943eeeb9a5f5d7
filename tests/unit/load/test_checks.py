"""The checks of the load test find what they are there to find."""

from typing import Any

import msgspec
import pytest

from runtime.api import body_digest
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from tests.load.checks import Line, balance
from tests.load.generator import Exchange
from tests.load.plan import BROWN_OUT, PHASES, Call, Planner
from tests.load.told import Told, sealing, told
from tests.unit.lambdas import deciding
from tests.unit.lambdas.deciding import TOKENS, decide, scorer

BODY = '{"transaction_id":"t-1","amount":1}'
OTHER = '{"transaction_id":"t-1","amount":2}'
LEDGER = {("shop/t-1", DECISION): Line("answer", body_digest(BODY.encode()), {})}
DIGEST = sealing(TOKENS)
PROBLEM = '{"type":"/problems/x","title":"x","status":%d,"detail":"x","request_id":"r"}'


def seen(status: int = 200, answer: str = "answer", body: str = BODY) -> list[Told]:
    call = Call("steady", 0.0, "payment", "shop", "POST", "/v1/decisions", body)
    exchange = Exchange(call, 0, 0, 1.0, status, answer if status == 200 else PROBLEM % status)
    return list(told([exchange], DIGEST))


@pytest.mark.parametrize(
    ("items", "lost", "doubled"),
    [
        (seen(), False, False),
        (seen() + seen(), False, False),
        (seen(503) + seen(), False, False),
        (seen() + seen(409, body=OTHER), False, False),
        (seen(503), True, False),
        (seen(answer="others"), True, False),
        (seen() + seen(answer="others"), True, True),
        (seen() + seen(body=OTHER), True, True),
    ],
    ids=["once", "again", "later", "other refused", "never", "not kept", "two answers", "other taken"],
)
def test_what_is_lost_and_what_is_doubled_is_found(items: list[Told], lost: bool, doubled: bool) -> None:
    found = balance(items, LEDGER)
    assert found == ({"shop/t-1"}, {"shop/t-1"} if lost else set(), {"shop/t-1"} if doubled else set())


def test_what_the_ledger_lost_is_found() -> None:
    assert balance(seen(), {})[1] == {"shop/t-1"}


def test_each_payment_of_a_batch_is_told_with_its_own_bytes() -> None:
    body = f'{{"decisions":[{BODY},{{"transaction_id":"t-2"}}]}}'
    answer = (
        f'{{"results":[{{"status":200,"decision":{{ "odd":  1}}}},{{"status":503,"problem":{PROBLEM % 503}}}]}}'
    )
    call = Call("steady", 0.0, "batch", "shop", "POST", "/v1/decisions/batch", body)
    first, second = told([Exchange(call, 0, 0, 1.0, 200, answer)], DIGEST)
    assert (first.event_id, first.digest, first.decision) == (
        "shop/t-1",
        body_digest(BODY.encode()),
        '{ "odd":  1}',
    )
    assert (second.event_id, second.status, second.decision) == ("shop/t-2", 503, "")


def test_a_digest_is_the_one_that_the_ledger_keeps() -> None:
    ledger = MemoryDecisionStore()
    decide(scorer(ledger=ledger))
    kept = ledger.get("acme/order-1001", DECISION)
    assert kept is not None
    assert DIGEST("acme", deciding.body()) == kept.digest != DIGEST("acme", deciding.body(amount=1))


def test_the_same_seed_plans_the_same_calls_and_every_kind_of_them() -> None:
    def planned(seed: int) -> list[Call]:
        planner = Planner(("east", "west"), seed=seed, rate=8.0)
        return [call for phase in PHASES for call in planner.calls(phase)]

    calls = planned(1)
    assert calls == planned(1) != planned(2)
    assert len({call.kind for call in calls}) == 8
    assert {call.phase for call in calls} > BROWN_OUT


def test_reads_and_retries_are_of_payments_that_an_earlier_phase_decided_on() -> None:
    planner = Planner(("east", "west"), seed=3, rate=8.0)
    first_sent: dict[str, str] = {}
    for phase in PHASES:
        calls = planner.calls(phase)
        retried: list[Any] = [msgspec.json.decode(call.body) for call in calls if call.kind in ("retry", "reuse")]
        for body in retried:
            assert first_sent[body["transaction_id"]] not in (phase.name, *BROWN_OUT)
        for call in calls:
            if call.kind in ("payment", "twins"):
                first_sent.setdefault(msgspec.json.decode(call.body)["transaction_id"], phase.name)
            if call.kind == "batch":
                for body in msgspec.json.decode(call.body)["decisions"]:
                    first_sent.setdefault(body["transaction_id"], phase.name)

"""A drill can fail: what is planted into an answer, the ledger or a state is found."""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
import pytest

from fraud.decision import event_of
from fraud.events import Event
from fraud.features import STANDARD
from fraud.state import State
from runtime.api import body_digest
from runtime.stores.decisions import DECISION
from runtime.stores.features import Marker, MemoryFeatureStore, Versioned
from tests.drills.events import made_up
from tests.drills.judging import Balance, answers, secret, unfolded, unkept
from tests.load.checks import Line, differing
from tests.load.generator import Exchange
from tests.load.plan import Call
from tests.load.told import Told, told

NOW = 1_700_000_000_000
PROBLEM = '{"type":"/problems/unavailable","title":"x","status":%d,"detail":"x","request_id":"r"}'


def payment(name: str) -> str:
    return msgspec.json.encode({"transaction_id": name, "amount": 1}).decode()


def call(name: str, kind: str = "payment") -> Call:
    if kind == "outcome":
        path = f"/v1/decisions/{name}/outcome"
        return Call("d", 0.0, "outcome", "shop", "POST", path, '{"outcome":"declined"}')
    return Call("d", 0.0, "payment", "shop", "POST", "/v1/decisions", payment(name))


def exchange(name: str, status: int = 200, answer: str = "answer", *, kind: str = "payment") -> Exchange:
    wait = "1" if status == 503 else ""
    given = answer if status < 400 else PROBLEM % status
    return Exchange(call(name, kind), 0, 0, 1.0, status, given, "r", wait)


def items(*exchanges: Exchange) -> list[Told]:
    return list(told(exchanges, lambda _merchant, body: body_digest(body)))


def ledger(**answers_: str) -> dict[tuple[str, str], Line]:
    return {
        (f"shop/{name}", DECISION): Line(answer, body_digest(payment(name).encode()), {})
        for name, answer in answers_.items()
    }


def test_what_was_answered_and_is_kept_is_neither_lost_nor_doubled() -> None:
    assert Balance().add(items(exchange("a"), exchange("a")), ledger(a="answer")) == (set(), set())


@pytest.mark.parametrize(
    ("exchanges", "kept"),
    [
        ([exchange("a")], {}),
        ([exchange("a")], {"a": "another"}),
        ([exchange("a", 503)], {}),
        ([exchange("a", 0)], {"a": "answer"}),
    ],
    ids=["not kept", "kept otherwise", "refused for good", "never answered"],
)
def test_a_planted_loss_is_found(exchanges: list[Exchange], kept: dict[str, str]) -> None:
    assert Balance().add(items(*exchanges), ledger(**kept)) == ({"shop/a"}, set())


def test_a_planted_double_decision_is_found_even_if_it_comes_drills_later() -> None:
    balance = Balance()
    assert balance.add(items(exchange("a")), ledger(a="answer")) == (set(), set())
    lost, doubled = balance.add(items(exchange("a", answer="another")), ledger(a="answer"))
    assert (lost, doubled) == ({"shop/a"}, {"shop/a"})
    assert balance.add(items(exchange("b")), ledger(a="answer", b="answer")) == (set(), set())


def test_a_decision_that_nobody_was_told_is_found() -> None:
    assert secret(ledger(a="answer", b="answer"), items(exchange("a"))) == {"shop/b"}


def test_a_lost_outcome_is_found() -> None:
    given = items(exchange("a", 202, kind="outcome"), exchange("b", 202, kind="outcome"))
    kept = {("shop/a", "outcome#1"): Line("", "", {})}
    assert unkept(given, kept) == {"shop/b"}


@pytest.mark.parametrize(
    ("status", "cut_off", "held"),
    [(200, False, True), (503, False, True), (500, False, False), (0, False, False), (502, True, True)],
)
def test_a_call_that_is_cut_off_holds_only_where_a_process_was_killed(
    status: int, cut_off: bool, held: bool
) -> None:
    documented, _ = answers([exchange("a", status)], cut_off=cut_off)
    assert documented.held is held


def test_a_503_that_does_not_say_when_to_ask_again_is_found() -> None:
    [_, hasty] = answers([msgspec.structs.replace(exchange("a", 503), retry_after="")], cut_off=False)
    assert not hasty.held


def rows(count: int) -> list[Mapping[str, Any]]:
    random = Random(0)
    return [made_up(f"t-{number}", random, NOW) for number in range(count)]


def fold(store: MemoryFeatureStore, event: Event) -> None:
    """Fold an event as update_features does, whether or not it was before."""
    keys = STANDARD.keys_written(event)
    found = store.read(keys, generation=1)
    states = {key: found.get(key) or Versioned(State()) for key in keys}
    for key, versioned in states.items():
        STANDARD.fold(versioned.state, key.entity, event)
    marker = Marker(f"{event.event_id}{len(found)}{NOW}", "digest", NOW, NOW)
    store.write([marker], {1: states}, expires_at=NOW)


@pytest.mark.parametrize("planted", ["nothing", "a loss", "a double"])
def test_a_state_that_is_not_what_its_events_make_it_is_found(planted: str) -> None:
    store, events = MemoryFeatureStore(), [event_of(row) for row in rows(3)]
    for event in events[1:] if planted == "a loss" else events:
        fold(store, event)
    if planted == "a double":
        fold(store, events[0])
    count, other = differing(store, events)
    assert count > 3
    assert bool(other) is (planted != "nothing")


def test_an_event_that_was_not_folded_is_found() -> None:
    store = MemoryFeatureStore()
    store.write([Marker("here", "digest", NOW, NOW)], {}, expires_at=NOW)
    assert unfolded(store, ["here", "gone"]) == {"gone"}

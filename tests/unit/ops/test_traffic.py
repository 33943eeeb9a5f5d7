"""Replaying: bursts one after the other, each call as the merchant would make it, and what it took."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.events import Label, Transaction
from ops.client import Reply
from ops.inputs import Burst
from ops.measures import latencies, latency_table, percentiles
from ops.traffic import Arrival, Exchange, Freshness, Replayed, replay
from runtime.stores.features import Marker, MemoryFeatureStore

NOON = 1_770_000_000_000


def payment(number: int) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        merchant_id="shop",
        event_time=NOON + number,
        amount=100,
        currency="EUR",
        card=f"card_{number}",
        customer="u",
    )


LABEL = Label(transaction=payment(1), kind="chargeback", known_at=NOON + 10_000)


class Api:
    """Answers as told, and notes every call."""

    def __init__(self, statuses: Mapping[str, int] | None = None) -> None:
        self.statuses = statuses or {}
        self.calls: list[tuple[str, str, dict[str, Any], int | None]] = []
        self._lock = threading.Lock()

    def post(self, merchant_id: str, path: str, body: dict[str, Any], *, at: int | None = None) -> Reply:
        with self._lock:
            self.calls.append((merchant_id, path, body, at))
        return Reply(self.statuses.get(body["transaction_id"], 200), b"{}", 10.0, 3.0, 2.0)


def test_calls_carry_the_time_that_they_had() -> None:
    api = Api()
    done = replay(api, [Burst(NOON, (payment(1),)), Burst(NOON, (LABEL,))], threads=1)  # type: ignore[arg-type]
    (first, second) = api.calls
    assert (first[0], first[1], first[3]) == ("shop", "/v1/decisions", NOON + 1)
    assert (second[1], second[3]) == ("/v1/labels", NOON + 10_000)
    assert "occurred_at" in first[2]
    assert "known_at" in second[2]
    assert [each.sent for each in done.decisions] == [payment(1)]
    assert [each.sent for each in done.labels] == [LABEL]
    assert done.seconds > 0


def test_live_calls_carry_no_time_at_all() -> None:
    api = Api()
    replay(api, [Burst(NOON, (payment(1), LABEL))], threads=1, live=True)  # type: ignore[arg-type]
    for _, _, body, at in api.calls:
        assert at is None
        assert not body.keys() & {"occurred_at", "known_at"}


def test_the_next_burst_waits_until_the_one_before_has_settled() -> None:
    api = Api({"t2": 503})
    settled: list[tuple[int, list[str]]] = []
    counted: list[int] = []

    def settle(arrivals: Any) -> None:
        settled.append((len(api.calls), [event.event_id for event in arrivals]))

    begun: list[tuple[int, str]] = []

    def before(event: Any) -> None:
        begun.append((len(api.calls), event.event_id))

    bursts = [Burst(NOON, (payment(1), payment(2), payment(3))), Burst(NOON, (payment(4),))]
    replay(api, bursts, threads=3, before=before, settle=settle, progress=counted.append)  # type: ignore[arg-type]
    assert begun == [(0, "shop/t1"), (3, "shop/t4")]
    # A refused call will never be among the features: nobody waits for it.
    assert settled == [(3, ["shop/t1", "shop/t3"]), (4, ["shop/t4"])]
    assert counted == [3, 4]


def test_the_calls_of_a_burst_are_under_way_at_once() -> None:
    together = threading.Barrier(3, timeout=10)

    class Meeting(Api):
        def post(self, merchant_id: str, path: str, body: dict[str, Any], *, at: int | None = None) -> Reply:
            together.wait()
            return super().post(merchant_id, path, body, at=at)

    burst = Burst(NOON, tuple(payment(number) for number in range(3)))
    assert len(replay(Meeting(), [burst], threads=3).exchanges) == 3  # type: ignore[arg-type]


def test_freshness_waits_for_labels_and_payments_alike() -> None:
    store = MemoryFeatureStore()
    arrivals: list[Arrival] = [payment(2), LABEL]
    wait = threading.Thread(target=Freshness(store, patience=30), args=(arrivals,))
    wait.start()
    store.commit([Marker("shop/t2", "d", 1, 2)], {}, expires_at=1)
    wait.join(0.1)
    assert wait.is_alive(), "the label is not folded yet"
    store.commit([Marker(LABEL.event_id, "d", 1, 2)], {}, expires_at=1)
    wait.join(10)
    assert not wait.is_alive()


def test_freshness_asks_nothing_twice_when_nothing_was_sent() -> None:
    Freshness(MemoryFeatureStore(), patience=30)([])


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=300))
def test_percentiles_are_those_that_everybody_computes(values: list[float]) -> None:
    found = percentiles(values)
    expected = np.percentile(values, [50, 95, 99])
    assert [found.p50, found.p95, found.p99] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)


def _done() -> Replayed:
    replies = [Reply(200, b"{}", 10.0 + number, 3.0, 2.0) for number in range(3)]
    exchanges = [Exchange(payment(number), reply) for number, reply in enumerate(replies)]
    exchanges.append(Exchange(payment(9), Reply(500, b"{}", 999.0, 0.0, 0.0)))
    exchanges.append(Exchange(LABEL, Reply(202, b"{}", 777.0, 0.0, 0.0)))
    return Replayed(exchanges, 1.0)


def test_a_latency_falls_apart_into_its_parts() -> None:
    found = latencies(_done())
    assert found["whole call"] == [10.0, 11.0, 12.0]
    parts = [found[name] for name in found if name != "whole call"]
    assert [sum(values) for values in zip(*parts, strict=True)] == found["whole call"]


def test_the_table_has_a_row_a_part_and_none_for_too_few_calls() -> None:
    table = latency_table(_done())
    assert table.row_count == 4
    assert next(iter(table.columns[1].cells)) == "11.0"
    assert latency_table(Replayed([_done().exchanges[0]], 1.0)).row_count == 0

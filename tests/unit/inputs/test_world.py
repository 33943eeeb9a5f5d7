"""The generated world: reproducible, ordered, honest about what was known when."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from fraud.cards import is_card_number
from ops.inputs import Row, World, WorldOptions, build_world, from_frame, to_frame

DAY = 86_400_000


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def as_bytes(world: World) -> bytes:
    rows = [(row.transaction, row.is_fraud, row.known_at, row.kind, row.scenario) for row in world.rows]
    return msgspec.json.encode(rows)


def small(seed: int, **settings: object) -> World:
    sizes: dict[str, object] = {
        "customers": 60,
        "history_rows": 300,
        "live_rows": 200,
        "history_fraud": {"card testing": 20},
        "live_fraud": {"account takeover": 12},
    }
    return build_world(seed, WorldOptions(**(sizes | settings)))  # type: ignore[arg-type]


def fraud_rate(rows: tuple[Row, ...]) -> float:
    return sum(bool(row.is_fraud) for row in rows) / len(rows)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    assert as_bytes(small(7)) == as_bytes(small(7))
    assert as_bytes(small(7)) != as_bytes(small(8))


def test_more_campaigns_leave_the_ordinary_customers_alone() -> None:
    few, more = small(7), small(7, history_rows=320, history_fraud={"card testing": 20, "stolen card": 20})

    def genuine(world: World) -> list[object]:
        return [row.transaction for row in world.history if not row.is_fraud]

    assert genuine(few) == genuine(more)


def test_sizes_span_and_merchants(world: World) -> None:
    assert (len(world.history), len(world.live)) == (12_000, 3_000)
    assert Counter(row.transaction.merchant_id for row in world.live).keys() == set(world.merchants)
    first, last = world.history[0].transaction.event_time, world.live[-1].transaction.event_time
    assert 41 * DAY <= world.live_from - first <= 42 * DAY
    assert 10 * DAY <= last - world.live_from <= 12 * DAY


def test_rows_are_in_the_order_of_events_and_ids_are_unique(world: World) -> None:
    orders = [row.order for row in world.rows]
    assert orders == sorted(orders)
    assert len({row.transaction.event_id for row in world.rows}) == len(world.rows)
    assert world.history[-1].transaction.event_time < world.live_from <= world.live[0].transaction.event_time


def test_fraud_is_rare_and_changes_its_face_in_the_live_part(world: World) -> None:
    assert 0.03 <= fraud_rate(world.history) <= 0.05
    assert 0.04 <= fraud_rate(world.live) <= 0.07
    before = Counter(row.scenario for row in world.history if row.is_fraud)
    after = Counter(row.scenario for row in world.live if row.is_fraud)
    new = ("account takeover", "ticket resale", "bin attack")
    assert sum(before[kind] for kind in new) / before.total() < 0.05
    assert sum(after[kind] for kind in new) / after.total() > 0.6


def test_new_kinds_of_fraud_appear_both_early_and_late_in_the_live_part(world: World) -> None:
    cut = world.live[int(len(world.live) * 0.65)].transaction.event_time
    for kind in ("account takeover", "ticket resale", "bin attack"):
        times = [row.transaction.event_time for row in world.live if row.scenario == kind]
        assert sum(time < cut for time in times) >= 5, kind
        assert sum(time >= cut for time in times) >= 5, kind


def test_labels_arrive_late_and_most_of_them_within_the_live_part(world: World) -> None:
    end = world.live[-1].transaction.event_time
    frauds = [row for row in world.live if row.is_fraud]
    delays = sorted(row.known_at - row.transaction.event_time for row in frauds if row.known_at)
    assert len(delays) == len(frauds)
    assert delays[0] > 3_600_000
    assert 6 * 3_600_000 < delays[len(delays) // 2] < 3 * DAY
    known = sum(row.known_at <= end for row in frauds if row.known_at) / len(frauds)
    assert 0.7 <= known < 1.0
    assert {row.kind for row in frauds} == {"confirmed_fraud", "chargeback"}


def test_only_reported_rows_have_labels_and_genuine_rows_do_too(world: World) -> None:
    reported = [row for row in world.live if row.label is not None]
    assert all(row.label is not None for row in world.live if row.is_fraud)
    genuine = [row for row in reported if not row.is_fraud]
    assert 0.05 < len(genuine) / len(world.live) < 0.25
    silent = next(row for row in world.live if row.kind is None)
    assert silent.is_fraud is False
    assert silent.known_at == silent.transaction.event_time + 3 * DAY


def test_hard_negatives_are_there_and_genuine(world: World) -> None:
    kinds = Counter(row.scenario for row in world.rows if not row.is_fraud)
    for kind in ("game burst", "retry", "big ticket", "agency", "travel", "gift abroad", "new phone"):
        assert kinds[kind] >= 20, kind


def test_some_cards_are_used_in_bursts_by_thieves_and_by_honest_people(world: World) -> None:
    recent: dict[str, list[int]] = {}
    bursts: Counter[bool] = Counter()
    for row in world.live:
        times = recent.setdefault(row.transaction.card, [])
        times[:] = [time for time in times if time > row.transaction.event_time - 3_600_000]
        times.append(row.transaction.event_time)
        bursts[bool(row.is_fraud)] += len(times) == 3
    assert bursts[True] >= 5
    assert bursts[False] >= 5


def test_no_value_reads_as_a_card_number_or_a_real_address(world: World) -> None:
    allowed_ip = re.compile(r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}|2001:db8:[0-9a-f:]+")
    for row in world.rows:
        transaction = row.transaction
        for value in msgspec.structs.astuple(transaction):
            assert not is_card_number(str(value)) or value == transaction.event_time
        for token in (transaction.transaction_id, transaction.card, transaction.customer, transaction.device):
            assert not re.search(r"\d", token)
        assert not transaction.email or transaction.email.endswith("@example.com")
        assert not transaction.ip or allowed_ip.fullmatch(transaction.ip)
        assert not transaction.bin or transaction.bin.startswith("9")


def test_a_world_survives_the_trip_through_a_frame() -> None:
    rows = small(7).live
    back = list(from_frame(to_frame(rows)))
    assert [row.transaction for row in back] == [row.transaction for row in rows]
    assert [(row.is_fraud, row.known_at) for row in back] == [(row.is_fraud, row.known_at) for row in rows]


def test_the_sale_is_the_first_live_weekend(world: World) -> None:
    days = Counter((row.transaction.event_time - world.live_from) // DAY for row in world.live if not row.is_fraud)
    start = datetime.fromtimestamp(world.live_from / 1_000, UTC)
    weekend = [day for day in sorted(days) if (start + timedelta(days=day)).weekday() >= 5][:2]
    assert {day for day, _ in days.most_common(2)} == set(weekend)


def test_customers_pay_at_their_hours_and_not_all_night(world: World) -> None:
    hours = Counter(row.transaction.event_time % DAY // 3_600_000 for row in world.history)
    assert sum(hours[hour] for hour in (1, 2, 3, 4)) < 0.3 * sum(hours[hour] for hour in (17, 18, 19, 20))


def test_more_fraud_than_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="raise live_rows"):
        WorldOptions(live_rows=10, live_fraud={"card testing": 10})


def test_a_world_starts_on_a_monday() -> None:
    monday = WorldOptions().start
    assert WorldOptions(start=monday + 7 * DAY).start == monday + 7 * DAY
    with pytest.raises(ValueError, match="start must be midnight UTC of a Monday"):
        WorldOptions(start=monday + DAY)


def test_a_world_can_be_moved_in_time_and_stays_the_same() -> None:
    later = 3 * 7 * DAY
    here, there = small(7), small(7, start=WorldOptions().start + later)
    assert there.live_from == here.live_from + later
    assert [row.transaction.event_time + later for row in here.rows] == [
        row.transaction.event_time for row in there.rows
    ]

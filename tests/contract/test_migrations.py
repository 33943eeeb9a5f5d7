"""States in another form, rewritten beside live traffic: the same states as one fold, whoever wins which race."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.codec import FORMS, VERSION, CorruptStateError, decode, encode
from fraud.events import Event
from fraud.features import STANDARD, Key
from fraud.features.standard import PAYMENTS
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from ops.migrating.errors import MigrationError
from ops.migrating.states import count, migrate
from runtime.stores.features import DynamoFeatureStore, FeatureStore, Marker, MemoryFeatureStore, Versioned
from runtime.stores.generations import Generations
from tests.contract.forms import NEXT, known
from tests.contract.tables import fresh_tables
from tests.contract.worlds import Killed, World, packed, reference, split
from tests.unit.fraud.strategies import histories, world

CARD, OTHER = Key("card", "card_a"), Key("card", "card_b")
NOON = 1_770_000_000_000
EXPIRY = 2_000_000_000

type Tables = tuple[Any, Callable[[], str]]


@pytest.fixture(scope="module", autouse=True)
def both_forms() -> Iterator[None]:
    with known():
        yield


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with fresh_tables() as made:
        yield made


class Slow:
    """A client with something that happens before each write; without a lock, threads would do it at once."""

    def __init__(self, client: Any, before: Callable[[], None]) -> None:
        self.scan = client.scan
        self._client, self._before = client, before
        self._lock = threading.Lock()

    def update_item(self, **asked: Any) -> Any:
        with self._lock:
            self._before()
            return self._client.update_item(**asked)


def state(amount: int) -> State:
    made = State()
    made.add(STANDARD.layouts["card"], PAYMENTS.slot, amount, NOON)
    return made


def forms(client: Any, table: str) -> dict[int, int]:
    return dict(count(client, table, progress=lambda *_: None))


def run(client: Any, table: str, to: int = NEXT, *, now: list[int] | None = None, **more: Any) -> Any:
    """A migration from a process of its own, for which time passes only where it waits."""
    moment = now if now is not None else [NOON]

    def sleep(seconds: float) -> None:
        moment[0] += round(seconds * 1_000)

    asked: dict[str, Any] = {"clock": lambda: moment[0], "sleep": sleep, **more}
    return migrate(DynamoFeatureStore(client, table, consistent=True), client, table, to, **asked)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, tables: Tables) -> FeatureStore:
    if request.param == "memory":
        return MemoryFeatureStore()
    return DynamoFeatureStore(tables[0], tables[1](), consistent=True)


def test_states_are_written_in_the_form_that_was_announced_and_read_in_every_form(store: FeatureStore) -> None:
    store.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(state(5))}, expires_at=EXPIRY)
    now, _ = store.look(())
    assert now.form == VERSION, "code that replaces older code writes what that reads"
    store.change(now, msgspec.structs.replace(now, form=NEXT, form_since=7))
    store.look(())
    store.commit([Marker("e2", "d", 1, 2)], {OTHER: Versioned(state(6))}, expires_at=EXPIRY)
    assert store.read([CARD, OTHER]) == {CARD: Versioned(state(5), 1), OTHER: Versioned(state(6), 1)}
    assert store.look(())[0] == Generations(revision=1, form=NEXT, form_since=7)


def test_a_form_that_this_code_does_not_know_stops_it_loudly(store: FeatureStore) -> None:
    store.change(Generations(), Generations(form=9))
    store.look(())
    with pytest.raises(ValueError, match=f"version 9 and this code knows version {VERSION} and {NEXT}"):
        store.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(state(5))}, expires_at=EXPIRY)
    assert (store.read([CARD]), store.digests(["e1"])) == ({}, {})


@given(
    events=histories(most=14),
    imported=st.integers(0, 5),
    seed=st.integers(0, 2**32),
    kills=st.sets(st.integers(1, 12), max_size=3),
    back=st.booleans(),
)
@settings(max_examples=6)
def test_the_states_are_those_of_one_fold(
    tables: Tables, events: list[Event], imported: int, seed: int, kills: set[int], back: bool
) -> None:
    """Events come before every write of a migration, which is killed at some of them; and perhaps it is undone."""
    client, name = tables
    table = name()
    live = World(DynamoFeatureStore(client, table, consistent=True), *split(events, imported), seed)
    live.something()
    writes = Counter[str]()

    def before() -> None:
        writes["all"] += 1
        live.something()
        if writes["all"] in kills:
            raise Killed

    def whole(to: int) -> None:
        while True:
            try:
                migrate(
                    DynamoFeatureStore(client, table, consistent=True),
                    Slow(client, before),
                    table,
                    to,
                    clock=lambda: live.now,
                    sleep=live.sleep,
                )
            except Killed:
                live.something()
            else:
                return

    whole(NEXT)
    assert set(forms(client, table)) <= {NEXT}
    live.finish()
    assert live.stored(None) == live.expected()
    assert forms(client, table) == ({NEXT: len(live.expected())} if live.expected() else {})
    if back:
        whole(VERSION)
        assert set(forms(client, table)) <= {VERSION}
        assert live.stored(None) == live.expected()


def test_racing_threads_lose_nothing(tables: Tables) -> None:
    client, name = tables
    table = name()
    events = world(3, 24)
    raced(client, table, events)
    found = DynamoFeatureStore(client, table, consistent=True)
    expected = reference(events)
    assert packed({key: each.state for key, each in found.read(sorted(expected)).items()}) == packed(expected)
    assert set(forms(client, table)) == {NEXT}
    assert len(found.digests([event.event_id for event in events])) == len(events)


def raced(client: Any, table: str, events: Sequence[Event]) -> None:
    """Fold events in threads, each of them twice, while states are migrated there and back, and then for good."""
    deliveries = [Delivery(event.event_id, event, NOON) for event in events]

    def fold(part: Sequence[Delivery]) -> None:
        store = DynamoFeatureStore(client, table, consistent=True)
        waiting = [*part, *part]
        while waiting:
            batch, waiting = waiting[:4], waiting[4:]
            failed = set(Updater(STANDARD, store, lambda: NOON, lambda _attempt: None).apply(batch).failed)
            waiting += [each for each in batch if each.message_id in failed]

    fold(deliveries[:9])
    with ThreadPoolExecutor(3) as pool:
        folding = [pool.submit(fold, deliveries[9 + start :: 3]) for start in range(3)]
        for to in (NEXT, VERSION):
            # Whoever looked before the announcement may write the form before for a lease: here, until it is done.
            while True:
                try:
                    run(client, table, to)
                except MigrationError:
                    continue
                break
        for each in folding:
            each.result()
    run(client, table)


def test_a_rewritten_state_keeps_its_version_so_that_a_fold_under_way_is_not_lost(tables: Tables) -> None:
    client, name = tables
    table = name()
    store = DynamoFeatureStore(client, table, consistent=True)
    store.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(state(5))}, expires_at=EXPIRY)
    under_way = store.read([CARD])[CARD]
    assert run(client, table).rewritten == 1
    kept = client.get_item(TableName=table, Key={"key": {"S": f"s1#{CARD}"}})["Item"]
    assert kept["state"]["B"][0] == NEXT
    assert (kept["version"], kept["expires_at"]) == ({"N": "1"}, {"N": str(EXPIRY)})
    under_way.state.add(STANDARD.layouts["card"], PAYMENTS.slot, 6, NOON)
    store.look(())
    store.commit([Marker("e2", "d", 1, 2)], {CARD: under_way}, expires_at=EXPIRY)
    assert store.read([CARD])[CARD].version == 2
    assert forms(client, table) == {NEXT: 1}


def test_who_looked_before_the_announcement_may_write_the_old_form_until_the_lease_is_over(tables: Tables) -> None:
    client, name = tables
    table, now = name(), [NOON]
    late = DynamoFeatureStore(client, table, consistent=True)
    late.look(())
    seen = list[int]()

    def progress(what: str, _done: int, _all: int) -> None:
        if what == "wait" and not seen:
            seen.append(now[0])
            late.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(state(5))}, expires_at=EXPIRY)

    done = run(client, table, now=now, progress=progress, lease=60_000)
    assert (done.rewritten, seen) == (1, [NOON])
    assert now[0] >= NOON + 60_000
    assert late.read([CARD]) == {CARD: Versioned(state(5), 1)}
    assert forms(client, table) == {NEXT: 1}


def test_what_is_no_state_is_named_and_left(tables: Tables) -> None:
    client, name = tables
    table = name()
    store = DynamoFeatureStore(client, table, consistent=True)
    store.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(state(5))}, expires_at=EXPIRY)
    broken = {"key": {"S": f"s1#{OTHER}"}, "state": {"B": b"\2broken"}, "version": {"N": "1"}}
    client.put_item(TableName=table, Item=broken)
    done = run(client, table)
    assert (done.rewritten, done.unreadable) == (1, {f"s1#{OTHER}"})
    assert client.get_item(TableName=table, Key={"key": broken["key"]})["Item"] == broken


def test_throttled_writes_come_again_and_an_unknown_form_is_refused(tables: Tables) -> None:
    client, name = tables
    table = name()
    store = DynamoFeatureStore(client, table, consistent=True)
    store.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(state(5))}, expires_at=EXPIRY)
    with pytest.raises(MigrationError, match=f"it knows {VERSION} and {NEXT}"):
        run(client, table, 9)
    assert store.look(())[0].form == VERSION
    refusals = ["ThrottlingException", "TransactionConflictException"]

    def refuse() -> None:
        if refusals:
            raise ClientError({"Error": {"Code": refusals.pop(), "Message": ""}}, "UpdateItem")

    moment = [NOON]
    done = migrate(
        store, Slow(client, refuse), table, NEXT, clock=lambda: moment[0], sleep=lambda _s: None, lease=0
    )
    assert (done.rewritten, done.later) == (1, 2)
    refusals = ["ThrottlingException"] * 99
    with pytest.raises(MigrationError, match="still there after 8 looks"):
        migrate(store, Slow(client, refuse), table, VERSION, clock=lambda: NOON, sleep=lambda _s: None, lease=0)


def test_the_last_release_reads_what_this_one_writes_until_the_switch() -> None:
    assert encode(state(5))[0] == VERSION
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(FORMS, NEXT)
        assert decode(encode(state(5))) == state(5)
        with pytest.raises(ValueError, match="deploy a release that does"):
            encode(state(5), NEXT)
    written = encode(state(5), NEXT)
    assert decode(written, shared=True) == state(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(FORMS, NEXT)
        with pytest.raises(CorruptStateError, match=f"version {NEXT} and this code reads version {VERSION};"):
            decode(written)

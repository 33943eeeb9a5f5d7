"""Folding and replaying: what is told of events that come too late, and the order in which history is replayed."""

from collections import defaultdict

from fraud.events import Event, Label, Outcome
from fraud.features import STANDARD, FeatureSet, Key
from fraud.features.definitions import DECLINES, VERDICTS, Aggregation, Reason, WindowFeature
from fraud.features.standard import CARD
from fraud.replay import arrival, fold, replay
from fraud.state import State
from fraud.windows import DAY, HOUR, Window
from tests.unit.fraud.strategies import START, follow_up, payment, same, world

WHY = Reason("TEST", "A test")


def _states(*events: Event) -> dict[Key, State]:
    states: dict[Key, State] = defaultdict(State)
    for event in events:
        assert fold(event, states)
    return states


def test_an_event_that_no_state_keeps_is_told_as_late() -> None:
    states = _states(payment("new", at=START))
    assert not fold(payment("ancient", at=START - 200 * DAY), states)


def test_an_event_that_one_of_its_states_keeps_is_not_late() -> None:
    states = _states(payment("new", at=START))
    assert fold(payment("old", at=START - 20 * DAY), states), "the card keeps it, the merchant's hours do not"


def test_an_event_that_one_series_of_a_state_keeps_is_not_late() -> None:
    """Whichever comes last among them."""
    long, short = (
        WindowFeature(CARD, Aggregation.COUNT, over, Window.of(length), WHY, "A test.")
        for over, length in ((VERDICTS, "30d"), (DECLINES, "1h"))
    )
    refused = follow_up(payment("old", at=START - 2 * DAY), "declined", 0)
    for features in (FeatureSet(long, short), FeatureSet(short, long)):
        state = State(newest=START)
        assert features.fold(state, "card", refused)
        assert not features.fold(state, "card", follow_up(payment("x", at=START - 50 * DAY), "declined", 0))
    assert not FeatureSet(short).fold(State(newest=START), "card", refused)


def test_an_event_of_no_use_to_any_feature_is_not_late() -> None:
    states = _states(payment("new", at=START))
    assert fold(follow_up(payment("ancient", at=START - 200 * DAY), "captured", 0), states)
    assert fold(follow_up(payment("ancient", at=START - 200 * DAY), "confirmed_genuine", 0), states)


def test_history_arrives_by_what_was_learnt_when_and_then_by_id() -> None:
    paid = payment("b", at=START)
    events: list[Event] = [
        Label(transaction=paid, kind="chargeback", known_at=START + 5),
        Outcome(transaction=paid, kind="declined", event_time=START + 4),
        payment("c", at=START + 5),
        payment("a", at=START + 5),
        paid,
    ]
    assert [event.event_id for event in sorted(events, key=arrival)] == [
        "m1/b",
        "m1/b#declined",
        "m1/a",
        "m1/b#fraud",
        "m1/c",
    ]


def test_a_replay_goes_on_from_the_states_of_another() -> None:
    events = world(9, 80)
    whole = list(replay(events))
    states: dict[Key, State] = {}
    first = list(replay(events[:100], states=states))
    second = list(replay(events[100:], states=states))
    assert len(first) > 20 < len(second)
    for (_, a), (_, b) in zip(whole, [*first, *second], strict=True):
        assert same(a, b)


def test_a_vector_looks_back_from_its_own_time_and_not_from_the_newest_state() -> None:
    """States may be ahead of a payment: later tiles are left alone, its own are read as they stand by then."""
    states = _states(payment("t0", at=START), payment("t1", at=START + HOUR))
    now = payment("q", at=START + 60_000)
    mine = {key: states[key] for key in STANDARD.keys_read(now) if key in states}
    named = dict(zip(STANDARD.names, STANDARD.vector(now, mine), strict=True))
    assert named["card_count_10m"] == named["card_count_24h"] == named["card_count_30d"] - 1 == 1.0
    assert named["card_since_first_90d"] == 60.0

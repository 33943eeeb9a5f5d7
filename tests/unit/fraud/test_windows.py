"""Windows: the defaults, the sawtooth by example, and the promised bounds for every window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.windows import DAY, HOUR, MINUTE, SECOND, Window, duration


@pytest.mark.parametrize(
    ("text", "expected"), [("1s", SECOND), ("90s", 90_000), ("10m", 600_000), ("24h", DAY), ("30d", 30 * DAY)]
)
def test_a_duration_is_read_in_milliseconds(text: str, expected: int) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0s", "10", "m", "-1m", "1.5h", "1w", " 1m", "1m ", "1m\n", "01m", "1M", "١m"]
)
def test_anything_else_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="such as '24h'"):
        duration(text)


@pytest.mark.parametrize(
    ("length", "hop"),
    [
        ("1s", MINUTE),
        ("10m", MINUTE),
        ("1h", MINUTE),
        ("61m", 15 * MINUTE),
        ("24h", 15 * MINUTE),
        ("25h", 2 * HOUR),
        ("7d", 2 * HOUR),
        ("8d", 8 * HOUR),
        ("30d", 8 * HOUR),
        ("31d", DAY),
        ("365d", DAY),
    ],
)
def test_the_default_hop_follows_from_the_length(length: str, hop: int) -> None:
    assert Window.of(length).hop == hop


def test_hop_and_delay_can_be_given() -> None:
    window = Window.of("1h", hop="1s", delay="7d")
    assert (window.length, window.hop, window.delay) == (HOUR, SECOND, 7 * DAY)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        (2 * HOUR, 110),  # on the edge: exactly the ten minutes before
        (2 * HOUR + 1, 110),  # the tail waits for a whole hop
        (2 * HOUR + MINUTE - 1, 110),
        (2 * HOUR + MINUTE, 111),  # and jumps
    ],
)
def test_the_tail_moves_in_steps_of_the_hop(query: int, first: int) -> None:
    assert Window.of("10m").tiles(query) == (first, query // MINUTE + 1)


def test_a_delayed_window_ends_at_an_edge_before_the_delay() -> None:
    window = Window.of("1h", hop="15m", delay="2h")
    first, end = window.tiles(10 * HOUR + 14 * MINUTE)
    assert (first * window.hop, end * window.hop) == (7 * HOUR, 8 * HOUR)


windows = st.builds(
    lambda count, unit, delay: Window.of(f"{count}{unit}", delay=delay),
    st.integers(1, 60),
    st.sampled_from(["m", "h", "d"]),
    st.sampled_from([None, "1h", "7d"]),
)
queries = st.integers(0, 2_000_000_000_000)


@given(windows, queries)
def test_a_window_holds_all_it_promises_and_less_than_a_hop_more(window: Window, query: int) -> None:
    first, _ = window.tiles(query)
    start = query - window.delay - window.length
    assert start - window.hop < first * window.hop <= start


@given(windows, queries)
def test_a_window_reads_nothing_from_after_its_end(window: Window, query: int) -> None:
    _, end = window.tiles(query)
    if window.delay:
        assert query - window.delay - window.hop < end * window.hop <= query - window.delay
    else:
        assert (end - 1) * window.hop <= query < end * window.hop, "the last tile is the one of the query itself"


@given(st.sampled_from(["1h", "24h", "7d", "30d", "365d"]), queries)
def test_the_over_inclusion_of_full_windows_is_under_1_7_percent(length: str, query: int) -> None:
    window = Window.of(length)
    first, end = window.tiles(query)
    over = query - window.length - first * window.hop
    assert over / window.length < 0.017
    assert end - first <= (100 if length != "365d" else 367)


@given(windows, queries, st.integers(0, 400 * DAY))
def test_what_a_later_query_reads_is_still_kept(window: Window, newest: int, wait: int) -> None:
    """Tiles from (newest - retention) // hop on are kept; no query from the newest event on reads before them."""
    first, _ = window.tiles(newest + wait)
    assert first >= (newest - window.retention) // window.hop

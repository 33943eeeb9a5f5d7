"""The circuit breaker, over every order of calls that go well and fail."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.breaker import Breaker

TOLERATED, REST = 3, 2.0


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(tolerated=TOLERATED, rest=REST)
    for _ in range(TOLERATED - 1):
        breaker.failed(0.0)
        assert breaker.admits(0.0)
    breaker.succeeded()
    breaker.failed(0.0)
    assert not breaker.is_open  # the ones before a success do not count
    for _ in range(TOLERATED - 1):
        breaker.failed(0.0)
    assert breaker.is_open
    assert not breaker.admits(REST - 0.01)


def test_one_call_tries_after_the_rest_and_a_success_closes_it() -> None:
    breaker = Breaker(tolerated=1, rest=REST)
    breaker.failed(10.0)
    assert breaker.admits(10.0 + REST)
    assert not breaker.admits(10.0 + REST)  # the others wait for that one
    breaker.succeeded()
    assert breaker.admits(10.0 + REST)


def test_a_try_that_never_comes_back_does_not_keep_it_open_for_ever() -> None:
    breaker = Breaker(tolerated=1, rest=REST)
    breaker.failed(0.0)
    assert [breaker.admits(REST * number) for number in range(1, 4)] == [True, True, True]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=80))
def test_while_the_store_is_down_at_most_one_call_in_a_rest_waits_for_it(calls: list[tuple[bool, float]]) -> None:
    breaker = Breaker(tolerated=TOLERATED, rest=REST)
    now, tried = 0.0, []
    for _, passed in calls:
        now += passed
        if breaker.admits(now):
            tried.append(now)
            breaker.failed(now)
    after = tried[TOLERATED:]
    # As the breaker adds: a difference may be rounded to less.
    assert all(later >= earlier + REST for earlier, later in zip(tried[TOLERATED - 1 :], after, strict=False))


@given(st.lists(st.booleans(), max_size=60))
def test_it_is_open_exactly_after_enough_failures_in_a_row(calls: list[bool]) -> None:
    breaker = Breaker(tolerated=TOLERATED, rest=REST)
    for went_well in calls:
        if went_well:
            breaker.succeeded()
        else:
            breaker.failed(0.0)
    assert breaker.is_open == (len(calls) >= TOLERATED and not any(calls[-TOLERATED:]))

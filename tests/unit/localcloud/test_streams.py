"""The failure settings of a stream mapping, by what becomes of each record."""

from collections.abc import Callable

import pytest

from ops.localcloud.streams import Attempt, Mapping, Progress, advance

RETRY_ONCE = Mapping(bisect=True, partial=True, maximum_retries=1)


def drain(
    mapping: Mapping, records: list[str], invoke: Callable[[list[str]], Attempt], *, tries: int = 100
) -> tuple[list[list[str]], list[tuple[str, list[str]]]]:
    """Run a stream to its end as the poller does; the batches given and the records given up."""
    progress, position = Progress(), 0
    given: list[list[str]] = []
    lost: list[tuple[str, list[str]]] = []
    while position < len(records):
        assert len(given) < tries, f"no end in sight: {given[-5:]}"
        limit = progress.limits[0] if progress.limits else 100
        batch = records[position : position + limit]
        given.append(batch)
        outcome = advance(mapping, progress, invoke(batch), batch, 0.0)
        position += outcome.consumed
        if outcome.discarded:
            lost.append((str(outcome.condition), records[position - outcome.discarded : position]))
    assert progress == Progress()
    return given, lost


def raises_on(*poison: str) -> Callable[[list[str]], Attempt]:
    return lambda batch: Attempt(failed=any(record in poison for record in batch))


def reports(*bad: str) -> Callable[[list[str]], Attempt]:
    return lambda batch: Attempt(failed=False, reported=frozenset(bad) & frozenset(batch))


def test_good_stream_goes_through_once() -> None:
    assert drain(RETRY_ONCE, list("abc"), raises_on()) == ([list("abc")], [])


@pytest.mark.parametrize("poison", list("abcdefgh"))
def test_only_the_poison_is_lost_by_bisecting(poison: str) -> None:
    given, lost = drain(RETRY_ONCE, list("abcdefgh"), raises_on(poison))
    assert lost == [("RetryAttemptsExhausted", [poison])]
    through = [record for batch in given if poison not in batch for record in batch]
    assert through == [record for record in "abcdefgh" if record != poison]


@pytest.mark.parametrize("bad", list("abcdefgh"))
def test_only_the_reported_record_is_lost(bad: str) -> None:
    given, lost = drain(RETRY_ONCE, list("abcdefgh"), reports(bad))
    assert lost == [("RetryAttemptsExhausted", [bad])]
    first = list("abcdefgh")
    # The records before it were a checkpoint and are not given again.
    assert all(first.index(batch[0]) >= first.index(bad) for batch in given[1:])


def test_without_bisection_the_batch_is_lost_after_its_retries() -> None:
    mapping = Mapping(bisect=False, partial=False, maximum_retries=2)
    given, lost = drain(mapping, list("abc"), raises_on("b"))
    assert given == [list("abc")] * 3
    assert lost == [("RetryAttemptsExhausted", list("abc"))]


def test_reports_count_for_nothing_unless_declared() -> None:
    mapping = Mapping(bisect=False, partial=False, maximum_retries=1)
    assert drain(mapping, list("abc"), reports("b")) == ([list("abc")], [])


def test_unknown_identifier_fails_the_whole_batch() -> None:
    progress = Progress()
    attempt = Attempt(failed=False, reported=frozenset({"", "b"}))
    mapping = Mapping(bisect=False, partial=True)
    assert advance(mapping, progress, attempt, list("abc"), 0.0).consumed == 0


def test_records_too_old_are_given_up_whatever_the_retries() -> None:
    mapping = Mapping(bisect=True, partial=False, maximum_age=60)
    outcome = advance(mapping, Progress(), Attempt(failed=True), list("ab"), 61.0)
    assert (outcome.consumed, outcome.discarded, outcome.condition) == (2, 2, "MaxRecordAgeExceeded")


def test_without_a_limit_of_retries_halving_ends_and_age_alone_gives_up() -> None:
    record = {"BisectBatchOnFunctionError": True, "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": 60}
    mapping, progress = Mapping.of(record), Progress()
    sizes = []
    for age in (0.0, *[30.0] * 40):
        size = progress.limits[0] if progress.limits else 4
        outcome = advance(mapping, progress, Attempt(failed=True), list("abcd")[:size], age)
        sizes.append(size)
        assert (outcome.consumed, outcome.discarded) == (0, 0)
    assert sizes == [4, 2, *[1] * 39]
    outcome = advance(mapping, progress, Attempt(failed=True), ["a"], 61.0)
    assert (outcome.consumed, outcome.discarded, outcome.condition) == (1, 1, "MaxRecordAgeExceeded")


def test_without_limits_nothing_is_ever_given_up() -> None:
    mapping = Mapping(bisect=False, partial=False)
    progress = Progress()
    for _ in range(50):
        outcome = advance(mapping, progress, Attempt(failed=True), ["a"], 1e6)
        assert (outcome.consumed, outcome.discarded) == (0, 0)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"error": True, "body": {"errorMessage": "x"}}, Attempt(failed=True)),
        ({"body": None}, Attempt(failed=False)),
        ({"body": {"batchItemFailures": []}}, Attempt(failed=False)),
        ({"body": '{"batchItemFailures": [{"itemIdentifier": "7"}]}'}, Attempt(False, frozenset({"7"}))),
        ({"body": {"batchItemFailures": [{"itemIdentifer": "7"}]}}, Attempt(False, frozenset({""}))),
    ],
)
def test_results_of_the_emulator_are_read(result: dict[str, object], expected: Attempt) -> None:
    assert Attempt.of(result) == expected

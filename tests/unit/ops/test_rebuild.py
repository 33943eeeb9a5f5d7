"""States recomputed, compared and rebuilt: what is wrong is found, and afterwards the bytes are history's."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from fraud.codec import decode, encode
from fraud.events import Transaction
from fraud.features import STANDARD, Key
from fraud.replay import fold
from fraud.state import State
from ops.featurestore import bootstrap as building
from ops.featurestore.lifecycle import GenerationError
from ops.rebuilding import checking, commands
from ops.rebuilding.checking import Verdict, check, key_named, sample, stored_states
from ops.rebuilding.comparing import compare, key_of
from tests.contract.forms import NEXT, known
from tests.unit.ops.operations import NOON, Small, payment, small_deployment

__all__ = ["small_deployment"]

PAYMENTS = [payment(number) for number in range(6)]
CARD = Key("card", "card-0")


@pytest.fixture
def small(small_deployment: Small) -> Small:
    """Six decisions in the ledger and in the states."""
    for each in PAYMENTS:
        small_deployment.records(each)
    small_deployment.folds(*PAYMENTS)
    return small_deployment


def checked(small: Small, *keys: Key) -> dict[Key, tuple[Verdict, tuple[str, ...]]]:
    deployment: Any = small
    found = check(deployment, keys, now=lambda: NOON + 10**9)
    return {each.key: (each.verdict, each.waiting) for each in found}


def spoil(small: Small, key: Key, content: bytes, generation: int = 1) -> None:
    small.client("dynamodb").update_item(
        TableName="features",
        Key={"key": {"S": f"s{generation}#{key}"}},
        UpdateExpression="SET #s = :bytes",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":bytes": {"B": content}},
    )


def other_state() -> bytes:
    """A state that could be, of another payment."""
    states: dict[Key, State] = {key: State() for key in STANDARD.keys_written(payment(99))}
    fold(payment(99), states)
    return encode(next(state for key, state in states.items() if key.entity == "card"))


def test_a_state_is_right_behind_wrong_or_missing(small: Small) -> None:
    other = Key("card", "card-1")
    assert checked(small, CARD, other) == {CARD: (Verdict.RIGHT, ()), other: (Verdict.RIGHT, ())}
    small.records(payment(8))
    assert checked(small, CARD)[CARD] == (Verdict.BEHIND, ("shop/t8",))
    spoil(small, CARD, other_state())
    assert checked(small, CARD, other) == {CARD: (Verdict.WRONG, ("shop/t8",)), other: (Verdict.RIGHT, ())}
    spoil(small, CARD, b"no state at all")
    assert checked(small, CARD)[CARD][0] is Verdict.WRONG
    small.client("dynamodb").delete_item(TableName="features", Key={"key": {"S": f"s1#{CARD}"}})
    assert checked(small, CARD)[CARD][0] is Verdict.MISSING
    assert checked(small, Key("card", "never seen"))[Key("card", "never seen")][0] is Verdict.RIGHT


@pytest.mark.parametrize(("events", "verdict"), [(1, Verdict.RIGHT), (100, Verdict.BUSY)])
def test_a_state_that_events_come_to_meanwhile_is_not_called_wrong(
    small: Small, monkeypatch: pytest.MonkeyPatch, events: int, verdict: Verdict
) -> None:
    read, waiting = checking._history, iter(range(10, 10 + 2 * events, 2))

    def read_while_one_comes(*told: Any) -> Any:
        yield from list(read(*told))
        if (number := next(waiting, 0)) != 0:
            small.records(payment(number))
            small.folds(payment(number))

    monkeypatch.setattr(checking, "_history", read_while_one_comes)
    assert checked(small, CARD)[CARD][0] is verdict
    # What is wrong is found all the same, once events pause.
    monkeypatch.setattr(checking, "_history", read)
    spoil(small, CARD, other_state())
    assert checked(small, CARD)[CARD][0] is Verdict.WRONG


def test_history_is_read_up_to_a_moment_after_the_states_were(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, read = Clock(), checking.stored_states
    clock.now = NOON - 1  # before any payment was recorded, as they are while states are read

    def slowly(*told: Any, **more: Any) -> dict[Key, bytes]:
        found = read(*told, **more)
        clock.sleep(10**6)
        return found

    monkeypatch.setattr(checking, "stored_states", slowly)
    looked_at: Any = small
    assert [each.verdict for each in check(looked_at, [CARD], now=clock)] == [Verdict.RIGHT]


def test_a_sample_is_drawn_from_what_serves(small: Small) -> None:
    deployment: Any = small
    every = {key for each in PAYMENTS for key in STANDARD.keys_written(each)}
    assert set(sample(deployment, 1_000)) == every
    drawn = sample(deployment, 4, seed=1)
    assert len(drawn) == 4
    assert drawn == sample(deployment, 4, seed=1)
    assert {verdict for verdict, _ in checked(small, *sample(deployment, 1_000)).values()} == {Verdict.RIGHT}


def test_keys_are_named_as_in_the_table() -> None:
    assert key_named("merchant#a#b#3") == Key("merchant", "a#b", 3)
    assert key_of("s12#merchant#a#b#3") == (12, "merchant#a#b#3")
    for name in ("card", "nobody#t#0", "card##0", "card#t#x"):
        with pytest.raises(GenerationError, match="ENTITY#TOKEN#SHARD"):
            key_named(name)


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = NOON + 10**8

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1_000)


@pytest.fixture
def run(small: Small, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command, with a clock that does not wait."""
    clock = Clock()
    build = building.bootstrap
    monkeypatch.setattr(building, "_check_clock", lambda *_told: None)
    monkeypatch.setattr(
        building,
        "bootstrap",
        lambda deployment, **told: build(deployment, **told | {"sleep": clock.sleep}, buckets=2),
    )
    monkeypatch.setattr(commands, "connect", lambda _env, *, port: small if port else None)
    monkeypatch.setattr(commands, "now", clock)
    monkeypatch.setattr(commands.console, "width", 200)
    from ops.cli import app

    def command(*words: str, answer: str = "") -> Any:
        return CliRunner().invoke(app, ["rebuild-state", *words], input=answer)

    return command


def test_what_is_wrong_is_shown_before_it_is_replaced(small: Small, run: Callable[..., Any]) -> None:
    deployment: Any = small
    right = stored_states(deployment, [CARD], generation=1)[CARD]
    spoil(small, CARD, other_state())
    wrong = run("--check", str(CARD))
    assert wrong.exit_code == 1
    assert "1 wrong" in wrong.output
    assert "Generation 2 would be built" in run("--dry-run").output
    assert small.told == []
    declined = run(answer="n\n")
    assert declined.exit_code == 1
    assert "different" in declined.output
    assert str(CARD) in declined.output
    assert small.features().look(())[0].serving.number == 1
    done = run("--yes")
    assert done.exit_code == 0, done.exception
    assert small.features().look(())[0].serving.number == 2
    assert stored_states(deployment, [CARD], generation=2)[CARD] == right
    assert run("--sample", "100").exit_code == 0
    assert [each[:2] for each in small.told] == [("states", "build"), ("states", "build"), ("states", "switch")]


def test_what_cannot_be_read_does_not_stop_events_after_the_switch(small: Small, run: Callable[..., Any]) -> None:
    deployment: Any = small
    spoil(small, CARD, b"no state at all")
    later = payment(10, event_time=NOON + 2 * 10**8)
    told = run("--yes").output
    assert "1 of those that serve cannot be read" in told
    assert "1 of its states could not be read and were deleted" in told
    assert CARD not in stored_states(deployment, [CARD], generation=1)
    # Generation 1 is written for a while yet, and would refuse this one.
    generations, _ = small.features().look(())
    small.records(later)
    small.folds(later, now=generations.retire_at - 1)
    assert checked(small, CARD)[CARD][0] is Verdict.RIGHT


def test_what_was_built_can_be_given_up(small: Small, run: Callable[..., Any]) -> None:
    assert isinstance(run("--abandon", "--yes").exception, GenerationError)
    run(answer="n\n")
    assert "would be given up" in run("--abandon", "--dry-run").output
    assert run("--abandon", answer="n\n").exit_code == 1
    assert run("--abandon", "--yes").exit_code == 0
    assert small.features().look(())[0].building is None


def test_a_comparison_counts_each_key_once(small: Small, run: Callable[..., Any]) -> None:
    deployment: Any = small
    keys = {key for each in PAYMENTS for key in STANDARD.keys_written(each)}
    run(answer="n\n")
    assert compare(deployment, serving=1, built=2).equal == len(keys)
    spoil(small, CARD, b"x")
    dynamodb = small.client("dynamodb")
    gone, new = Key("card", "card-1"), Key("customer", "customer-0")
    dynamodb.delete_item(TableName="features", Key={"key": {"S": f"s2#{gone}"}})
    dynamodb.delete_item(TableName="features", Key={"key": {"S": f"s1#{new}"}})
    found = compare(deployment, serving=1, built=2)
    assert (found.equal, found.different, found.new, found.gone) == (len(keys) - 3, 1, 1, 1)
    assert dict(found.entities) == {"card": 2, "customer": 1}
    assert set(found.keys) == {str(CARD), str(gone), str(new)}


def test_the_tokens_are_those_of_the_events() -> None:
    # The tests above name keys: they have to be keys that these payments touch.
    made: Transaction = PAYMENTS[0]
    assert CARD in STANDARD.keys_written(made)


def test_a_state_in_another_packed_form_is_the_same_state(small: Small) -> None:
    deployment: Any = small
    with known():
        packed = stored_states(deployment, [CARD], generation=1)[CARD]
        spoil(small, CARD, encode(decode(packed), NEXT))
        assert checked(small, CARD)[CARD][0] is Verdict.RIGHT
        spoil(small, CARD, packed, generation=2)
        found = compare(deployment, serving=1, built=2)
        assert (found.equal, found.different) == (1, 0)
        spoil(small, CARD, other_state(), generation=2)
        found = compare(deployment, serving=1, built=2)
        assert (found.equal, found.different) == (0, 1)

"""Letters put aside: written before they are deleted, never shown, and put back whole."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from ops.queues import commands, quarantining
from ops.queues.letters import Box, Queue, QueueError
from ops.queues.quarantining import kept, quarantine, read, restore
from tests.unit.ops.operations import Small, small_deployment

__all__ = ["small_deployment"]

BODY = '{"detail": {"card": "a secret card"}}'


@pytest.fixture(autouse=True)
def boxes(small_deployment: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def box(_deployment: Any, queue: Queue) -> Box:
        return small_deployment.box(queue)

    monkeypatch.setattr(quarantining, "box_of", box)
    monkeypatch.setattr("ops.queues.letters.box_of", box)


def put_aside(small: Small, *wanted: str) -> int:
    deployment: Any = small
    return quarantine(deployment, Queue.UPDATES, wanted=wanted or None, reason="poison", by="arn:jane")


def places(small: Small) -> list[Any]:
    deployment: Any = small
    return list(kept(deployment))


def test_all_letters_go_and_what_they_said_is_kept(small_deployment: Small) -> None:
    small = small_deployment
    names = {small.dies(Queue.UPDATES, f"{BODY}{number}", ERROR_CODE="X") for number in range(23)}
    assert put_aside(small) == 23
    assert small.box(Queue.UPDATES).count() == 0
    found = places(small)
    assert {place.message_id for place in found} == names
    assert {place.queue for place in found} == {"updates"}
    one = read(small.client("s3"), "lake", found[0].key)
    assert (one.reason, one.by, one.attributes) == ("poison", "arn:jane", {"ERROR_CODE": "X"})
    assert one.body.startswith(BODY)


def test_one_letter_is_chosen_and_the_others_stay_in_sight(small_deployment: Small) -> None:
    small = small_deployment
    names = [small.dies(Queue.UPDATES, str(number)) for number in range(12)]
    assert put_aside(small, names[4]) == 1
    assert len(small.bodies("UpdateDeadLetterQueueUrl")) == 11
    with pytest.raises(QueueError, match="1 put aside; not in updates: nobody"):
        put_aside(small, names[5], "nobody")
    assert len(small.bodies("UpdateDeadLetterQueueUrl")) == 10


def test_what_cannot_be_written_is_not_deleted(small_deployment: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small = small_deployment
    small.dies(Queue.UPDATES, BODY)
    monkeypatch.setitem(small.resources, "LakeBucket", "nowhere")
    with pytest.raises(ClientError):
        put_aside(small)
    assert small.box(Queue.UPDATES).count() == 1


def test_a_letter_comes_back_as_it_was(small_deployment: Small) -> None:
    small = small_deployment
    deployment: Any = small
    name = small.dies(Queue.UPDATES, BODY, ERROR_CODE="X")
    put_aside(small)
    assert restore(deployment, name).reason == "poison"
    (letter,) = small.box(Queue.UPDATES).peek(10)
    assert (letter.body, dict(letter.attributes)) == (BODY, {"ERROR_CODE": "X"})
    assert places(small) == []
    with pytest.raises(QueueError, match="quarantine list"):
        restore(deployment, name)


def test_the_commands_ask_and_show_nothing_of_a_letter(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    small.dies(Queue.UPDATES, BODY)
    monkeypatch.setattr(commands, "connect", lambda _env, *, port: small if port else None)
    monkeypatch.setattr(commands.console, "width", 200)

    def run(*words: str, answer: str = "") -> Any:
        return CliRunner().invoke(commands.quarantine_app, list(words), input=answer)

    assert isinstance(run("updates", "--reason", "x").exception, QueueError)
    assert "1 letters of updates would go" in run("updates", "--all", "--reason", "x", "--dry-run").output
    assert run("updates", "--all", "--reason", "x", answer="n\n").exit_code == 1
    assert places(small) == []
    assert run("updates", "--all", "--reason", "x", "--yes").exit_code == 0
    (place,) = places(small)
    told = run("list").output
    assert place.message_id in told
    assert "secret" not in told
    assert "secret" not in run("restore", place.message_id).output
    assert small.box(Queue.UPDATES).count() == 1

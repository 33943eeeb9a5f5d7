"""A queue of the local cloud, with the seam's shorter walks through it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ops.localcloud.seam import queues
from ops.localcloud.seam.emulator import sqs


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for _, name, _ in queues.FUNCTIONS[:4]:
        monkeypatch.setattr(sqs, name, getattr(sqs, name))  # put back at the end
    queues.install_queues()
    sqs._act_create_queue({"QueueName": "t-dead"}, "")
    dead = sqs._queues[sqs._queue_url("t-dead")]["attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": "2"})
    sqs._act_create_queue({"QueueName": "t-queue", "Attributes": {"RedrivePolicy": policy}}, "")
    yield sqs._queues[sqs._queue_url("t-queue")]
    sqs.reset()


def send(*bodies: str, delay: int = 0) -> None:
    for body in bodies:
        asked: dict[str, Any] = {"QueueUrl": sqs._queue_url("t-queue"), "MessageBody": body}
        sqs._act_send_message(asked | ({"DelaySeconds": delay} if delay else {}), "")


def receive(count: int = 10) -> list[Any]:
    found: list[Any] = sqs._receive_messages_for_esm(sqs._queue_url("t-queue"), count)
    return found


def delete(*messages: Any) -> None:
    handles = {each["receipt_handle"] for each in messages}
    sqs._delete_messages_for_esm(sqs._queue_url("t-queue"), handles)


def bodies(messages: Any) -> list[str]:
    return [each["body"] for each in messages]


def test_what_is_received_is_hidden_and_comes_once(queue: Any) -> None:
    send("a", "b", "c")
    first, second = receive(2), receive(2)
    assert (bodies(first), bodies(second), receive()) == (["a", "b"], ["c"], [])
    assert {each["receive_count"] for each in (*first, *second)} == {1}
    delete(first[1], second[0])
    assert bodies(queue["messages"]) == ["a"]


def test_a_handle_of_an_earlier_receipt_deletes_nothing(queue: Any) -> None:
    send("a")
    [message] = receive()
    sqs._delete_messages_for_esm(sqs._queue_url("t-queue"), {"another"})
    assert bodies(queue["messages"]) == ["a"]
    delete(message)
    assert queue["messages"] == []


def test_what_was_received_too_often_goes_to_the_dead_letters(queue: Any) -> None:
    send("poison", "a", "b")
    for _ in range(2):
        [poison] = receive(1)
        assert poison["body"] == "poison"
        poison["visible_at"] = time.time() - 1  # its batch failed
    assert bodies(receive(1)) == ["a"]
    assert bodies(queue["messages"]) == ["a", "b"]
    assert bodies(sqs._queues[sqs._queue_url("t-dead")]["messages"]) == ["poison"]


def test_one_that_is_delayed_hides_no_other(queue: Any) -> None:
    send("later", delay=60)
    send("a")
    assert bodies(receive()) == ["a"]
    assert bodies(queue["messages"]) == ["later", "a"]


def test_a_long_queue_takes_hardly_longer_than_a_short_one(queue: Any) -> None:
    """By what is looked at, not by a clock: the last of many messages is never touched."""
    send(*(str(number) for number in range(50)))
    del queue["messages"][-1]["receive_count"]  # whoever looks at it fails
    assert len(receive()) == 10
    delete(*queue["messages"][:10])
    assert bodies(queue["messages"])[0] == "10"

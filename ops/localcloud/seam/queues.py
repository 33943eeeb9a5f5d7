"""SQS: as quick with a hundred thousand messages as with ten.

The emulator keeps a queue as a list, and walks through all of it several times for every batch of ten that a
function is given, so that a backlog is worked off the more slowly the longer it is.
"""

import json
import time
from typing import Any, Final

from ops.localcloud.seam.emulator import Function, Registry, responses, sqs

__all__ = ["FUNCTIONS", "REGISTRIES", "install_queues"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (sqs, "_collect_msgs", ("q", "max_n", "vis_timeout")),
    (sqs, "_dlq_sweep", ("q",)),
    (sqs, "_expire_retained", ("q",)),
    (sqs, "_delete_messages_for_esm", ("queue_url", "receipt_handles")),
    (sqs, "_ensure_msg_fields", ("m",)),
    (sqs, "_get_q", ("url", "action")),
    (responses, "new_uuid", ()),
)
REGISTRIES: Final[tuple[Registry, ...]] = ()

_LOOK_SECONDS: Final = 1.0
"""How long a queue's oldest messages may outlive their retention, which is minutes at the least."""


def install_queues() -> None:
    """Walk through a queue no further than to the messages that are wanted; FIFO queues stay as they are."""
    collect, sweep, expire = sqs._collect_msgs, sqs._dlq_sweep, sqs._expire_retained
    expired: dict[int, float] = {}

    def collect_first(q: Any, max_n: int, vis_timeout: int) -> Any:
        if q["is_fifo"]:
            return collect(q, max_n, vis_timeout)
        now = time.time()
        found: list[Any] = []
        for message in q["messages"]:
            if len(found) == max_n:
                break
            sqs._ensure_msg_fields(message)
            if message["visible_at"] > now:
                continue
            message["receipt_handle"] = responses.new_uuid()
            message["visible_at"] = now + vis_timeout
            message["receive_count"] += 1
            message["first_receive_at"] = message.get("first_receive_at") or now
            found.append(message)
        return found

    def sweep_if_any(q: Any) -> None:
        policy = json.loads(q["attributes"].get("RedrivePolicy") or "{}")
        most = int(policy.get("maxReceiveCount", 0)) if isinstance(policy, dict) else 0
        now = time.time()
        for message in q["messages"] if most else ():
            if (count := message.get("receive_count", 0)) >= most:
                sweep(q)
                return
            # Messages are received in their order: behind one that nobody took yet, none was.
            if not count and message.get("visible_at", now) <= now:
                return

    def expire_at_times(q: Any) -> None:
        now = time.monotonic()
        if now - expired.get(id(q), -_LOOK_SECONDS) >= _LOOK_SECONDS:
            expired[id(q)] = now
            expire(q)

    def delete_given(queue_url: str, receipt_handles: set[str]) -> None:
        with sqs._queues_lock:
            messages, left, kept, place = sqs._get_q(queue_url)["messages"], set(receipt_handles), [], 0
            # What was received is near the beginning.
            while left and place < len(messages):
                if (handle := messages[place].get("receipt_handle")) in left:
                    left.discard(handle)
                else:
                    kept.append(messages[place])
                place += 1
            # In place: another list would not have what is sent just now.
            messages[:place] = kept

    sqs._collect_msgs = collect_first
    sqs._dlq_sweep = sweep_if_any
    sqs._expire_retained = expire_at_times
    sqs._delete_messages_for_esm = delete_given

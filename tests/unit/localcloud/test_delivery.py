"""Records wait for their buffer to be full or due."""

from typing import Any

from ops.localcloud.delivery import Buffers, UnreachableError


class Recorder:
    def __init__(self) -> None:
        self.now = 100.0
        self.delivered: list[list[bytes]] = []
        self.buffers = Buffers(self.deliver, lambda: self.now)

    def deliver(self, _stream: Any, _destination: Any, records: Any) -> None:
        self.delivered.append([data for _, data in records])

    def add(self, destination: dict[str, Any], *data: bytes) -> None:
        records = [(str(index), item) for index, item in enumerate(data)]
        self.buffers.add({}, destination, records, lambda function, *arguments: function(*arguments))


def destination(seconds: int = 60, megabytes: int = 1) -> dict[str, Any]:
    return {"config": {"BufferingHints": {"IntervalInSeconds": seconds, "SizeInMBs": megabytes}}}


def test_records_are_delivered_together_when_due() -> None:
    recorder, target = Recorder(), destination(seconds=60)
    recorder.add(target, b"a")
    recorder.now += 59
    recorder.add(target, b"b", b"c")
    recorder.buffers.flush_due()
    assert recorder.delivered == []
    recorder.now += 1
    recorder.buffers.flush_due()
    assert recorder.delivered == [[b"a", b"b", b"c"]]
    recorder.now += 600
    recorder.buffers.flush_due()
    assert len(recorder.delivered) == 1


def test_full_buffer_is_delivered_at_once() -> None:
    recorder, target = Recorder(), destination(megabytes=1)
    recorder.add(target, b"a" * 600_000)
    recorder.add(target, b"b" * 600_000)
    assert [len(batch) for batch in recorder.delivered] == [2]


def test_destinations_do_not_mix() -> None:
    recorder = Recorder()
    one, two = destination(seconds=1), destination(seconds=2)
    recorder.add(one, b"one")
    recorder.add(two, b"two")
    recorder.now += 1
    recorder.buffers.flush_due()
    assert recorder.delivered == [[b"one"]]


def test_what_cannot_be_delivered_waits_before_what_comes_later() -> None:
    recorder, target = Recorder(), destination(seconds=5)
    reachable = recorder.deliver

    def unreachable(*_: Any) -> None:
        raise UnreachableError("gone")

    recorder.buffers = Buffers(lambda *given: deliver(*given), lambda: recorder.now)
    deliver: Any = unreachable
    recorder.add(target, b"a")
    recorder.now += 5
    recorder.buffers.flush_due()
    recorder.add(target, b"b")
    recorder.now += 5
    recorder.buffers.flush_due()
    assert recorder.delivered == []
    deliver = reachable
    recorder.now += 1
    recorder.buffers.flush_due()
    assert recorder.delivered == [[b"a", b"b"]]

"""Lines of a process are there as soon as it has written them, whoever reads, each once and in order."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

import pytest

from ops.localcloud.lines import Lines


@pytest.fixture
def pipe() -> Iterator[tuple[IO[str], int]]:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stream:
        yield stream, writing


def all_of(lines: "queue.Queue[str]") -> list[str]:
    found = []
    while not lines.empty():
        found.append(lines.get_nowait())
    return found


def test_what_was_written_is_there_without_anybody_who_reads(pipe: tuple[IO[str], int]) -> None:
    stream, writing = pipe
    found: queue.Queue[str] = queue.Queue()
    lines = Lines(stream, found)
    lines.catch_up()
    assert all_of(found) == []
    os.write(writing, "one\n\ntwo ä\nthr".encode())
    lines.catch_up()
    assert all_of(found) == ["one", "", "two ä"]
    os.write(writing, b"ee\nrest")
    lines.catch_up()
    assert all_of(found) == ["three"]
    os.close(writing)
    lines.catch_up()
    lines.read()
    assert all_of(found) == ["rest"]


def test_beside_somebody_who_reads_every_line_is_there_at_once_once_and_in_order(
    pipe: tuple[IO[str], int],
) -> None:
    stream, writing = pipe
    found: queue.Queue[str] = queue.Queue()
    lines = Lines(stream, found)
    reader = threading.Thread(target=lines.read, daemon=True)
    reader.start()
    for number in range(2_000):
        wanted = [f"{number}-{line}" for line in range(number % 4)]
        os.write(writing, "".join(f"{line}\n" for line in wanted).encode())
        lines.catch_up()
        assert all_of(found) == wanted
    os.close(writing)
    reader.join(10)
    assert not reader.is_alive()


def test_a_process_that_writes_more_than_a_pipe_holds_does_not_wait() -> None:
    program = "import sys; [print('x' * 99, file=sys.stderr) for _ in range(3_000)]"
    found: queue.Queue[str] = queue.Queue()
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = Lines(process.stderr, found)
        reader = threading.Thread(target=lines.read, daemon=True)
        reader.start()
        assert process.wait(30) == 0
        lines.catch_up()
        assert all_of(found) == ["x" * 99] * 3_000
        reader.join(10)

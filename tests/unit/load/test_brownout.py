"""The proxy that breaks the store: what each of its modes hands on."""

import socket
import threading
from collections.abc import Iterator
from random import Random

import pytest

from tests.load.brownout import Brownout, Mode, proxied


@pytest.fixture
def store() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers in capitals; its port, and what it was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1_024):
                    asked.append(data)
                    connection.sendall(data.upper())

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], asked
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def ask(port: int, seconds: float = 10) -> bytes:
    """One question on a connection of its own; the answer, empty if the connection ends without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(b"well?")
            return connection.recv(1_024)
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    ("mode", "answer", "arrives"),
    [("clear", b"WELL?", True), ("slow", b"WELL?", True), ("deaf", b"", True), ("refused", b"", False)],
)
def test_each_mode_hands_on_what_it_says(
    store: tuple[int, list[bytes]], mode: Mode, answer: bytes, arrives: bool
) -> None:
    port, asked = store
    with proxied(port, Brownout(mode, delay=0.01, lost=1.0), Random(0)) as proxy:
        assert ask(proxy) == answer
    assert asked == [b"well?"] * arrives


def test_a_silent_store_neither_hears_nor_ends(store: tuple[int, list[bytes]]) -> None:
    port, asked = store
    with proxied(port, Brownout("silent"), Random(0)) as proxy, pytest.raises(TimeoutError):
        ask(proxy, seconds=0.2)
    assert not asked


def test_a_connection_that_was_open_meets_the_new_mode(store: tuple[int, list[bytes]]) -> None:
    port, asked = store
    state = Brownout()
    with proxied(port, state, Random(0)) as proxy, socket.create_connection(("127.0.0.1", proxy), 10) as open_one:
        open_one.sendall(b"one")
        assert open_one.recv(1_024) == b"ONE"
        state.mode = "deaf"
        state.lost = 1.0
        open_one.sendall(b"two")
        with pytest.raises(ConnectionError):  # noqa: PT012 - some systems tell at the read, some at its end
            if not open_one.recv(1_024):
                raise ConnectionError
    assert asked == [b"one", b"two"]

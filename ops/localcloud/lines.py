"""What a process writes line by line, taken from its pipe by whoever looks first."""

import os
import queue
import select
import threading
from typing import IO

__all__ = ["Lines"]

_CHUNK = 65_536


class Lines:
    """The lines that come out of a pipe.

    A thread reads them all the time, so that the process never waits; and who needs those that were written by now
    takes them itself, instead of waiting for that thread, whose turn comes late on a busy machine.

    Parameters
    ----------
    stream : file
        Read by its number only; it is held as long, so that the number is nobody else's.
    into : queue of str
        Where the lines are put, without their ends.
    """

    def __init__(self, stream: IO[str], into: "queue.Queue[str]") -> None:
        self._stream = stream
        self._into = into
        self._rest = b""
        self._lock = threading.Lock()

    def read(self) -> None:
        """Read until the process has ended."""
        ended = False
        while not ended:
            self._comes(None)
            with self._lock:
                # What came may have been taken meanwhile.
                ended = self._comes(0) and not self._take()
        with self._lock:
            if self._rest:
                self._put(self._rest)
                self._rest = b""

    def catch_up(self) -> None:
        """Read all that has been written by now, without waiting for more."""
        with self._lock:
            while self._comes(0) and self._take():
                pass

    def _comes(self, milliseconds: int | None) -> bool:
        """Whether there is something to read, be it the end, within a time."""
        # One of its own each time: two threads may not wait with the same.
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        return bool(poll.poll(milliseconds))

    def _take(self) -> bool:
        """Read once; False at the end. Under the lock only, so that who holds it finds all that was read."""
        content = os.read(self._stream.fileno(), _CHUNK)
        *whole, self._rest = (self._rest + content).split(b"\n")
        for line in whole:
            self._put(line)
        return bool(content)

    def _put(self, line: bytes) -> None:
        self._into.put(line.decode(errors="replace"))

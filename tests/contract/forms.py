"""A form of states after the one that is written, for tests: what a later release would bring."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fraud.codec import FORMS, VERSION, Form
from fraud.state import State

__all__ = ["NEXT", "known"]

NEXT = VERSION + 1


def _put(out: bytearray, state: State) -> None:
    body = bytearray([VERSION])
    FORMS[VERSION].put(body, state)
    out += zlib.compress(body)


def _take(packed: bytes, *, shared: bool) -> tuple[State, int]:
    state, _ = FORMS[VERSION].take(zlib.decompress(packed[1:]), shared=shared)
    return state, len(packed)


@contextmanager
def known() -> Iterator[None]:
    """Code that reads both forms, and writes the older one until it is told otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMS, NEXT, Form(_put, _take))
        yield

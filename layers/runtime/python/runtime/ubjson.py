"""Whether a model file is whole: XGBoost trusts it, and a cut one ends its process or never returns.

Source: the specification of Universal Binary JSON, draft 12 (ubjson.org), as far as XGBoost writes it.
"""

import struct

__all__ = ["is_whole"]

_FIXED = {
    marker[0]: size
    for size, markers in {0: b"TFZN", 1: b"iUC", 2: b"I", 4: b"ld", 8: b"LD"}.items()
    for marker in (bytes([each]) for each in markers)
}
_INTEGERS = {b"i"[0]: ">b", b"U"[0]: ">B", b"I"[0]: ">h", b"l"[0]: ">i", b"L"[0]: ">q"}
_OBJECT, _ARRAY, _TEXT = b"{"[0], b"["[0], b"S"[0]
_END_OBJECT, _END_ARRAY, _TYPE, _COUNT = b"}"[0], b"]"[0], b"$"[0], b"#"[0]
# XGBoost nests seven deep.
_DEEPEST = 32


def is_whole(content: bytes) -> bool:
    """Whether a file is one complete object, from its first byte to its last.

    Numbers are stepped over, not read: for a model of 500 trees it takes a few milliseconds.
    """
    try:
        return content[0] == _OBJECT and _after(content, 0, _DEEPEST) == len(content)
    except (IndexError, KeyError, ValueError, struct.error):
        return False


def _after(content: bytes, at: int, deepest: int) -> int:
    """The place behind the value that begins at `at`; each step forward is checked by the next read."""
    marker = content[at]
    if marker == _TEXT:
        return _after_text(content, at + 1)
    if marker == _ARRAY:
        return _after_array(content, at + 1, deepest - 1)
    if marker != _OBJECT:
        return at + 1 + _FIXED[marker]
    if not deepest:
        raise ValueError("nested too deep")
    at += 1
    while content[at] != _END_OBJECT:
        at = _after(content, _after_text(content, at), deepest - 1)
    return at + 1


def _after_array(content: bytes, at: int, deepest: int) -> int:
    size = None
    if content[at] == _TYPE:
        size, at = _FIXED[content[at + 1]], at + 2
    if content[at] == _COUNT:
        count, at = _length(content, at + 1)
        if size is not None:
            return at + size * count
        for _ in range(count):
            at = _after(content, at, deepest)
        return at
    while content[at] != _END_ARRAY:
        at = _after(content, at, deepest)
    return at + 1


def _after_text(content: bytes, at: int) -> int:
    length, at = _length(content, at)
    return at + length


def _length(content: bytes, at: int) -> tuple[int, int]:
    form = _INTEGERS[content[at]]
    (length,) = struct.unpack_from(form, content, at + 1)
    if length < 0:
        raise ValueError("a negative length")
    return length, at + 1 + struct.calcsize(form)

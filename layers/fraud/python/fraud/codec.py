"""The packed form of a state: one binary attribute, the same bytes in every engine.

Version 2. Numbers are little-endian base-128 varints; columns are one byte for their width, then that many bytes a
value, little-endian, with width 0 for a column of zeros::

    version   1 byte
    newest
    series    how many; each: slot, parts (1 byte, as in `fraud.tiles`), number of levels;
              each level, by rising hop: hop in seconds, number of tiles, age of the newest tile (newest // hop
              minus its index), and columns over the tiles by rising index: steps from one index to the next,
              count - 1, total with TOTAL, last minus the tile's start with TIMES;
              and over the tiles that count more than one: squares with SQUARES, minimum and maximum - minimum
              with EXTREMES, last - first with TIMES, latest with LATEST. What a tile of one event holds follows.
    sketches  how many; each: slot, unit in seconds, number of values, age of the newest value (newest // unit
              minus its step), and columns over the values by rising time and hash: steps from one time to the
              next, hash
    checksum  CRC-32 of all before it (4 bytes, little-endian)

Version 1 was never released and is refused like any version that this code does not know.

`FORMS` has every version that this code reads, and writes when it is told to: old and new code run side by side
while one replaces the other, and each must read what the other writes. docs/upgrades.md says how a version comes
and goes.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, compress
from operator import mul, sub
from struct import Struct, error

from fraud.state import Sketch, State
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL, Level, Tiles

__all__ = ["FORMS", "VERSION", "CorruptStateError", "Form", "decode", "encode"]

VERSION = 2
"""Written where nothing else is said."""

_MACHINE = {2: "H", 4: "I", 8: "Q"}
_NEXT = bytes([*range(1, 256), 0])


class CorruptStateError(ValueError):
    """The bytes are no packed state: rebuild this key from history rather than trust them."""


@dataclass(frozen=True, slots=True)
class Form:
    """One version of the packed form.

    Attributes
    ----------
    put : callable
        Adds a state to the bytes, after the version. Equal states give equal bytes.
    take : callable
        Reads the bytes without their checksum, the version first, and may be told that columns are ``shared``;
        returns the state and where it ends.
    """

    put: Callable[[bytearray, State], None]
    take: Callable[..., tuple[State, int]]


def encode(state: State, version: int = VERSION) -> bytes:
    """Pack a state. Equal states give equal bytes in a version.

    Raises
    ------
    ValueError
        If the state holds a negative number, which no event that was checked can cause; or if this code does not
        know the version.

    Examples
    --------
    >>> decode(encode(State(newest=5))) == State(newest=5)
    True
    """
    form = FORMS.get(version)
    if form is None:
        raise ValueError(
            f"states are to be written in version {version} and this code knows {_known()}; "
            "deploy a release that does"
        )
    out = bytearray([version])
    try:
        form.put(out, state)
    except (ValueError, OverflowError, error) as cause:
        raise ValueError("a packed state holds no negative numbers, and none of more than 255 bytes") from cause
    return bytes(out + zlib.crc32(out).to_bytes(4, "little"))


def decode(packed: bytes, *, shared: bool = False) -> State:
    """Unpack a state.

    Parameters
    ----------
    shared : bool
        Whether columns that hold the same numbers may be one list: a state to look at, which must not be changed.

    Raises
    ------
    CorruptStateError
        If the checksum, the version or the structure is not that of a packed state.
    """
    body = packed[:-4]
    if len(packed) < 5 or zlib.crc32(body) != int.from_bytes(packed[-4:], "little"):
        raise CorruptStateError(f"packed state of {len(packed)} bytes fails its checksum; rebuild its key")
    form = FORMS.get(packed[0])
    if form is None:
        raise CorruptStateError(
            f"packed state has version {packed[0]} and this code reads {_known()}; "
            "`paywarden features bootstrap` rebuilds the states from history"
        )
    try:
        state, end = form.take(body, shared=shared)
    except IndexError:
        raise CorruptStateError("packed state ends in the middle; rebuild its key") from None
    if end < len(body):
        raise CorruptStateError("packed state has bytes after its end; rebuild its key")
    return state


def _known() -> str:
    return f"version {' and '.join(map(str, sorted(FORMS)))}"


# What puts raises ValueError, OverflowError or struct.error on a negative number: bytes, integers and structs
# check their ranges themselves, and in one pass.


def _put_state(out: bytearray, state: State) -> None:
    newest = state.newest
    _put(out, newest)
    _put(out, len(state.tiles))
    for slot, tiles in sorted(state.tiles.items()):
        _put(out, slot)
        out.append(tiles.parts)
        _put(out, len(tiles.levels))
        for hop, level in sorted(tiles.levels.items()):
            _put(out, hop // 1_000)
            _put(out, len(level.index))
            _put_steps(out, newest // hop, level.index)
            _put_level(out, tiles.parts, hop, level)
    _put(out, len(state.sketches))
    for slot, sketch in sorted(state.sketches.items()):
        seen = sketch.seen
        hashes = sorted(sorted(seen), key=seen.__getitem__)
        _put(out, slot)
        _put(out, sketch.unit // 1_000)
        _put(out, len(seen))
        _put_steps(out, newest // sketch.unit, [seen[hashed] for hashed in hashes])
        _put_column(out, hashes)


def _put_level(out: bytearray, parts: int, hop: int, level: Level) -> None:
    more = [count - 1 for count in level.count]
    _put_column(out, more)
    if parts & TOTAL:
        _put_column(out, level.total)
    if parts & TIMES:
        _put_column(out, [last - index * hop for index, last in zip(level.index, level.last, strict=True)])
    if not any(more):
        return
    if parts & SQUARES:
        _put_column(out, list(compress(level.squares, more)))
    if parts & EXTREMES:
        _put_column(out, list(compress(level.minimum, more)))
        _put_column(out, list(compress(map(sub, level.maximum, level.minimum), more)))
    if parts & TIMES:
        _put_column(out, list(compress(map(sub, level.last, level.first), more)))
    if parts & LATEST:
        _put_column(out, list(compress(level.latest, more)))


def _put_steps(out: bytearray, newest: int, rising: list[int]) -> None:
    """Rising numbers up to about `newest`, as the age of the last one and the steps between them."""
    _put(out, newest - rising[-1])
    _put_column(out, list(map(sub, rising[1:], rising)))


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _put_column(out: bytearray, values: list[int]) -> None:
    width = (max(values).bit_length() + 7) // 8 if values else 0
    out.append(width)
    if width <= 1:
        column = bytes(values)
        if width:
            out += column
    elif width in _MACHINE:
        out += _struct(width, len(values)).pack(*values)
    else:
        out += b"".join([value.to_bytes(width, "little") for value in values])


# What takes is given the place of what it takes, and returns it with the place after it. Past the end of the
# bytes it raises IndexError.


def _state(packed: bytes, *, shared: bool) -> tuple[State, int]:
    newest, at = _number(packed, 1)
    state = State(newest)
    series, at = _number(packed, at)
    for _ in range(series):
        slot, at = _number(packed, at)
        tiles = state.tiles[slot] = Tiles(packed[at])
        levels, at = _number(packed, at + 1)
        for _ in range(levels):
            seconds, at = _number(packed, at)
            hop = seconds * 1_000
            index, at = _steps(packed, at, newest, hop)
            tiles.levels[hop], at = _level(packed, at, tiles.parts, hop, index, shared=shared)
    sketches, at = _number(packed, at)
    for _ in range(sketches):
        slot, at = _number(packed, at)
        seconds, at = _number(packed, at)
        steps, at = _steps(packed, at, newest, seconds * 1_000)
        hashes, at = _column(packed, at, len(steps))
        state.sketches[slot] = Sketch(seconds * 1_000, dict(zip(hashes, steps, strict=True)))
    return state, at


def _level(packed: bytes, at: int, parts: int, hop: int, index: list[int], *, shared: bool) -> tuple[Level, int]:
    size = len(index)
    more: Sequence[int]
    if packed[at] == 1:
        # By far the most: small counts, each made one larger in one pass.
        more = packed[at + 1 : at + 1 + size]
        if len(more) < size:
            raise IndexError
        count = list(more.translate(_NEXT)) if 0xFF not in more else [number + 1 for number in more]
        at += 1 + size
    else:
        more, at = _column(packed, at, size)
        count = [number + 1 for number in more]
    zeros = [0] * size
    if shared and not parts:
        return Level(index, count, zeros, zeros, zeros, zeros, zeros, zeros, zeros), at
    total = last = zeros
    if parts & TOTAL:
        total, at = _column(packed, at, size)
    if parts & TIMES:
        rest, at = _column(packed, at, size)
        last = [each * hop + late for each, late in zip(index, rest, strict=True)]
    many = list(compress(range(size), more)) if parts & ~TOTAL else []
    # A tile of one event says the rest of it by its total and its time.
    squares = list(map(mul, total, total)) if parts & SQUARES and len(many) < size else zeros
    minimum = maximum = total if parts & EXTREMES else zeros
    first, latest = last, total if parts & LATEST else zeros
    if not shared:
        total, minimum, maximum, latest = total[:], minimum[:], maximum[:], latest[:]
        squares, first, last = squares[:], first[:], last[:]
    if many:
        if parts & SQUARES:
            squares, at = _filled(packed, at, squares, many)
        if parts & EXTREMES:
            minimum, at = _filled(packed, at, minimum, many)
            maximum, at = _filled(packed, at, maximum, many)
            for place in many:
                maximum[place] += minimum[place]
        if parts & TIMES:
            first, at = _filled(packed, at, first, many)
            for place in many:
                first[place] = last[place] - first[place]
        if parts & LATEST:
            latest, at = _filled(packed, at, latest, many)
    return Level(index, count, total, squares, minimum, maximum, first, last, latest), at


def _filled(packed: bytes, at: int, column: list[int], places: list[int]) -> tuple[list[int], int]:
    """A column of its own, with the values of some places as they are told."""
    values, at = _column(packed, at, len(places))
    if len(values) == len(column):
        return values, at
    filled = column[:]
    for place, value in zip(places, values, strict=True):
        filled[place] = value
    return filled, at


def _steps(packed: bytes, at: int, newest: int, unit: int) -> tuple[list[int], int]:
    # Nearly always a byte: a call for each would be a tenth of all that unpacking takes.
    size = packed[at]
    at += 1
    if size > 0x7F:
        size, at = _number(packed, at - 1)
    age = packed[at]
    at += 1
    if age > 0x7F:
        age, at = _number(packed, at - 1)
    if not size or not unit:
        raise CorruptStateError("packed state has times without values or steps; rebuild its key")
    if size > len(packed):
        # Every value takes a byte in one of its columns.
        raise CorruptStateError("packed state claims more values than it has bytes; rebuild its key")
    steps, at = _column(packed, at, size - 1)
    first = newest // unit - age - sum(steps)
    if first < 0:
        raise CorruptStateError("packed state has a time before 1970; rebuild its key")
    return list(accumulate(steps, initial=first)), at


def _number(packed: bytes, at: int) -> tuple[int, int]:
    byte = packed[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    while byte >= 0x80:
        at += 1
        byte = packed[at]
        number |= (byte & 0x7F) << shift
        shift += 7
    return number, at + 1


def _column(packed: bytes, at: int, size: int) -> tuple[list[int], int]:
    width = packed[at]
    start = at + 1
    if width == 1:
        column = list(packed[start : start + size])
        if len(column) < size:
            raise IndexError
        return column, start + size
    if not width:
        return [0] * size, start
    end = start + width * size
    if end > len(packed):
        raise IndexError
    if size == 1:
        return [int.from_bytes(packed[start:end], "little")], end
    if width in _MACHINE:
        return list(_struct(width, size).unpack_from(packed, start)), end
    if width < 8:
        wide = 4 if width == 3 else 8
        spread = bytearray(wide * size)
        for place in range(width):
            spread[place::wide] = packed[start + place : end : width]
        return list(_struct(wide, size).unpack(spread)), end
    return [int.from_bytes(packed[each : each + width], "little") for each in range(start, end, width)], end


@lru_cache(maxsize=1_024)
def _struct(width: int, size: int) -> Struct:
    return Struct(f"<{size}{_MACHINE[width]}")


FORMS: dict[int, Form] = {2: Form(_put_state, _state)}
"""By version."""

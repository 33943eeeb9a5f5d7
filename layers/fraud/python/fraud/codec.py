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
    minus           its step), and columns over the values by rising time and hash: steps from one time to the
    next, hash checksum  CRC-32 of all before it (4 bytes, little-endian)

Version 1 was never released and is refused like any version that this code does not know.
"""

import zlib
from itertools import accumulate, pairwise
from struct import pack, unpack_from

from fraud.state import Sketch, State
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL, Level, Tiles

__all__ = ["VERSION", "CorruptStateError", "decode", "encode"]

VERSION = 2

_MACHINE = {1: "B", 2: "H", 4: "I", 8: "Q"}


class CorruptStateError(ValueError):
    """The bytes are no packed state: rebuild this key from history rather than trust them."""


def encode(state: State) -> bytes:
    """Pack a state. Equal states give equal bytes.

    Raises
    ------
    ValueError
        If the state holds a negative number, which no event that was checked can cause.

    Examples
    --------
    >>> decode(encode(State(newest=5))) == State(newest=5)
    True
    """
    out = bytearray([VERSION])
    _put(out, state.newest)
    _put(out, len(state.tiles))
    for slot, tiles in sorted(state.tiles.items()):
        _put(out, slot)
        out.append(tiles.parts)
        _put(out, len(tiles.levels))
        for hop, level in sorted(tiles.levels.items()):
            _put_level(out, state.newest, tiles.parts, hop, level)
    _put(out, len(state.sketches))
    for slot, sketch in sorted(state.sketches.items()):
        _put(out, slot)
        _put(out, sketch.unit // 1_000)
        _put(out, len(sketch.seen))
        ordered = sorted((step, hashed) for hashed, step in sketch.seen.items())
        _put_steps(out, state.newest // sketch.unit, [step for step, _ in ordered])
        _put_column(out, [hashed for _, hashed in ordered])
    return bytes(out + zlib.crc32(out).to_bytes(4, "little"))


def decode(packed: bytes) -> State:
    """Unpack a state.

    Raises
    ------
    CorruptStateError
        If the checksum, the version or the structure is not that of a packed state.
    """
    if len(packed) < 5 or zlib.crc32(packed[:-4]) != int.from_bytes(packed[-4:], "little"):
        raise CorruptStateError(f"packed state of {len(packed)} bytes fails its checksum; rebuild its key")
    if packed[0] != VERSION:
        raise CorruptStateError(
            f"packed state has version {packed[0]} and this code reads version {VERSION}; "
            "`paywarden features bootstrap` rebuilds the states from history"
        )
    reader = _Reader(packed[:-4])
    take = reader.take
    state = State(newest=take())
    for _ in range(take()):
        slot, parts = take(), reader.byte()
        tiles = state.tiles[slot] = Tiles(parts)
        for _ in range(take()):
            hop = take() * 1_000
            tiles.levels[hop] = _take_level(reader, state.newest, parts, hop)
    for _ in range(take()):
        slot, unit, size = take(), take() * 1_000, take()
        steps = _take_steps(reader, state.newest, unit, size)
        hashes = reader.column(size)
        state.sketches[slot] = Sketch(unit, dict(zip(hashes, steps, strict=True)))
    if not reader.exhausted:
        raise CorruptStateError("packed state has bytes after its end; rebuild its key")
    return state


def _put(out: bytearray, number: int) -> None:
    if number < 0:
        raise ValueError(f"a packed state holds no negative numbers, got {number}")
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _put_column(out: bytearray, values: list[int]) -> None:
    width = (max(values, default=0).bit_length() + 7) // 8
    if min(values, default=0) < 0 or width > 0xFF:
        raise ValueError("a packed state holds no negative numbers, and none of more than 255 bytes")
    out.append(width)
    if not width:
        return
    machine = _MACHINE.get(width)
    if machine:
        out += pack(f"<{len(values)}{machine}", *values)
    else:
        out += b"".join([value.to_bytes(width, "little") for value in values])


def _put_steps(out: bytearray, newest: int, rising: list[int]) -> None:
    """Rising numbers up to about `newest`, as the age of the last one and the steps between them."""
    _put(out, newest - rising[-1])
    _put_column(out, [after - before for before, after in pairwise(rising)])


def _put_level(out: bytearray, newest: int, parts: int, hop: int, level: Level) -> None:
    _put(out, hop // 1_000)
    _put(out, len(level.index))
    _put_steps(out, newest // hop, level.index)
    _put_column(out, [count - 1 for count in level.count])
    if parts & TOTAL:
        _put_column(out, level.total)
    if parts & TIMES:
        _put_column(out, [last - index * hop for index, last in zip(level.index, level.last, strict=True)])
    many = [at for at, count in enumerate(level.count) if count > 1]
    if not many:
        return
    if parts & SQUARES:
        _put_column(out, [level.squares[at] for at in many])
    if parts & EXTREMES:
        _put_column(out, [level.minimum[at] for at in many])
        _put_column(out, [level.maximum[at] - level.minimum[at] for at in many])
    if parts & TIMES:
        _put_column(out, [level.last[at] - level.first[at] for at in many])
    if parts & LATEST:
        _put_column(out, [level.latest[at] for at in many])


def _take_steps(reader: "_Reader", newest: int, unit: int, size: int) -> list[int]:
    if not size:
        raise CorruptStateError("packed state has an empty column of times; rebuild its key")
    age = reader.take()
    steps = reader.column(size - 1)
    first = newest // unit - age - sum(steps)
    if first < 0:
        raise CorruptStateError("packed state has a time before 1970; rebuild its key")
    return list(accumulate(steps, initial=first))


def _take_level(reader: "_Reader", newest: int, parts: int, hop: int) -> Level:
    size = reader.take()
    index = _take_steps(reader, newest, hop, size)
    count = [number + 1 for number in reader.column(size)]
    zeros = [0] * size
    total = reader.column(size) if parts & TOTAL else zeros[:]
    last = zeros[:]
    if parts & TIMES:
        last = [at * hop + rest for at, rest in zip(index, reader.column(size), strict=True)]
    # A tile of one event says the rest of it by its total and its time.
    level = Level(
        index=index,
        count=count,
        total=total,
        squares=[value * value for value in total] if parts & SQUARES else zeros[:],
        minimum=total[:] if parts & EXTREMES else zeros[:],
        maximum=total[:] if parts & EXTREMES else zeros[:],
        first=last[:],
        last=last,
        latest=total[:] if parts & LATEST else zeros[:],
    )
    many = [at for at, number in enumerate(count) if number > 1]
    if not many:
        return level
    if parts & SQUARES:
        _fill(level.squares, many, reader)
    if parts & EXTREMES:
        _fill(level.minimum, many, reader)
        for at, spread in zip(many, reader.column(len(many)), strict=True):
            level.maximum[at] = level.minimum[at] + spread
    if parts & TIMES:
        for at, spread in zip(many, reader.column(len(many)), strict=True):
            level.first[at] = level.last[at] - spread
    if parts & LATEST:
        _fill(level.latest, many, reader)
    return level


def _fill(column: list[int], places: list[int], reader: "_Reader") -> None:
    for at, value in zip(places, reader.column(len(places)), strict=True):
        column[at] = value


class _Reader:
    """A cursor over packed bytes that never reads past their end."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 1

    @property
    def exhausted(self) -> bool:
        return self._at == len(self._packed)

    def byte(self) -> int:
        if self.exhausted:
            raise CorruptStateError("packed state ends too early; rebuild its key")
        self._at += 1
        return self._packed[self._at - 1]

    def take(self) -> int:
        number = shift = 0
        try:
            while True:
                byte = self._packed[self._at]
                self._at += 1
                number |= (byte & 0x7F) << shift
                if byte < 0x80:
                    return number
                shift += 7
        except IndexError:
            raise CorruptStateError("packed state ends in the middle of a number; rebuild its key") from None

    def column(self, size: int) -> list[int]:
        """The next column of `size` numbers."""
        width = self.byte()
        if size > len(self._packed):
            # Every value takes a byte in one of its columns.
            raise CorruptStateError("packed state claims more values than it has bytes; rebuild its key")
        if not width:
            return [0] * size
        start, end = self._at, self._at + width * size
        if end > len(self._packed):
            raise CorruptStateError("packed state ends in the middle of a column; rebuild its key")
        self._at = end
        machine = _MACHINE.get(width)
        if machine:
            return list(unpack_from(f"<{size}{machine}", self._packed, start))
        packed = self._packed
        return [int.from_bytes(packed[at : at + width], "little") for at in range(start, end, width)]

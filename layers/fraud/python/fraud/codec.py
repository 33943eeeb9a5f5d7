"""The packed form of a state: one binary attribute, the same bytes in every engine.

Version 1, integers as little-endian base-128 varints unless said otherwise::

    version   1 byte
    newest
    series    how many; each: slot, number of levels; each level: hop in seconds, number of tiles;
              each tile, by rising index: index minus the one before (the first from 0), count, total,
              last minus the tile's start; and, if count > 1: squares, minimum, maximum minus minimum
    sketches  how many; each: slot, number of values; each value, by rising time and hash: time minus
              the one before (the first from 0), hash (8 bytes, little-endian)
    checksum  CRC-32 of all before it (4 bytes, little-endian)
"""

import zlib

from fraud.state import Level, Sketch, State, Tile

__all__ = ["CorruptStateError", "decode", "encode"]

VERSION = 1


class CorruptStateError(ValueError):
    """The bytes are no packed state: rebuild this key from history rather than trust them."""


def encode(state: State) -> bytes:
    """Pack a state. Equal states give equal bytes.

    Examples
    --------
    >>> decode(encode(State(newest=5))) == State(newest=5)
    True
    """
    out = bytearray([VERSION])
    _put(out, state.newest)
    _put(out, len(state.series))
    for slot, levels in sorted(state.series.items()):
        _put(out, slot)
        _put(out, len(levels))
        for hop, level in sorted(levels.items()):
            _put_level(out, hop, level)
    _put(out, len(state.sketches))
    for slot, sketch in sorted(state.sketches.items()):
        _put(out, slot)
        _put(out, len(sketch))
        before = 0
        for time, hashed in sorted((time, hashed) for hashed, time in sketch.items()):
            _put(out, time - before)
            out += hashed.to_bytes(8, "little")
            before = time
    return bytes(out + zlib.crc32(out).to_bytes(4, "little"))


def decode(packed: bytes) -> State:
    """Unpack a state.

    Raises
    ------
    CorruptStateError
        If the checksum, the version or the structure is not that of a packed state.
    """
    if len(packed) < 5 or zlib.crc32(packed[:-4]) != int.from_bytes(packed[-4:], "little"):
        raise CorruptStateError(f"packed state of {len(packed)} bytes fails its checksum")
    if packed[0] != VERSION:
        raise CorruptStateError(f"packed state has version {packed[0]}; this code reads version {VERSION}")
    reader = _Reader(packed[:-4])
    state = State(newest=reader.take())
    for _ in range(reader.take()):
        slot = reader.take()
        levels = state.series[slot] = {}
        for _ in range(reader.take()):
            hop, level = _take_level(reader)
            levels[hop] = level
    for _ in range(reader.take()):
        slot = reader.take()
        sketch: Sketch = {}
        time = 0
        for _ in range(reader.take()):
            time += reader.take()
            sketch[int.from_bytes(reader.raw(8), "little")] = time
        state.sketches[slot] = sketch
    if not reader.exhausted:
        raise CorruptStateError("packed state has bytes after its end")
    return state


def _put(out: bytearray, number: int) -> None:
    if number < 0:
        raise ValueError(f"a packed state holds no negative numbers, got {number}")
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _put_level(out: bytearray, hop: int, level: Level) -> None:
    _put(out, hop // 1_000)
    _put(out, len(level))
    before = 0
    for index, tile in sorted(level.items()):
        _put(out, index - before)
        _put(out, tile.count)
        _put(out, tile.total)
        _put(out, tile.last - index * hop)
        if tile.count > 1:
            _put(out, tile.squares)
            _put(out, tile.minimum)
            _put(out, tile.maximum - tile.minimum)
        before = index


def _take_level(reader: "_Reader") -> tuple[int, Level]:
    take = reader.take
    hop = take() * 1_000
    level: Level = {}
    index = 0
    for _ in range(take()):
        index += take()
        count, total, last = take(), take(), index * hop + take()
        if count > 1:
            squares, minimum = take(), take()
            level[index] = Tile(count, total, squares, minimum, minimum + take(), last)
        else:
            level[index] = Tile(count, total, total * total, total, total, last)
    return hop, level


class _Reader:
    """A cursor over packed bytes that never reads past their end."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 1

    @property
    def exhausted(self) -> bool:
        return self._at == len(self._packed)

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
            raise CorruptStateError("packed state ends in the middle of a number") from None

    def raw(self, size: int) -> bytes:
        chunk = self._packed[self._at : self._at + size]
        if len(chunk) < size:
            raise CorruptStateError("packed state ends in the middle of a value")
        self._at += size
        return chunk

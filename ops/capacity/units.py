"""What DynamoDB counts: the size of an item, and the units of a read or a write of it.

After "DynamoDB item sizes and formats" and "DynamoDB read and write operations" of its developer guide.
"""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["READ_BYTES", "WRITE_BYTES", "item_size", "read_units", "write_units"]

READ_BYTES, WRITE_BYTES = 4_096, 1_024
"""What one unit covers; parts of one count as a whole."""

_CONTAINER = 3
"""Bytes that a list or a map takes beside what it holds; each of its elements takes one more."""


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item, as the low-level API writes it: names and values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def read_units(size: int, *, consistent: bool) -> float:
    """Of one item of `size` bytes; 0 for one that is not there, which costs as much as the smallest."""
    return max(1, math.ceil(size / READ_BYTES)) * (1.0 if consistent else 0.5)


def write_units(size: int, *, transactional: bool = False) -> float:
    """Of one item of `size` bytes, the larger of before and after."""
    return max(1, math.ceil(size / WRITE_BYTES)) * (2.0 if transactional else 1.0)


def _value(typed: Mapping[str, Any]) -> int:
    [(kind, value)] = typed.items()
    match kind:
        case "S":
            return len(str(value).encode())
        case "B":
            return len(bytes(value))
        case "N":
            # About a byte for two significant digits, and one.
            digits = str(value).lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + str(value).startswith("-")
        case "BOOL" | "NULL":
            return 1
        case "SS" | "BS":
            return sum(len(bytes(each)) if kind == "BS" else len(each.encode()) for each in value)
        case "L":
            return _CONTAINER + sum(1 + _value(each) for each in value)
        case "M":
            return _CONTAINER + sum(1 + len(name.encode()) + _value(each) for name, each in value.items())
        case _:
            raise ValueError(f"an attribute of type {kind} has no size here; add it to ops.capacity.units")

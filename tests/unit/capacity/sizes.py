"""The size of an item, after "DynamoDB item sizes and formats" of its developer guide."""

from collections.abc import Mapping
from typing import Any

_CONTAINER = 3
"""Bytes that a list or a map takes beside what it holds; each of its elements takes one more."""


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item, as the low-level API writes it: names and values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


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
            raise ValueError(f"an attribute of type {kind} has no size here; add it to tests.unit.capacity.sizes")

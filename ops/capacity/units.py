"""What DynamoDB counts: the units of a read or a write of an item.

After "DynamoDB read and write operations" of its developer guide.
"""

import math

__all__ = ["READ_BYTES", "WRITE_BYTES", "read_units", "write_units"]

READ_BYTES, WRITE_BYTES = 4_096, 1_024
"""What one unit covers; parts of one count as a whole."""


def read_units(size: int, *, consistent: bool) -> float:
    """Of one item of `size` bytes; 0 for one that is not there, which costs as much as the smallest."""
    return max(1, math.ceil(size / READ_BYTES)) * (1.0 if consistent else 0.5)


def write_units(size: int, *, transactional: bool = False) -> float:
    """Of one item of `size` bytes, the larger of before and after."""
    return max(1, math.ceil(size / WRITE_BYTES)) * (2.0 if transactional else 1.0)

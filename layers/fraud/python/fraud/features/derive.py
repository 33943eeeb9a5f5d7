"""From the integers of a window to a feature's number: one function each, in one order of operations.

Every engine runs these very functions: serving and replay call them on Python's integers, and the vectorised
engine compiles them for 64-bit ones where no intermediate result can leave that range. Conversions to float
round once in both, and IEEE 754 division and square root are exact to the last bit, so the results are the same
bits. NaN stands for "nothing to say".
"""

import math

__all__ = ["mean", "rate", "ratio", "since", "spread", "std", "zscore"]


def mean(count: int, total: int) -> float:
    """Total over count."""
    return float(total) / float(count) if count > 0 else math.nan


def spread(count: int, total: int, squares: int) -> float:
    """n Q - S^2, exact up to its one conversion: n (n - 1) times the sample variance.

    The vectorised engine has its own, in 128 bits; a property test holds the two together.
    """
    return float(count * squares - total * total)


def std(count: int, spread: float) -> float:
    """Sample standard deviation."""
    return math.sqrt(spread / float(count * (count - 1))) if count > 1 else math.nan


def zscore(amount: int, count: int, total: int, spread: float) -> float:
    """How many sample standard deviations an amount is above the mean; NaN where all were equal."""
    if count < 2 or spread == 0.0:
        return math.nan
    return float(amount * count - total) / float(count) / math.sqrt(spread / float(count * (count - 1)))


def ratio(amount: int, count: int, total: int) -> float:
    """An amount over the mean."""
    return float(amount * count) / float(total) if total > 0 else math.nan


def rate(part: int, whole: int) -> float:
    """The share of some events in all of them."""
    return float(part) / float(whole) if whole > 0 else math.nan


def since(now: int, then: int) -> float:
    """Seconds from one time (ms) to another."""
    return float(now - then) / 1000.0

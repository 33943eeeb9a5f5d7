"""The time that commands act at, and times as they show them."""

import time
from datetime import UTC, datetime

__all__ = ["now", "shown"]


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000


def shown(moment: int) -> str:
    """A time in ms since the epoch, to the second, in UTC; where no heading says so, say it."""
    return f"{datetime.fromtimestamp(moment / 1_000, UTC):%Y-%m-%d %H:%M:%S}"

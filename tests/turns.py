"""Calls of a simulated AWS that take effect one after the other."""

import threading
from typing import Any

__all__ = ["one_call_at_a_time"]


def one_call_at_a_time(client: Any) -> None:
    """Make each call take effect at once, as AWS promises and moto does not.

    moto checks a condition and writes in two steps, and copies a table while other threads write to it.
    Writers still race between their calls, which is where our own code has to be right.
    """
    lock = threading.Lock()
    call = client._make_api_call

    def alone(*arguments: Any, **options: Any) -> Any:
        with lock:
            return call(*arguments, **options)

    client._make_api_call = alone

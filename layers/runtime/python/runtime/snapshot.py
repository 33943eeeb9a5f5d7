"""SnapStart: what a process that starts from a snapshot of another one has to do again.

AWS initialises a function when a version is published, freezes the process, and starts copies of it, perhaps
weeks later and many at once. What a copy must not take over is renewed by hooks: connections, sessions, cached
documents, keys, the moments at which something is due, and the state of random numbers.

Source: "Implement code before or after Lambda function snapshots" in the AWS Lambda developer guide. The hooks
are registered with `snapshot_restore_py`, which Lambda's Python runtime brings along; without it there are none.
"""

import importlib
import random
import time
from collections.abc import Callable, Sequence
from threading import Thread
from types import ModuleType

__all__ = ["PATIENCE", "after_restore", "before_snapshot"]

PATIENCE = 3.0
"""Seconds that renewals may take before the first request: Lambda ends a copy whose hooks take 10."""


def before_snapshot(*closings: Callable[[], object]) -> None:
    """Run these before the process is frozen, in this order, such as to end connections that nobody will hear of.

    One that fails keeps the version from being published, which is the time to learn of it.
    """
    runtime = _runtime()
    if runtime is not None:
        # The runtime calls what was registered last first.
        for closing in reversed(closings):
            runtime.register_before_snapshot(closing)


def after_restore(
    *renewals: Callable[[], object], failed: Callable[[Exception], object], patience: float = PATIENCE
) -> None:
    """Run these beside each other before the first request that a copy answers; random numbers are seeded first.

    Parameters
    ----------
    failed : callable
        Told of each renewal that failed or is not done in time. The others are run all the same and the copy
        answers with what the snapshot held of this one: an error here would fail the request that waits.
    patience : float
        Seconds that the request waits for all of them together. What takes longer goes on beside the requests.
    """
    runtime = _runtime()
    if runtime is not None:
        # Or all copies would spread their retries alike. Tokens and ids come from the system and need no seed.
        runtime.register_after_restore(random.seed)
        runtime.register_after_restore(_renew, renewals, failed, patience)


def _renew(
    renewals: Sequence[Callable[[], object]], failed: Callable[[Exception], object], patience: float
) -> None:
    give_up_at = time.monotonic() + patience
    threads = [Thread(target=_guarded, args=(each, failed), name="renewal", daemon=True) for each in renewals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, give_up_at - time.monotonic()))
        if thread.is_alive():
            failed(TimeoutError(f"a renewal was not done within {patience} s of the restore; it goes on"))


def _guarded(renewal: Callable[[], object], failed: Callable[[Exception], object]) -> None:
    try:
        renewal()
    except Exception as error:
        failed(error)


def _runtime() -> ModuleType | None:
    try:
        return importlib.import_module("snapshot_restore_py")
    except ModuleNotFoundError:
        return None

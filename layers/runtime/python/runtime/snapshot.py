"""SnapStart: what a process that starts from a snapshot of another one has to do again.

AWS initialises a function when a version is published, freezes the process, and starts copies of it, perhaps
weeks later and many at once. What a copy must not take over is renewed by hooks: connections, sessions, cached
documents, keys, the moments at which something is due, and the state of random numbers.

Source: "Implement code before or after Lambda function snapshots" in the AWS Lambda developer guide. The hooks
are registered with `snapshot_restore_py`, which Lambda's Python runtime brings along; without it there are none.
"""

import importlib
import random
from collections.abc import Callable
from types import ModuleType

__all__ = ["after_restore", "before_snapshot"]


def before_snapshot(*closings: Callable[[], object]) -> None:
    """Run these before the process is frozen, in this order, such as to end connections that nobody will hear of.

    One that fails keeps the version from being published, which is the time to learn of it.
    """
    runtime = _runtime()
    if runtime is not None:
        # The runtime calls what was registered last first.
        for closing in reversed(closings):
            runtime.register_before_snapshot(closing)


def after_restore(*renewals: Callable[[], object], failed: Callable[[Exception], object]) -> None:
    """Run these before the first request that a copy answers, in this order; random numbers are seeded anew first.

    Parameters
    ----------
    failed : callable
        Told of each renewal that failed. The others are run all the same and the copy answers with what the
        snapshot held of this one: an error here would fail the request that waits.
    """
    runtime = _runtime()
    if runtime is not None:
        # Or all copies would spread their retries alike. Tokens and ids come from the system and need no seed.
        runtime.register_after_restore(random.seed)
        for renewal in renewals:
            runtime.register_after_restore(_guarded, renewal, failed)


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

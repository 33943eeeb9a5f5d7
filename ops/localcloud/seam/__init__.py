"""The one place that touches the emulator's internals, a module per service.

ministack has no SageMaker, does not take Firehose as a target of a rule, delivers a stream's records one object
each, forgets a stream mapping's failure settings, cannot drop the authorizers' answers that it keeps, cannot re-
drive an execution, makes buckets without their locks, walks through a whole queue for every batch, evaluates
alarms by a metric's name alone, counts little, and tells nobody who called what. Its registries are plain
dictionaries and its modules look functions up when they call them, so what is missing is put in from here.
Everything used is checked first: on another version, or if something has moved, starting fails with a sentence.
"""

import functools
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ops.localcloud.alarms import Metrics
from ops.localcloud.delivery import Buffers
from ops.localcloud.errors import SeamError
from ops.localcloud.permissions import Call
from ops.localcloud.sagemaker import SageMaker
from ops.localcloud.seam import (
    alarms,
    delivery,
    events,
    executions,
    functions,
    gateway,
    locks,
    measures,
    permissions,
    queues,
    sagemaker,
    tasks,
    telemetry,
)
from ops.localcloud.seam.emulator import MINISTACK, app, check_functions, check_registries
from ops.localcloud.seam.events import publish_event
from ops.localcloud.seam.functions import kill_workers
from ops.localcloud.seam.permissions import assume

__all__ = [
    "MINISTACK",
    "Background",
    "asgi_application",
    "assume",
    "check",
    "install",
    "kill_workers",
    "publish_event",
]

_MODULES: Final = (
    alarms,
    delivery,
    events,
    executions,
    functions,
    gateway,
    locks,
    measures,
    permissions,
    queues,
    sagemaker,
    tasks,
    telemetry,
)


@dataclass(frozen=True)
class Background:
    """What works beside the requests: Firehose's buffers, and the evaluation of alarms."""

    buffers: Buffers
    watch: alarms.Watch

    def start(self) -> None:
        """Begin, on threads of their own."""
        self.buffers.start()
        self.watch.start()

    def close(self) -> None:
        """Stop."""
        self.watch.close()
        self.buffers.close()


def check(version: str | None = None) -> None:
    """Refuse an emulator this package was not written for.

    Parameters
    ----------
    version
        Version to judge; the installed one by default.

    Raises
    ------
    SeamError
        Names what differs and what to do.
    """
    version = version or importlib.metadata.version("ministack")
    if version != MINISTACK:
        raise SeamError(
            f"ministack {version} is installed, but the local cloud is written for {MINISTACK}: run `make setup`, "
            "or review ops/localcloud/seam against the new version and raise its MINISTACK"
        )
    for module in _MODULES:
        check_registries(getattr(module, "REGISTRIES", ()))
        check_functions(module.FUNCTIONS)


def install(service: SageMaker, clock: Callable[[], float], note: Callable[[Call], None]) -> Background:
    """Put everything the emulator lacks into it.

    Parameters
    ----------
    service
        The SageMaker to put behind its port.
    clock
        Monotonic seconds, for Firehose's buffers.
    note
        Told of every call that a role makes.

    Returns
    -------
    Background
        To be started and closed with the server.
    """
    permissions.install_permissions(note)
    executions.install_executions()
    tasks.install_tasks()
    sagemaker.install_sagemaker(service)
    functions.install_streams()
    functions.read_lines_at_once()
    gateway.install_authorizer_flush()
    locks.install_locks()
    queues.install_queues()
    buffers, metrics = delivery.install_delivery(clock), Metrics()
    measures.install_measures(metrics)
    telemetry.install_telemetry(metrics)
    return Background(buffers, alarms.install_alarms(metrics, functools.partial(telemetry.sample, buffers)))


def asgi_application() -> Any:
    """The emulator's ASGI application."""
    return app.app

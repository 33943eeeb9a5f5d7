"""The one place that touches the emulator's internals, a module per service.

ministack has no SageMaker, does not take Firehose as a target of a rule, delivers a stream's records one
object each, forgets a stream mapping's failure settings, cannot drop the authorizers' answers that it keeps,
and cannot re-drive an execution. Its registries are plain dictionaries and its modules look functions up when
they call them, so what is missing is put in from here. Everything used is checked first: on another version,
or if something has moved, starting fails with a sentence.
"""

import importlib.metadata
from collections.abc import Callable
from typing import Any, Final

from ops.localcloud.delivery import Buffers
from ops.localcloud.errors import SeamError
from ops.localcloud.sagemaker import SageMaker
from ops.localcloud.seam import delivery, events, executions, functions, gateway, sagemaker, tasks
from ops.localcloud.seam.emulator import MINISTACK, app, check_functions, check_registries
from ops.localcloud.seam.events import publish_event
from ops.localcloud.seam.functions import kill_workers

__all__ = ["MINISTACK", "asgi_application", "check", "install", "kill_workers", "publish_event"]

_MODULES: Final = (delivery, events, executions, functions, gateway, sagemaker, tasks)


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
    functions.check_workers()


def install(service: SageMaker, clock: Callable[[], float]) -> Buffers:
    """Put everything the emulator lacks into it.

    Parameters
    ----------
    service
        The SageMaker to put behind its port.
    clock
        Monotonic seconds, for Firehose's buffers.

    Returns
    -------
    Buffers
        Of Firehose; to be started and closed with the server.
    """
    executions.install_executions()
    tasks.install_tasks()
    sagemaker.install_sagemaker(service)
    functions.install_streams()
    functions.quicken_workers()
    gateway.install_authorizer_flush()
    return delivery.install_delivery(clock)


def asgi_application() -> Any:
    """The emulator's ASGI application."""
    return app.app

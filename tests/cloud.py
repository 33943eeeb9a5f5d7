"""The platform, deployed to a local cloud."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ops.deployment import Deployment, connect
from ops.localcloud import control
from ops.localcloud.deploy import bootstrap_and_deploy
from tests.ports import free_port

__all__ = ["deployed"]


@contextmanager
def deployed(port: int | None = None, say: Callable[[str], object] = lambda _text: None) -> Iterator[Deployment]:
    """The platform in a local cloud of its own, which ends with the block.

    Parameters
    ----------
    port
        Of a local cloud that is deployed to already; it is used instead, and left running.
    say
        Told that a deployment begins, which takes a while.
    """
    if port is not None:
        yield connect("local", port=port)
        return
    own = free_port()
    try:
        control.up(own)
        say(f"deploying to a local cloud on port {own}")
        bootstrap_and_deploy(own)
        yield connect("local", port=own)
    finally:
        control.down(own)

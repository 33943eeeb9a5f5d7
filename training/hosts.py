"""The machines of one job, as SageMaker names them."""

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contract import ProgramError

__all__ = ["LOOPBACK", "POLL_SECONDS", "Hosts", "address_of", "lost"]

LOOPBACK = "127.0.0.1"

POLL_SECONDS = 0.2
"""Between two tries to reach another machine."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """The machines of this job.

    Attributes
    ----------
    current : str
        The name of this one; the others reach it by that.
    names : tuple of str
        All of them, in order.
    """

    current: str = LOOPBACK
    names: tuple[str, ...] = (LOOPBACK,)

    @classmethod
    def read(cls, path: Path) -> "Hosts":
        """From what SageMaker writes to ``resourceconfig.json``; without that file, this machine alone.

        Raises
        ------
        ProgramError
            If the file does not name this machine among its hosts.
        """
        if not path.is_file():
            return cls()
        try:
            document: Mapping[str, Any] = json.loads(path.read_bytes())
            current, names = str(document["current_host"]), tuple(sorted(map(str, document["hosts"])))
        except (ValueError, KeyError, TypeError) as error:
            raise ProgramError(
                f"{path} does not say current_host and hosts, as SageMaker writes them; correct or remove it."
            ) from error
        if current not in names:
            raise ProgramError(f"{path} names a current_host that is not among its hosts; correct or remove it.")
        return cls(current, names)

    @property
    def leader(self) -> str:
        """The first machine, which leads."""
        return self.names[0]

    @property
    def rank(self) -> int:
        """The place of this machine, from 0."""
        return self.names.index(self.current)


def address_of(host: str, patience: int) -> str:
    """The address of a machine, whose name may be known only some seconds after it started.

    Raises
    ------
    ProgramError
        It is not known within `patience` seconds.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return socket.gethostbyname(host)
        except OSError as error:
            if time.monotonic() > end:
                raise ProgramError(
                    f"The machine {host} was not found within {patience} s; start the step again."
                ) from error
            time.sleep(POLL_SECONDS)


def lost(hosts: Hosts) -> str:
    """What to say on a machine that is left alone."""
    return (
        f"Another of the {len(hosts.names)} machines of this training was lost or did not answer, so "
        f"{hosts.current} ended as well. The log of the machine that failed first says why; started again, the "
        "step goes on from its last checkpoint."
    )

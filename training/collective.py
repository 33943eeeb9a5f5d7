"""Training on several machines: each runs this program on its own rows, and XGBoost adds up their histograms."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from xgboost import collective

from training.boosting import Alone, Machines
from training.checkpoints import Checkpoint
from training.contract import ProgramError
from training.hosts import POLL_SECONDS, Hosts, address_of, lost

__all__ = ["Group", "joined"]


class Group:
    """The machines of a communication group; the methods are those of `training.boosting.Machines`."""

    @property
    def leads(self) -> bool:
        return collective.get_rank() == 0

    def total(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(collective.allreduce(values, collective.Op.SUM))

    def any(self, value: bool) -> bool:
        return bool(collective.allreduce(np.array([value], dtype=np.int32), collective.Op.MAX)[0])

    def share(self, value: Checkpoint | None) -> Checkpoint | None:
        found: tuple[Checkpoint | None] = collective.broadcast((value,), 0)
        return found[0]


@contextmanager
def joined(hosts: Hosts, port: int, patience: int) -> Iterator[Machines]:
    """The group of all machines; this machine alone if there is no other.

    Parameters
    ----------
    patience : int
        Seconds in which the others have to come, and to answer in any step later.

    Raises
    ------
    ProgramError
        They do not come, or one is lost in the middle.
    """
    if len(hosts.names) == 1:
        yield Alone()
        return
    _join(hosts, port, patience)
    try:
        yield Group()
    except xgb.core.XGBoostError as error:
        sys.stderr.write(f"{error}\n")
        raise ProgramError(lost(hosts)) from error
    finally:
        # Where the others are gone there is nobody to take leave of.
        with suppress(xgb.core.XGBoostError):
            collective.finalize()


def _join(hosts: Hosts, port: int, patience: int) -> None:
    end = time.monotonic() + patience
    address = address_of(hosts.leader, patience)
    while True:
        try:
            collective.init(
                dmlc_communicator="rabit",
                dmlc_tracker_uri=address,
                dmlc_tracker_port=port,
                # Ranks follow the order of these, so that the first machine is the first worker.
                dmlc_task_id=f"{hosts.rank:06d}",
                dmlc_retry=1,
                dmlc_timeout=patience,
            )
        except xgb.core.XGBoostError as error:
            if time.monotonic() > end:
                sys.stderr.write(f"{error}\n")
                raise ProgramError(
                    f"Not all of the {len(hosts.names)} machines met on {hosts.leader} within {patience} s; "
                    "the log of the one that is missing says why."
                ) from error
            time.sleep(POLL_SECONDS)
        else:
            return

"""Cut rows in time: what the model is fitted to, what stops and calibrates it, what judges it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from training.arrays import Labels

__all__ = ["PARTS", "Cuts", "cut_by_time", "too_thin"]

PARTS = ("train", "validation", "evaluation")


@dataclass(frozen=True, slots=True)
class Cuts:
    """Row numbers at which validation and evaluation begin, in rows ordered by time."""

    validation: int
    evaluation: int

    def slices(self, rows: int) -> dict[str, slice]:
        """The rows of each part, by name."""
        edges = (0, self.validation, self.evaluation, rows)
        return {name: slice(*edges[place : place + 2]) for place, name in enumerate(PARTS)}


def cut_by_time(times: npt.NDArray[np.int64], *, validation_share: float, evaluation_share: float) -> Cuts:
    """Find the cuts; rows of one millisecond never fall on both sides of one.

    Parameters
    ----------
    times : array of int64, shape (rows,)
        Milliseconds, ascending.
    """
    rows = len(times)

    def start(share: float) -> int:
        place = rows - round(rows * share)
        return int(np.searchsorted(times, times[place], side="left")) if place < rows else rows

    return Cuts(validation=start(validation_share + evaluation_share), evaluation=start(evaluation_share))


def too_thin(times: npt.NDArray[np.int64], labels: Labels, cuts: Cuts, minimum: int) -> str:
    """Whether a part has too few rows of a class to fit, calibrate or judge anything.

    Returns
    -------
    str
        The counts of the first such part, and what to do; empty where there is none.
    """
    for name, rows in cuts.slices(len(labels)).items():
        part = labels[rows]
        frauds = int(part.sum())
        few = min(frauds, len(part) - frauds)
        if few < minimum:
            window = f" ({_day(times[rows][0])} to {_day(times[rows][-1])})" if len(part) else ""
            return (
                f"The {name} part{window} holds {frauds} frauds and {len(part) - frauds} genuine rows, but "
                f"{minimum} of each are needed. Import a longer history, wait until more labels are known, "
                "or change the shares or minimum_frauds."
            )
    return ""


def _day(time: int) -> str:
    return datetime.fromtimestamp(int(time) / 1000, UTC).date().isoformat()

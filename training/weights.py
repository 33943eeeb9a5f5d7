"""What a payment counts for where some that would have been declined were let through at random.

A payment that was let through with probability p stands for 1 / p like it, those that were declined among them
(Horvitz and Thompson, Journal of the American Statistical Association 47, 1952).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from training.contract import ProgramError
from training.lake_files import optional_column

__all__ = ["COLUMNS", "MOST_WEIGHT", "clip", "weights_of"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

COLUMNS = ("would_be", "propensity")
"""What `weights_of` reads of a file of decisions; files from before payments were let through lack them."""

MOST_WEIGHT = 50.0
"""No payment stands for more. While a bound on the payments of a day that are let through binds, propensities get
ever smaller, and one fraud that came through at 1 in 1,000 would weigh more than all others of a part together:
trees and figures would be about that one. Down to a propensity of 2 % nothing is changed; the rarer ones count for
less than they should, which is the smaller error."""

type Weights = npt.NDArray[np.float64]


def weights_of(table: pa.Table, path: Path) -> Weights:
    """1 / propensity of the decisions that were let through at random, 1 of all others; not clipped.

    Raises
    ------
    ProgramError
        A propensity is none: `path` is named.
    """
    passed = pc.fill_null(
        pc.not_equal(optional_column(table, "would_be", pa.string(), path), ""), False
    ).to_numpy()
    propensity = pc.fill_null(optional_column(table, "propensity", pa.float64(), path), 1.0).to_numpy()
    if not ((propensity[passed] > 0) & (propensity[passed] <= 1)).all():
        raise ProgramError(
            f"Column 'propensity' of {path} must be above 0 and at most 1 where 'would_be' says that a payment "
            "was let through; correct or remove the record."
        )
    weights = np.ones(table.num_rows)
    weights[passed] = 1 / propensity[passed]
    return weights


def clip(weights: Weights) -> tuple[Weights, int]:
    """Weights of at most `MOST_WEIGHT`, and how many were above it."""
    return np.minimum(weights, MOST_WEIGHT), int((weights > MOST_WEIGHT).sum())

"""The shapes of data that the steps hand to each other."""

import numpy as np
import numpy.typing as npt

__all__ = ["Labels", "Scores"]

type Scores = npt.NDArray[np.float64]
"""Probabilities, margins or other figures, as 64-bit floats."""

type Labels = npt.NDArray[np.int8]
"""0 genuine, 1 fraud."""

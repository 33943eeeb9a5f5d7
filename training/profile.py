"""What each feature looked like in the rows that a model learned from: the measure of later drift."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from training.arrays import Labels
from training.contract import ProgramError

__all__ = ["FILE", "FeatureProfile", "Profile", "profile_of", "read_profile", "stability_index", "write_profile"]

FILE = "profile.json"

_DECILES = np.arange(1, 10) / 10

type Numbers = npt.NDArray[np.float64]


class FeatureProfile(msgspec.Struct, frozen=True):
    """One feature's values in bins.

    Attributes
    ----------
    edges : tuple of float
        The inner decile edges, each once; bin i holds the values above edge i - 1 and up to edge i.
    shares : tuple of float
        Of the values that there are, one more than edges.
    missing : float
        Share of the rows without a value.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float

    def spread(self, values: Numbers) -> Numbers:
        """Shares of other values in these bins, and of those missing last; they add up to 1."""
        there = values[~np.isnan(values)]
        counts = np.bincount(np.searchsorted(self.edges, there, side="left"), minlength=len(self.edges) + 1)
        return np.append(counts, len(values) - len(there)) / max(len(values), 1)

    @property
    def whole(self) -> Numbers:
        """The shares of the profile's own rows, as `spread` has them."""
        return np.append(np.asarray(self.shares) * (1 - self.missing), self.missing)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The train part of a dataset, by feature."""

    features: dict[str, FeatureProfile]
    fraud_rate: float
    rows: int


def profile_of(names: Sequence[str], vectors: Numbers, labels: Labels) -> Profile:
    """Profile the rows of a train part.

    Parameters
    ----------
    vectors : array of float64, shape (rows, features)
    labels : array of int8, shape (rows,)
    """
    return Profile(
        features={name: _feature(vectors[:, place]) for place, name in enumerate(names)},
        fraud_rate=float(labels.mean()),
        rows=len(labels),
    )


def stability_index(profile: FeatureProfile, rows: int, values: Numbers) -> float:
    """How far values have moved from a profile: 0 for not at all, above 0.25 for much.

    The population stability index, sum((q - p) * ln(q / p)) over the bins and the missing ones, with half a row
    added to each bin, so that an empty one is no infinity (Siddiqi, Credit Risk Scorecards, 2006).

    Parameters
    ----------
    rows : int
        That the profile was made of.
    """
    before, now = (
        (shares * count + 0.5) / (count + 0.5 * len(shares))
        for shares, count in ((profile.whole, rows), (profile.spread(values), len(values)))
    )
    return float(np.sum((now - before) * np.log(now / before)))


def write_profile(folder: Path, profile: Profile) -> Path:
    """Write profile.json."""
    path = folder / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")
    return path


def read_profile(folder: Path) -> Profile | None:
    """Read profile.json; None where there is none, as in a bundle of an earlier version.

    Raises
    ------
    ProgramError
        It is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Profile)
    except msgspec.DecodeError as error:
        raise ProgramError(f"{path} is not usable ({error}); restore it from the models bucket.") from error


def _feature(values: Numbers) -> FeatureProfile:
    there = values[~np.isnan(values)]
    if not len(there):
        return FeatureProfile(edges=(), shares=(0.0,), missing=1.0)
    # Values that were there rather than between them, so that one that is often there is the end of a bin.
    edges = np.unique(np.quantile(there, _DECILES, method="lower"))
    counts = np.bincount(np.searchsorted(edges, there, side="left"), minlength=len(edges) + 1)
    return FeatureProfile(
        edges=tuple(edges.tolist()),
        shares=tuple((counts / len(there)).tolist()),
        missing=1 - len(there) / len(values),
    )

"""How long it takes until a fraud is known: label maturity, measured although late labels are not yet seen.

A fraud of yesterday is seen only if it was reported within a day, so the delays that are seen are shorter than the
delays that there are. They are truncated from the right, each at the age of its payment, and the estimator for
such data is the product limit in reverse time:

    F(x) = product over the delays d > x of (1 - n(d) / R(d))

n(d) frauds were reported after exactly d, and R(d) are those reported after d or sooner whose payments are at
least d old, so that a delay of d could have been seen (Lynden-Bell, MNRAS 155, 1971; Lagakos, Barraj and De
Gruttola, Biometrika 75, 1988). F is a share of the frauds that are reported within a horizon, the age of the
oldest payments; of those reported later, nothing can be known.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from training.outcomes import event_ids, sure_of

__all__ = ["FILE", "Curve", "Maturity", "known_by_age", "measure"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

FILE = "maturity.json"

LEAST_FRAUDS = 30
"""Of fewer, a curve would be anecdote."""

LEAST_OLD = 10
"""Frauds whose payments are as old as the horizon. Where R(d) is one fraud, which was reported after d, a factor
is 0 and with it the curve before d: without this bound a single old payment could decide everything."""

LEAST_KNOWN = 0.95
"""Of the frauds, at the age from which a payment without a label counts as genuine."""

_LEVELS = (0.5, 0.9, 0.95, 0.99)
_POINTS = 100
_DAY = 86_400_000

type Times = npt.NDArray[np.int64]
type Shares = npt.NDArray[np.float64]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Share of frauds known by age.

    Attributes
    ----------
    name : str
        ``all``, or source and kind of the first report.
    horizon : int
        Age of the tenth oldest payment in ms: what is reported later than that is in no figure but `frauds`.
    ages, shares : tuple
        Points of the curve, in ms and as shares: known at that age or sooner.
    naive : tuple of float
        What the delays that were seen would say if nothing were truncated; for comparison.
    reached : dict
        Level such as ``0.95`` to the age in ms at which so many are known.
    at_maturity : float
        Share known at the maturity in use.
    """

    name: str
    frauds: int
    horizon: int
    ages: tuple[int, ...]
    shares: tuple[float, ...]
    naive: tuple[float, ...]
    reached: dict[str, int]
    at_maturity: float


class Maturity(msgspec.Struct, frozen=True, kw_only=True):
    """maturity.json; `maturity` (ms) is the age in use from which a payment without a label counts as genuine."""

    as_of: int
    maturity: int
    sentence: str
    enough: bool
    curves: tuple[Curve, ...] = ()


def known_by_age(delays: Times, ages: Times) -> tuple[Times, Shares]:
    """The reverse product limit estimate of the module's formula.

    Parameters
    ----------
    delays : array of int64, shape (frauds,)
        From payment to report, of the frauds that are known.
    ages : array of int64, shape (frauds,)
        Of their payments now; none is below its delay.

    Returns
    -------
    tuple of arrays
        Each delay that occurs, ascending, and the share known by then; the last is 1.

    Examples
    --------
    Two of three old frauds took 1, one took 3; of the frauds of age 2, one is known:

    >>> known_by_age(np.array([1, 1, 3, 1]), np.array([9, 9, 9, 2]))[1].tolist()
    [0.6666666666666667, 1.0]
    """
    points, counts = np.unique(delays, return_counts=True)
    # An age is never below its delay, so whoever is too young for d was also reported before d.
    reported = np.searchsorted(np.sort(delays), points, side="right")
    too_young = np.searchsorted(np.sort(ages), points, side="left")
    survived = 1 - counts / (reported - too_young)
    later = np.append(np.cumprod(survived[:0:-1])[::-1], 1.0)
    return points, later


def measure(labels: pa.Table, *, as_of: int, maturity: int, minimum_confidence: float = 0.0) -> Maturity:
    """Measure how long frauds took to become known, by the first fraud report of each payment.

    Parameters
    ----------
    labels : pyarrow.Table
        Events, see `training.engines.events`; `source` and `confidence` where they tell them.
    as_of, maturity : int
        Milliseconds.
    minimum_confidence : float
        A label of less makes nothing known.
    """
    frame = _reports(labels.filter(pa.array(sure_of(labels, minimum_confidence))), as_of)
    curves = tuple(_curve(name, group, maturity) for name, group in _groups(frame))
    if not curves:
        sentence = f"{len(frame)} frauds are known; how long that takes can be said from {LEAST_FRAUDS} on."
        return Maturity(as_of=as_of, maturity=maturity, sentence=sentence, enough=True)
    whole = curves[0]
    enough = whole.at_maturity >= LEAST_KNOWN
    sentence = (
        f"A payment without a label counts as genuine from an age of {days(maturity)}, when "
        f"{whole.at_maturity:.1%} of the frauds are known"
    )
    if enough:
        sentence += "."
    else:
        reached = whole.reached[str(LEAST_KNOWN)]
        sentence += (
            f". That is too short: the other frauds are learned as genuine. {LEAST_KNOWN:.0%} are known at "
            f"{days(reached)}, so set the maturity to {days(-(-reached // _DAY) * _DAY)} or more."
        )
    return Maturity(as_of=as_of, maturity=maturity, sentence=sentence, enough=enough, curves=curves)


def days(milliseconds: float) -> str:
    """A duration as people say it."""
    if milliseconds < _DAY:
        return f"{milliseconds / 3_600_000:.3g} h"
    return f"{milliseconds / _DAY:.3g} days"


def _reports(labels: pa.Table, as_of: int) -> pd.DataFrame:
    """The first report of each fraud known by `as_of`: name of its group, delay, age of the payment."""
    at, time = labels["at"].to_numpy(), labels["event_time"].to_numpy()
    fraud = pc.not_equal(labels["kind"], "confirmed_genuine").to_numpy()
    told = labels.filter(pa.array(fraud & (at <= as_of) & (at >= time)))
    source = told["source"] if "source" in told.column_names else pa.nulls(told.num_rows, pa.string())
    frame = pd.DataFrame(
        {
            "payment": event_ids(told).to_numpy(),
            "at": told["at"].to_numpy(),
            "time": told["event_time"].to_numpy(),
            "kind": told["kind"].to_numpy(),
            "source": pc.fill_null(source, "").to_numpy(zero_copy_only=False),
        }
    )
    first = frame.sort_values(["at", "kind", "source"], kind="stable").drop_duplicates("payment")
    words = (first["source"] + " " + first["kind"].str.replace("_", " ")).str.strip()
    return pd.DataFrame({"group": words, "delay": first["at"] - first["time"], "age": as_of - first["time"]})


def _groups(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if len(frame) < LEAST_FRAUDS:
        return
    yield "all", frame
    groups = [(str(name), group) for name, group in frame.groupby("group", sort=True)]
    if len(groups) > 1:
        yield from ((name, group) for name, group in groups if len(group) >= LEAST_FRAUDS)


def _curve(name: str, group: pd.DataFrame, maturity: int) -> Curve:
    delays, ages = group["delay"].to_numpy(np.int64), group["age"].to_numpy(np.int64)
    horizon = int(np.sort(ages)[-LEAST_OLD])
    inside = delays <= horizon
    delays, ages = delays[inside], ages[inside]
    points, shares = known_by_age(delays, ages)
    shown = np.unique(np.linspace(0, len(points) - 1, min(len(points), _POINTS)).round().astype(int))
    at = int(np.searchsorted(points, maturity, side="right")) - 1
    return Curve(
        name=name,
        frauds=len(group),
        horizon=horizon,
        ages=tuple(points[shown].tolist()),
        shares=tuple(shares[shown].tolist()),
        naive=tuple((np.searchsorted(np.sort(delays), points[shown], side="right") / len(delays)).tolist()),
        reached={str(level): int(points[np.argmax(shares >= level)]) for level in _LEVELS},
        at_maturity=0.0 if at < 0 else float(shares[at]),
    )

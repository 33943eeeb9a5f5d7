"""The consistency report: what serving saw of the decided payments against what it should have seen.

*As served* is the vector that scoring logged with a decision; *as corrected* is the same vector recomputed from
all events known by now, as if none had lagged. They are compared to the last bit, feature by feature.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import WindowFeature
from fraud.release import GatePolicy
from training.consistency_figures import AGES, LAG, OVERTAKING, Consistency, Day, FeatureConsistency
from training.consistency_report import render
from training.contract import Contract, ProgramError
from training.lake import Decisions
from training.sources import Engine, Payments, read_sources, recompute, say, unite

__all__ = ["compare", "read_report", "report_consistency", "write_report"]

DOCUMENT = "consistency.json"
PAGE = "consistency.html"

type Matrix = npt.NDArray[np.float64]
type Flags = npt.NDArray[np.bool_]


def report_consistency(
    contract: Contract, as_of: int, features: FeatureSet = STANDARD, *, engine: Engine = "vectorised"
) -> Path:
    """Run a consistency job: the inputs of the dataset step -> the report alone.

    Returns
    -------
    Path
        The folder with consistency.json and consistency.html.

    Raises
    ------
    ProgramError
        An input cannot be used.
    """
    sources = read_sources(contract, features)
    payments = unite(sources, as_of, features.version)
    corrected = recompute(payments, features, engine)
    report = compare(payments, sources.decisions, corrected, features, as_of=as_of)
    folder = contract.processing_output("consistency")
    write_report(folder, report)
    say(report.sentence)
    return folder


def compare(
    payments: Payments, decisions: Decisions, corrected: Matrix, features: FeatureSet, *, as_of: int
) -> Consistency:
    """Compare the vectors of decisions that have one of today's feature set, made with state.

    Parameters
    ----------
    corrected : array of float64, shape (payments, features)
        See `training.sources.recompute`.
    as_of : int
        The moment of the report, in ms.
    """
    rows = np.flatnonzero(payments.served)
    decided = payments.decision[rows]
    near = _nearest(payments, features, rows)
    ages = {entity: before for entity, (before, _) in near.items()}
    differing = {entity: np.zeros(len(rows), np.bool_) for entity in ages}
    found = []
    for column, feature in enumerate(features.features):
        entity = _entity(feature)
        served, should = decisions.vectors[decided, column], corrected[rows, column]
        gone, due = np.isnan(served), np.isnan(should)
        differs = (served.view(np.int64) != should.view(np.int64)) & ~(gone & due)
        both = differs & ~gone & ~due
        settled = (near[entity][0] >= LAG) & (near[entity][1] >= OVERTAKING)
        differing[entity] |= differs
        found.append(
            FeatureConsistency(
                name=feature.name,
                entity=entity,
                exact=len(rows) - int(differs.sum()),
                mismatched=int(both.sum()),
                missing=int((differs & gone).sum()),
                extra=int((differs & due).sum()),
                largest_difference=float(np.abs(served[both] - should[both]).max()) if both.any() else None,
                median_staleness=_median(ages[entity][differs]),
                settled=int(settled.sum()),
                settled_mismatches=int((settled & differs).sum()),
            )
        )
    any_differs = np.logical_or.reduce(list(differing.values()))
    times = payments.times[rows]
    return Consistency(
        as_of=as_of,
        feature_set=features.version,
        rows=len(rows),
        identical=len(rows) - int(any_differs.sum()),
        window=(int(times.min()), int(times.max())) if len(rows) else None,
        left_out=_left_out(payments),
        features=tuple(found),
        days=_days(times, any_differs),
        staleness=_classes(ages[entity][differs] for entity, differs in differing.items() if entity != ""),
    )


def write_report(folder: Path, report: Consistency) -> None:
    """Write consistency.json for programs and consistency.html for people."""
    folder.mkdir(parents=True, exist_ok=True)
    document = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / DOCUMENT).write_bytes(document + b"\n")
    (folder / PAGE).write_text(render(report, GatePolicy()))


def read_report(folder: Path) -> Consistency | None:
    """Read consistency.json; None where there is none, as before the first decision.

    Raises
    ------
    ProgramError
        It is not one that this program writes.
    """
    path = folder / DOCUMENT
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Consistency)
    except msgspec.DecodeError as error:
        raise ProgramError(f"{path} is not usable ({error}); build the dataset again.") from error


def _entity(feature: object) -> str:
    return feature.entity.name if isinstance(feature, WindowFeature) else ""


def _nearest(
    payments: Payments, features: FeatureSet, rows: npt.NDArray[np.int64]
) -> dict[str, tuple[Matrix, Matrix]]:
    """By entity, how far the event of each row's key just before it, and the payment just after it were, in ms.

    Serving may have lacked the one before, and a decision that took its time may have seen the one after.
    Infinite where there was none: without a key, and for no entity (""), that of the payment alone.
    """
    from training.engines.events import EventTable

    table = EventTable.of(payments.events)
    order = np.arange(payments.events.num_rows) if table.order is None else table.order
    at = payments.events["at"].to_numpy()
    alone = np.full(len(rows), np.inf)
    found = {"": (alone, alone)}
    for entity in features.entities:
        codes, _ = table.keys(entity)
        by_key = order[np.argsort(codes[order], kind="stable")]
        paid = by_key[table.is_transaction[by_key]]
        found[entity.name] = _gaps(by_key, codes, at)[rows], _gaps(paid[::-1], codes, at)[rows]
    return found


def _gaps(
    by_key: npt.NDArray[np.signedinteger], codes: npt.NDArray[np.int32], at: npt.NDArray[np.int64]
) -> Matrix:
    """How far each event is from the one before it in an order by key; infinite for a key's first."""
    gaps = np.full(len(at), np.inf)
    here, there = by_key[1:], by_key[:-1]
    same = (codes[here] == codes[there]) & (codes[here] >= 0)
    gaps[here[same]] = np.abs(at[here] - at[there])[same]
    return gaps


def _median(ages: Matrix) -> float | None:
    known = ages[np.isfinite(ages)]
    return float(np.median(known)) if len(known) else None


def _classes(ages: Iterable[Matrix]) -> tuple[int, ...]:
    """How many ages fall into each class; the last but one is beyond them all, the last had no earlier event."""
    counts = np.zeros(len(AGES) + 2, np.int64)
    for each in ages:
        counts[:-1] += np.bincount(np.searchsorted(AGES, each[np.isfinite(each)]), minlength=len(AGES) + 1)
        counts[-1] += int(np.isinf(each).sum())
    return tuple(counts.tolist())


def _days(times: npt.NDArray[np.int64], differs: Flags) -> tuple[Day, ...]:
    days, place = np.unique(times // 86_400_000, return_inverse=True)
    rows, different = np.bincount(place, minlength=len(days)), np.bincount(place[differs], minlength=len(days))
    return tuple(
        Day(datetime.fromtimestamp(int(day) * 86_400, UTC).date().isoformat(), int(whole), int(part))
        for day, whole, part in zip(days, rows, different, strict=True)
    )


def _left_out(payments: Payments) -> dict[str, int]:
    found = {name: count for name, count in payments.left_out.items() if name.startswith("decision_") and count}
    reasons, counts = np.unique(payments.unusable[payments.unusable != ""].astype(np.str_), return_counts=True)
    return dict(sorted({**found, **dict(zip(reasons.tolist(), counts.tolist(), strict=True))}.items()))

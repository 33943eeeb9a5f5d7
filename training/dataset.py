"""Build a point-in-time dataset: vectors as scoring saw them or as recomputed, labels as they were known."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fraud.features import STANDARD, FeatureSet
from training.consistency import compare, write_report
from training.contract import Contract, ProgramError
from training.lake import Decisions
from training.outcomes import YOUNG, labels_of
from training.parts import Rows, write_dataset
from training.sources import Engine, Payments, read_sources, recompute, say, unite
from training.split import cut_by_time, refuse_thin_parts

__all__ = ["VECTORS", "Options", "assemble", "build_dataset"]

Vectors = Literal["as_served", "as_corrected"]
VECTORS: tuple[Vectors, ...] = ("as_served", "as_corrected")

type Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to build.

    Attributes
    ----------
    as_of : int
        Milliseconds, UTC: nothing that became known later has any influence.
    maturity : int
        Milliseconds until the absence of a label is taken for a genuine payment.
    vectors : str
        ``as_served``: those that scoring logged with its decisions, and recomputed ones for imported history.
        ``as_corrected``: every row recomputed from the history of events with today's features, so that decisions
        of other feature sets and those made without state count as well.
    validation_share, evaluation_share : float
        Shares of the rows, from the end of time backwards: evaluation last, validation before it.
    minimum_frauds : int
        Frauds, and genuine rows, that each part must hold.
    keep_young_labelled : bool
        Keep rows younger than `maturity` that have a label; see `training.outcomes.labels_of`.
    """

    as_of: int
    maturity: int
    vectors: Vectors = "as_served"
    validation_share: float = 0.15
    evaluation_share: float = 0.2
    minimum_frauds: int = 10
    keep_young_labelled: bool = False

    def __post_init__(self) -> None:
        shares = self.validation_share, self.evaluation_share
        if not (min(shares) > 0 and sum(shares) < 1):
            raise ProgramError(
                f"--validation-share {shares[0]} and --evaluation-share {shares[1]} must be above 0 "
                "and leave rows to train on; try 0.15 and 0.2."
            )
        if self.minimum_frauds < 1:
            raise ProgramError(f"--minimum-frauds is {self.minimum_frauds}; it must be at least 1.")


def build_dataset(
    contract: Contract, options: Options, features: FeatureSet = STANDARD, *, engine: Engine = "vectorised"
) -> Path:
    """Read the inputs of a processing job, build the dataset and write it.

    Where there are decisions, what serving saw is compared with what it should have seen; see
    `training.consistency`.

    Returns
    -------
    Path
        The folder with train.parquet, validation.parquet, evaluation.parquet and dataset.json; also
        consistency.json and consistency.html where there are decisions.

    Raises
    ------
    ProgramError
        An input cannot be used, or the rows are too few; nothing is written then.
    """
    sources = read_sources(contract, features)
    payments = unite(sources, options.as_of, features.version)
    corrected = recompute(payments, features, engine)
    report = compare(payments, sources.decisions, corrected, features, as_of=options.as_of)
    excluded = payments.left_out.copy()
    rows = assemble(payments, sources.decisions, corrected, options, features, excluded)
    cuts = cut_by_time(
        rows.times, validation_share=options.validation_share, evaluation_share=options.evaluation_share
    )
    refuse_thin_parts(rows.times, rows.labels, cuts, options.minimum_frauds)
    folder = contract.processing_output("dataset")
    about: dict[str, Any] = {
        "as_of": options.as_of,
        "options": asdict(options),
        "sources": {
            "history": sources.history.transactions.num_rows,
            "decisions": sources.decisions.transactions.num_rows,
            "labels": sources.history.labels.num_rows + sources.labels.num_rows,
            "outcomes": sources.outcomes.num_rows,
        },
        "excluded": {reason: count for reason, count in sorted(excluded.items()) if count},
    }
    write_dataset(folder, rows, cuts, feature_set=features.version, about=about)
    if sources.decisions.transactions.num_rows:
        write_report(folder, report)
        say(report.sentence)
    say(f"dataset: {len(rows.labels)} rows with {int(rows.labels.sum())} frauds; left out: {about['excluded']}")
    return folder


def assemble(
    payments: Payments,
    decisions: Decisions,
    corrected: Matrix,
    options: Options,
    features: FeatureSet = STANDARD,
    excluded: Counter[str] | None = None,
) -> Rows:
    """Bring vectors and labels together, ordered by (event_time, event_id).

    Parameters
    ----------
    corrected : array of float64, shape (payments, features)
        See `training.sources.recompute`.
    excluded : Counter, optional
        Counts what was left out, by reason.
    """
    counter = Counter[str]() if excluded is None else excluded
    wanted = np.ones(len(payments.names), np.bool_)
    if options.vectors == "as_served":
        wanted = payments.served | payments.in_history
        counter["history_also_decided"] += int((payments.served & payments.in_history).sum())
        counter.update(payments.unusable[payments.unusable != ""].tolist())
        _advise(counter, features)
    labels, labelled = labels_of(
        payments.fraud,
        payments.names,
        payments.times,
        as_of=options.as_of,
        maturity=options.maturity,
        keep_young_labelled=options.keep_young_labelled,
    )
    young = wanted & (labels == YOUNG)
    counter["immature"] += int((young & ~labelled).sum())
    counter["immature_labelled"] += int((young & labelled).sum())
    counter["label_without_row"] += len(payments.fraud) - int((wanted & labelled).sum())
    usable = np.flatnonzero(wanted & ~young)
    keys = pa.table(
        {"time": pa.array(payments.times[usable]), "name": pa.array(payments.names[usable], pa.string())}
    )
    order = pc.sort_indices(keys, sort_keys=[("time", "ascending"), ("name", "ascending")])
    rows = usable[order.to_numpy()]
    vectors = corrected[rows]
    if options.vectors == "as_served":
        served = payments.served[rows]
        vectors[served] = decisions.vectors[payments.decision[rows[served]]]
    about = payments.events.take(rows)
    return Rows(
        event_ids=payments.names[rows].tolist(),
        times=payments.times[rows],
        amounts=about["amount"].to_numpy(),
        cards=about["card"].to_numpy().tolist(),
        merchants=about["merchant_id"].to_numpy().tolist(),
        names=features.names,
        vectors=vectors,
        labels=labels[rows],
    )


def _advise(counter: Counter[str], features: FeatureSet) -> None:
    other = counter["decision_of_another_feature_set"]
    if other:
        say(
            f"dataset: {other} decisions were served with another feature set than {features.version} and are "
            "left out; --vectors as_corrected uses them with today's features"
        )

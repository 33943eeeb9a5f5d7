"""Build a point-in-time dataset: vectors as scoring saw them or as recomputed, labels as they were known."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from fraud.features import STANDARD, FeatureSet
from fraud.release import DataPolicy
from training.checks import Known, check_dataset, thin
from training.checks_report import write_checks
from training.consistency import compare, write_report
from training.contract import Contract, ProgramError
from training.lake import Decisions
from training.maturity import measure
from training.maturity_report import write_maturity
from training.outcomes import YOUNG, event_ids, labels_of, never_made
from training.parts import ABOUT
from training.plan import read_plan
from training.profile import profile_of, read_profile, write_profile
from training.rows import Rows, write_dataset
from training.sources import Engine, Payments, read_sources, recompute, say, unite
from training.split import cut_by_time, too_thin
from training.weights import clip

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

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
    minimum_frauds : int, optional
        Frauds, and genuine rows, that each part must hold, in place of the plan's.
    minimum_confidence : float, optional
        A label of less is no verdict; in place of the plan's.
    keep_young_labelled : bool
        Keep rows younger than `maturity` that have a label; see `training.outcomes.labels_of`.
    """

    as_of: int
    maturity: int
    vectors: Vectors = "as_served"
    validation_share: float = 0.15
    evaluation_share: float = 0.2
    minimum_frauds: int | None = None
    minimum_confidence: float | None = None
    keep_young_labelled: bool = False

    def __post_init__(self) -> None:
        shares = self.validation_share, self.evaluation_share
        if not (min(shares) > 0 and sum(shares) < 1):
            raise ProgramError(
                f"--validation-share {shares[0]} and --evaluation-share {shares[1]} must be above 0 "
                "and leave rows to train on; try 0.15 and 0.2."
            )
        if self.minimum_confidence is not None and not 0 <= self.minimum_confidence <= 1:
            raise ProgramError(f"--minimum-confidence is {self.minimum_confidence}; it must be from 0 to 1.")
        if self.minimum_frauds is not None and self.minimum_frauds < 1:
            raise ProgramError(f"--minimum-frauds is {self.minimum_frauds}; it must be at least 1.")

    def policy(self, planned: DataPolicy) -> DataPolicy:
        """The plan's bounds, with those that are asked for here in their place."""
        asked = {
            "minimum_frauds": self.minimum_frauds,
            "minimum_confidence": self.minimum_confidence,
            "maturity_days": self.maturity / 86_400_000,
        }
        return msgspec.structs.replace(planned, **{name: each for name, each in asked.items() if each is not None})


def build_dataset(
    contract: Contract, options: Options, features: FeatureSet = STANDARD, *, engine: Engine = "vectorised"
) -> Path:
    """Read the inputs of a processing job, build the dataset and write it.

    Where there are decisions, what serving saw is compared with what it should have seen; see
    `training.consistency`. Whether anything may be learned from the rows is for `training.checks` to say.

    Returns
    -------
    Path
        The folder of `training.parts`. Its `about` also holds checks, maturity and profile, and consistency where
        there are decisions. Of rows that are too few it holds no parts, and the checks say why.

    Raises
    ------
    ProgramError
        An input cannot be used; nothing is written then.
    """
    policy = options.policy(read_plan(contract).policy.data)
    sources = read_sources(contract, features)
    payments = unite(sources, options.as_of, features.version, minimum_confidence=policy.minimum_confidence)
    corrected = recompute(payments, features, engine)
    report = compare(payments, sources.decisions, corrected, features, as_of=options.as_of)
    excluded = payments.left_out.copy()
    rows = assemble(payments, sources.decisions, corrected, options, features, excluded)
    cuts = cut_by_time(
        rows.times, validation_share=options.validation_share, evaluation_share=options.evaluation_share
    )
    folder = contract.processing_output("dataset")
    maturity = measure(
        payments.labels,
        as_of=options.as_of,
        maturity=options.maturity,
        minimum_confidence=policy.minimum_confidence,
    )
    write_maturity(folder / ABOUT, maturity)
    if sources.decisions.transactions.num_rows:
        write_report(folder / ABOUT, report)
        say(report.sentence)
    reason = too_thin(rows.times, rows.labels, cuts, policy.minimum_frauds)
    if reason:
        write_checks(folder / ABOUT, thin(reason, len(rows.labels), int(rows.labels.sum()), policy))
        say(reason)
        return folder
    about: dict[str, Any] = {
        "as_of": options.as_of,
        "options": asdict(replace(options, minimum_frauds=policy.minimum_frauds)),
        "sources": {
            "history": sources.history.transactions.num_rows,
            "decisions": sources.decisions.transactions.num_rows,
            "labels": payments.labels.num_rows,
            "outcomes": sources.outcomes.num_rows,
        },
        "excluded": {reason: count for reason, count in sorted(excluded.items()) if count},
        "clipped_weights": rows.clipped_weights,
    }
    write_dataset(folder, rows, cuts, feature_set=features.version, about=about)
    learned = cuts.slices(len(rows.labels))["train"]
    write_profile(folder / ABOUT, profile_of(rows.names, rows.vectors[learned], rows.labels[learned]))
    champion = read_profile(contract.processing_input("champion"))
    checks = check_dataset(rows, cuts, _known(payments.labels, options.as_of), policy, champion, maturity)
    write_checks(folder / ABOUT, checks)
    say(checks.verdict.reason)
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
    doubtful = wanted & np.isin(payments.names, payments.unsure.to_numpy()) & ~labelled
    counter["label_unsure"] += int(doubtful.sum())
    blocked = wanted & ~doubtful & ~labelled & _blocked(payments, decisions)
    counter["blocked"] += int(blocked.sum())
    wanted &= ~doubtful & ~blocked
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
    weights, clipped = clip(_weights(payments, decisions)[rows])
    return Rows(
        event_ids=payments.names[rows].tolist(),
        times=payments.times[rows],
        amounts=about["amount"].to_numpy(),
        cards=about["card"].to_numpy().tolist(),
        merchants=about["merchant_id"].to_numpy().tolist(),
        countries=_countries(about),
        new_cards=_first_of_card(payments)[rows],
        weights=weights,
        names=features.names,
        vectors=vectors,
        labels=labels[rows],
        clipped_weights=clipped,
    )


def _blocked(payments: Payments, decisions: Decisions) -> npt.NDArray[np.bool_]:
    declined = np.zeros(len(payments.names), np.bool_)
    if decisions.declined is not None:
        decided = payments.decision >= 0
        declined[decided] = decisions.declined[payments.decision[decided]]
    events = payments.events
    return never_made(payments.names, declined, events.filter(pc.equal(events["event"], "outcome")))


def _weights(payments: Payments, decisions: Decisions) -> npt.NDArray[np.float64]:
    weights = np.ones(len(payments.names))
    if decisions.weights is not None:
        decided = payments.decision >= 0
        weights[decided] = decisions.weights[payments.decision[decided]]
    return weights


def _known(labels: pa.Table, as_of: int) -> Known:
    """What the labels themselves say, for a check that leans on nothing else of this module."""
    told = labels.filter(
        pc.and_(pc.less_equal(labels["at"], as_of), pc.not_equal(labels["kind"], "confirmed_genuine"))
    )
    return Known(as_of=as_of, frauds=frozenset(event_ids(told).to_numpy().tolist()))


def _countries(about: pa.Table) -> list[str]:
    """Of the issuer, else of the billing address, else none."""
    issuer, billing = (about[name].to_numpy() for name in ("issuer_country", "billing_country"))
    found: list[str] = np.where(issuer == "", billing, issuer).tolist()
    return found


def _first_of_card(payments: Payments) -> npt.NDArray[np.bool_]:
    """Whether each payment is the first that is known of its card, whatever became of it."""
    frame = pd.DataFrame(
        {
            "card": payments.events["card"].to_numpy()[: len(payments.names)],
            "time": payments.times,
            "name": payments.names,
        }
    ).sort_values(["time", "name"], kind="stable")
    first: npt.NDArray[np.bool_] = (~frame["card"].duplicated()).sort_index().to_numpy()
    return first


def _advise(counter: Counter[str], features: FeatureSet) -> None:
    other = counter["decision_of_another_feature_set"]
    if other:
        say(
            f"dataset: {other} decisions were served with another feature set than {features.version} and are "
            "left out; --vectors as_corrected uses them with today's features"
        )

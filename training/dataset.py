"""Build a point-in-time dataset: vectors as scoring saw them, labels as they were known at a moment."""

import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fraud.events import Event, Transaction
from fraud.features import STANDARD, FeatureSet
from fraud.replay import arrival, replay
from training.contract import Contract, ProgramError
from training.lake import Decisions, History, read_decisions, read_history, read_labels
from training.outcomes import Known, known_by, label_of
from training.parts import Rows, write_dataset
from training.split import cut_by_time, refuse_thin_parts

__all__ = ["Options", "Sources", "assemble", "build_dataset", "corrected_vectors"]

_PROGRESS_EVERY = 10_000

type Vectors = dict[str, tuple[Transaction, tuple[float, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to build.

    Attributes
    ----------
    as_of : int
        Milliseconds, UTC: nothing that became known later has any influence.
    maturity : int
        Milliseconds until the absence of a label is taken for a genuine payment.
    validation_share, evaluation_share : float
        Shares of the rows, from the end of time backwards: evaluation last, validation before it.
    minimum_frauds : int
        Frauds, and genuine rows, that each part must hold.
    keep_young_labelled : bool
        Keep rows younger than `maturity` that have a label; see `training.outcomes.label_of`.
    """

    as_of: int
    maturity: int
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


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read, before any row was left out."""

    history: History
    decisions: Decisions
    known: Known


def build_dataset(contract: Contract, options: Options, features: FeatureSet = STANDARD) -> Path:
    """Read the inputs of a processing job, build the dataset and write it.

    Returns
    -------
    Path
        The folder with train.parquet, validation.parquet, evaluation.parquet and dataset.json.

    Raises
    ------
    ProgramError
        An input cannot be used, or the rows are too few; nothing is written then.
    """
    folders = {name: contract.processing_input(name) for name in ("history", "decisions", "labels")}
    history = read_history(folders["history"])
    decisions = read_decisions(folders["decisions"], features.names)
    labels = [*history.labels, *read_labels(folders["labels"])]
    if not history.transactions and not decisions.transactions:
        raise ProgramError(
            f"There are no transactions under {folders['history']} or {folders['decisions']}; "
            "import a history or wait for decisions to reach the lake."
        )
    sources = Sources(history, decisions, known_by(labels, options.as_of))
    excluded: Counter[str] = Counter()
    rows = assemble(sources, options, features, excluded)
    cuts = cut_by_time(
        rows.times, validation_share=options.validation_share, evaluation_share=options.evaluation_share
    )
    refuse_thin_parts(rows.times, rows.labels, cuts, options.minimum_frauds)
    folder = contract.processing_output("dataset")
    write_dataset(
        folder,
        rows,
        cuts,
        feature_set=features.version,
        about={
            "as_of": options.as_of,
            "options": asdict(options),
            "sources": {
                "history": len(history.transactions),
                "decisions": len(decisions.transactions),
                "labels": len(labels),
            },
            "excluded": dict(sorted(excluded.items())),
        },
    )
    _say(f"dataset: {len(rows.labels)} rows with {int(rows.labels.sum())} frauds; left out: {dict(excluded)}")
    return folder


def assemble(
    sources: Sources, options: Options, features: FeatureSet = STANDARD, excluded: Counter[str] | None = None
) -> Rows:
    """Bring vectors and labels together, ordered by (event_time, event_id).

    Parameters
    ----------
    excluded : Counter, optional
        Counts what was left out, by reason.
    """
    counter = Counter[str]() if excluded is None else excluded
    counter["label_known_later"] += sources.known.later
    counter["label_before_transaction"] += sources.known.implausible
    counter["label_duplicate"] += sources.known.duplicates
    history = _history_by_id(sources.history, options, counter)
    served, decided = _served_vectors(sources.decisions, options, features, counter)
    counter["history_also_decided"] += len(history.keys() & served.keys())
    wanted = {name: transaction for name, transaction in history.items() if name not in served}
    vectors = served | corrected_vectors(wanted, decided | history, sources.known, features)
    usable: list[tuple[Transaction, tuple[float, ...], int]] = []
    for name, (transaction, vector) in vectors.items():
        verdict = sources.known.verdicts.get(name)
        label = label_of(
            verdict,
            transaction.event_time,
            as_of=options.as_of,
            maturity=options.maturity,
            keep_young_labelled=options.keep_young_labelled,
        )
        if label is None:
            counter["immature" if verdict is None else "immature_labelled"] += 1
        else:
            usable.append((transaction, vector, label))
    counter["label_without_row"] += len(sources.known.verdicts.keys() - vectors.keys())
    usable.sort(key=lambda row: arrival(row[0]))
    for reason in [reason for reason, count in counter.items() if not count]:
        del counter[reason]
    return Rows(
        event_ids=[transaction.event_id for transaction, _, _ in usable],
        times=np.array([transaction.event_time for transaction, _, _ in usable], dtype=np.int64),
        amounts=np.array([transaction.amount for transaction, _, _ in usable], dtype=np.int64),
        cards=[transaction.card for transaction, _, _ in usable],
        merchants=[transaction.merchant_id for transaction, _, _ in usable],
        names=features.names,
        vectors=np.array([vector for _, vector, _ in usable], dtype=np.float64).reshape(-1, len(features.names)),
        labels=np.array([label for _, _, label in usable], dtype=np.int8),
    )


def corrected_vectors(
    wanted: dict[str, Transaction], known: dict[str, Transaction], labels: Known, features: FeatureSet = STANDARD
) -> Vectors:
    """As-corrected vectors of the wanted rows, by the reference engine over everything that came before.

    Decisions outside the wanted rows are folded as well, since they moved the same cards and merchants; what came
    after the last wanted row cannot reach any of them and is not.
    """
    if not wanted:
        return {}
    last = max(transaction.event_time for transaction in wanted.values())
    learnt: list[Event] = [*known.values(), *labels.events]
    events = sorted((event for event in learnt if arrival(event)[0] <= last), key=arrival)
    vectors: Vectors = {}
    total = sum(isinstance(event, Transaction) for event in events)
    for done, (transaction, vector) in enumerate(replay(events, features), start=1):
        if transaction.event_id in wanted:
            vectors[transaction.event_id] = transaction, vector
        if done % _PROGRESS_EVERY == 0 or done == total:
            _say(f"features: {done} of {total} transactions")
    return vectors


def _history_by_id(history: History, options: Options, counter: Counter[str]) -> dict[str, Transaction]:
    found: dict[str, Transaction] = {}
    for transaction in history.transactions:
        earlier = found.get(transaction.event_id)
        if earlier is None:
            found[transaction.event_id] = transaction
            continue
        if earlier != transaction:
            raise ProgramError(
                f"The history holds two different transactions named {transaction.event_id!r}; "
                "a transaction_id must be unique per merchant, so correct the mapping and import again."
            )
        counter["history_duplicate"] += 1
    kept = {name: each for name, each in found.items() if each.event_time <= options.as_of}
    counter["history_after_as_of"] += len(found) - len(kept)
    return kept


def _served_vectors(
    decisions: Decisions, options: Options, features: FeatureSet, counter: Counter[str]
) -> tuple[Vectors, dict[str, Transaction]]:
    """Vectors as served that can be used, and all decided transactions, usable or not."""
    vectors: Vectors = {}
    decided: dict[str, Transaction] = {}
    for row, transaction in enumerate(decisions.transactions):
        name = transaction.event_id
        if transaction.event_time > options.as_of:
            counter["decision_after_as_of"] += 1
        elif name in decided:
            counter["decision_duplicate"] += 1
        else:
            decided[name] = transaction
            if decisions.degraded[row]:
                counter["decision_degraded"] += 1
            elif decisions.feature_sets[row] != features.version:
                counter["decision_of_another_feature_set"] += 1
            elif not decisions.has_vector[row]:
                counter["decision_without_vector"] += 1
            else:
                vectors[name] = transaction, tuple(decisions.vectors[row].tolist())
    other = counter["decision_of_another_feature_set"]
    if other:
        _say(
            f"dataset: {other} decisions were served with another feature set than {features.version} and are "
            "left out; import their transactions as history to use them with today's features"
        )
    return vectors, decided


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

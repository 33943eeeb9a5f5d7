"""Whether a dataset is fit to learn from: enough frauds, no answer among the questions, no other world."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud.release import DataPolicy, Verdict
from training.arrays import Labels
from training.maturity import Maturity
from training.profile import Profile, stability_index
from training.rows import Rows
from training.split import Cuts

__all__ = [
    "FILE",
    "Check",
    "Checks",
    "FeatureCheck",
    "Known",
    "check_dataset",
    "single_auc",
    "thin",
]

FILE = "checks.json"

_MOST_RANKED = 200_000
_NAMED = 3

type Numbers = npt.NDArray[np.float64]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, and what there is to say of it."""

    name: str
    passed: bool
    sentence: str


class FeatureCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One feature in the train part.

    Attributes
    ----------
    missing : float
        Share of the rows without a value.
    constant : bool
    single_auc : float
        How well the feature tells fraud alone, whichever way round: 0.5 for not at all, 1 for the label itself.
    stability_index : float or None
        Against the champion's training data; see `training.profile`. None without one.
    missing_before : float or None
        The share in the champion's.
    """

    name: str
    missing: float
    constant: bool
    single_auc: float
    stability_index: float | None = None
    missing_before: float | None = None


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """checks.json."""

    verdict: Verdict
    policy: DataPolicy
    rows: int
    frauds: int
    champion_fraud_rate: float | None = None
    checks: tuple[Check, ...] = ()
    features: tuple[FeatureCheck, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the labels say, beside the dataset: names of the payments told to be fraud by `as_of` (ms)."""

    as_of: int
    frauds: frozenset[str]


def thin(reason: str, rows: int, frauds: int, policy: DataPolicy) -> Checks:
    """The checks of rows that are too few to be cut into parts."""
    told = Check(name="enough frauds", passed=False, sentence=reason)
    return Checks(
        verdict=Verdict(passed=False, reason=reason), policy=policy, rows=rows, frauds=frauds, checks=(told,)
    )


def check_dataset(
    rows: Rows,
    cuts: Cuts,
    known: Known,
    policy: DataPolicy,
    champion: Profile | None,
    maturity: Maturity | None = None,
) -> Checks:
    """Look at a dataset; the verdict's reason is that of the first check that says no.

    Parameters
    ----------
    champion : Profile, optional
        Of the data that the model that serves was trained on.
    maturity : Maturity, optional
        How many of the frauds were known at the age from which no label means genuine.
    """
    parts = cuts.slices(len(rows.labels))
    vectors, labels = rows.vectors[parts["train"]], rows.labels[parts["train"]]
    features = [_feature(name, vectors[:, place], labels, champion) for place, name in enumerate(rows.names)]
    frauds = int(rows.labels.sum())
    checks = (
        Check(
            name="enough frauds",
            passed=True,
            sentence=f"Each part holds {policy.minimum_frauds} frauds and genuine rows or more.",
        ),
        _schema(rows, features, champion),
        _order(rows, parts),
        _points_in_time(rows, known),
        _leaks(features, policy),
        *((_matured(maturity, policy),) if maturity else ()),
        *((_drift(features, policy), _rate(float(labels.mean()), champion, policy)) if champion else ()),
    )
    refused = next((each for each in checks if not each.passed), None)
    reason = f"The dataset passed {len(checks)} checks." if refused is None else refused.sentence
    if refused is None and maturity and not maturity.enough:
        reason += f" {maturity.sentence}"
    return Checks(
        verdict=Verdict(passed=refused is None, reason=reason),
        policy=policy,
        rows=len(rows.labels),
        frauds=frauds,
        champion_fraud_rate=champion.fraud_rate if champion else None,
        checks=checks,
        features=tuple(features),
    )


def single_auc(values: Numbers, labels: Labels) -> float:
    """How well one column ranks fraud above genuine, whichever way round and wherever missing values stand.

    The Mann-Whitney statistic with mean ranks for ties; 0.5 where there is one class.
    """
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    if not pairs:
        return 0.5
    best = 0.5
    for place in ("bottom", "top") if np.isnan(values).any() else ("bottom",):
        ranks = pd.Series(values).rank(na_option=place).to_numpy()
        auc = (ranks[labels == 1].sum() - positives * (positives + 1) / 2) / pairs
        best = max(best, auc, 1 - auc)
    return float(best)


def _feature(name: str, values: Numbers, labels: Labels, champion: Profile | None) -> FeatureCheck:
    there = values[~np.isnan(values)]
    before = champion.features.get(name) if champion else None
    # Every n-th row is enough to find a label in disguise.
    step = -(-len(values) // _MOST_RANKED)
    return FeatureCheck(
        name=name,
        missing=1 - len(there) / len(values),
        constant=bool(len(there) and there.min() == there.max()),
        single_auc=single_auc(values[::step], labels[::step]),
        stability_index=stability_index(before, champion.rows, values) if champion and before else None,
        missing_before=before.missing if before else None,
    )


def _schema(rows: Rows, features: Sequence[FeatureCheck], champion: Profile | None) -> Check:
    """What no model can learn from is told; a number that is none is refused."""
    infinite = [name for place, name in enumerate(rows.names) if np.isinf(rows.vectors[:, place]).any()]
    empty = [each.name for each in features if each.missing == 1]
    constant = [each.name for each in features if each.constant]
    gone = sorted(set(champion.features) - set(rows.names)) if champion else []
    if infinite:
        sentence = f"Infinite values in {_named(infinite)}: correct the feature, a model cannot learn from them."
    elif len(empty) == len(features):
        sentence = "No feature has any value: check the feature set that the decisions were served with."
    else:
        told = {"always missing": empty, "constant": constant, "known to the champion and gone": gone}
        notes = [f"{what}: {_named(names)}" for what, names in told.items() if names]
        sentence = f"{len(features)} features; {'; '.join(notes) or 'all with more than one value'}."
    return Check(name="schema", passed=not infinite and len(empty) < len(features), sentence=sentence)


def _order(rows: Rows, parts: dict[str, slice]) -> Check:
    windows = [(rows.times[rows_of].min(), rows.times[rows_of].max()) for rows_of in parts.values()]
    ordered = all(first[1] < second[0] for first, second in pairwise(windows))
    repeated = len(rows.event_ids) - len(set(rows.event_ids))
    if not ordered:
        sentence = "The parts overlap in time, so a model would be judged on payments from before its last lesson."
    elif repeated:
        sentence = (
            f"{repeated} payments are in the dataset twice: a model would be judged on what it learned from."
        )
    else:
        sentence = "Each part is later than the one before, and no payment is in two."
    return Check(name="time order", passed=ordered and not repeated, sentence=sentence)


def _points_in_time(rows: Rows, known: Known) -> Check:
    late = int((rows.times > known.as_of).sum())
    untold = sum(
        name not in known.frauds for name, label in zip(rows.event_ids, rows.labels, strict=True) if label
    )
    if late or untold:
        sentence = (
            f"{late} payments and {untold} frauds became known after the moment of the run, so a model would "
            "learn from the future; build the dataset again."
        )
    else:
        sentence = "No payment and no fraud became known after the moment of the run."
    return Check(name="nothing from later", passed=not late and not untold, sentence=sentence)


def _leaks(features: Sequence[FeatureCheck], policy: DataPolicy) -> Check:
    worst = max(features, key=lambda each: each.single_auc)
    passed = worst.single_auc <= policy.maximum_single_auc
    told = f"{worst.name} alone tells fraud with an AUC of {worst.single_auc:.4f}"
    if passed:
        sentence = f"No feature is the label in disguise: {told}, and {policy.maximum_single_auc:g} is allowed."
    else:
        sentence = (
            f"{told}, above {policy.maximum_single_auc:g}: it looks like the label in disguise. Find out what it "
            "knew at the time of the payment."
        )
    return Check(name="leakage", passed=passed, sentence=sentence)


def _matured(maturity: Maturity, policy: DataPolicy) -> Check:
    """Warns by the sentence of the measurement; stops only below the bound, and only what could be measured."""
    known = maturity.curves[0].at_maturity if maturity.curves else 1.0
    passed = known >= policy.minimum_known_share
    sentence = maturity.sentence
    if not passed:
        sentence += f" At least {policy.minimum_known_share:.1%} have to be known."
    return Check(name="label maturity", passed=passed, sentence=sentence)


def _drift(features: Sequence[FeatureCheck], policy: DataPolicy) -> Check:
    compared = [each for each in features if each.stability_index is not None]
    drifted = sorted(
        (each for each in compared if (each.stability_index or 0) > policy.drifted_from),
        key=lambda each: -(each.stability_index or 0),
    )
    share = len(drifted) / max(len(compared), 1)
    passed = share <= policy.maximum_drifted
    told = f"{len(drifted)} of {len(compared)} features have drifted from the champion's training data"
    if drifted:
        told += f" (index above {policy.drifted_from:g}), most of all {_named([each.name for each in drifted])}"
    if not passed:
        told += f"; {policy.maximum_drifted:.0%} may. Find out what changed, and allow more if it was the world"
    return Check(name="drift", passed=passed, sentence=f"{told}.")


def _rate(rate: float, champion: Profile, policy: DataPolicy) -> Check:
    before = champion.fraud_rate
    factor = max(rate, before) / max(min(rate, before), 1e-12)
    passed = factor <= policy.maximum_rate_factor
    told = f"The fraud rate is {rate:.3%}, against {before:.3%} in the champion's training data"
    if not passed:
        told += (
            f": more than {policy.maximum_rate_factor:g} times another. Check that labels arrive, and mean "
            "what they meant"
        )
    return Check(name="fraud rate", passed=passed, sentence=f"{told}.")


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")

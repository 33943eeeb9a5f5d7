"""Judge a candidate, and the champion it wants to replace, on the same later rows."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.arrays import Scores
from training.bootstrap import difference_interval
from training.bundles import Model, read_archive, read_bundle
from training.consistency import read_report
from training.contract import Contract, ProgramError
from training.curves import curves, gain
from training.figures import Consistency
from training.gate import Facts, GatePolicy, judge
from training.metrics import summarise
from training.parts import Part, read_description, read_part
from training.train import FITTED_UNTIL

__all__ = ["evaluate"]

type Document = dict[str, Any]


def evaluate(contract: Contract, policy: GatePolicy, *, resamples: int = 200, seed: int = 17) -> Path:
    """Run an evaluation job: inputs `dataset`, `model` and, if a model serves, `champion`.

    Returns
    -------
    Path
        evaluation.json: figures of both models, curves for plots, and the gate's verdict.

    Raises
    ------
    ProgramError
        An input is absent or damaged, or the candidate was not trained on this dataset.

    Notes
    -----
    The dataset's consistency.json, where there is one, tells whether serving saw the features as they are.
    """
    folder = contract.processing_input("dataset")
    description = read_description(folder)
    part = read_part(folder, "evaluation", description.features)
    candidate = read_archive(contract.processing_input("model"))
    if candidate.manifest.lineage.dataset != description.fingerprint:
        raise ProgramError(
            f"The candidate was trained on dataset {candidate.manifest.lineage.dataset[:12]}, not on this one "
            f"({description.fingerprint[:12]}), so its evaluation rows need not be later than what it has seen. "
            "Pass the dataset and the model of the same run."
        )
    champion = read_bundle(contract.processing_input("champion"))
    names = description.features
    scores = candidate.score(part.vectors, names)
    document: Document = {
        "run_id": candidate.manifest.lineage.run_id,
        "rows": len(part.labels),
        "frauds": int(part.labels.sum()),
        "window": [int(part.times.min()), int(part.times.max())],
        "candidate": _figures(candidate, part, names, scores),
        "champion": None,
        "difference": None,
        "consistency": _consistency(read_report(folder), candidate.booster.get_score(importance_type="weight")),
        # Apart from the figures, which travel through the state machine and its logs.
        "plots": {"candidate": _plots(candidate, part, scores), "champion": None},
    }
    if champion is not None:
        theirs = champion.score(part.vectors, names)
        document["champion"] = _figures(champion, part, names, theirs)
        document["plots"]["champion"] = _plots(champion, part, theirs)
        document["difference"] = _difference(document, part, scores, theirs, resamples, seed)
    verdict = judge(_facts(document), policy)
    document["verdict"] = {**asdict(verdict), "policy": asdict(policy)}
    target = contract.processing_output("evaluation")
    target.mkdir(parents=True, exist_ok=True)
    path = target / "evaluation.json"
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    for role in ("candidate", "champion"):
        _say(role, document[role])
    sys.stdout.write(verdict.reason + "\n")
    return path


def _consistency(report: Consistency | None, used: Iterable[str]) -> Document | None:
    """How far what serving saw of some features can be trusted; None where there were no decisions.

    Those are the features that the model's trees look at: another column cannot make a score wrong.
    """
    if report is None or not report.rows:
        return None
    used = tuple(used)
    settled, worst = report.worst_settled(used), report.worst(used)
    return {
        "rows": report.rows,
        "identical": report.identical,
        "settled_feature": "" if settled is None else settled.name,
        "settled": 0 if settled is None else settled.settled,
        "settled_mismatch": 0.0 if settled is None else settled.settled_share,
        "lagging_feature": "" if worst is None else worst.name,
        "lagging_mismatch": 0.0 if worst is None else worst.share,
        "unjudged": report.unjudged(used),
    }


def _figures(model: Model, part: Part, names: tuple[str, ...], scores: Scores) -> Document:
    fitted_until = int(model.manifest.lineage.parameters.get(FITTED_UNTIL, "0"))
    return {
        "version": model.manifest.version,
        "feature_set": model.manifest.feature_set,
        **summarise(part.labels, scores, part.cards, part.times),
        "missing_features": model.missing(names),
        # More than 0 flatters a model: it has seen some of what it is judged on.
        "rows_seen_before": int(np.sum(part.times <= fitted_until)),
    }


def _plots(model: Model, part: Part, scores: Scores) -> Document:
    return {**curves(part.labels, scores), "gain": gain(model.booster)}


def _difference(
    document: Document, part: Part, candidate: Scores, champion: Scores, resamples: int, seed: int
) -> Document:
    interval = difference_interval(part.labels, candidate, champion, part.cards, resamples=resamples, seed=seed)
    values = [document[role]["average_precision"] for role in ("candidate", "champion")]
    return {
        "average_precision": None if None in values else values[0] - values[1],
        "interval_95_by_card": None if interval is None else [interval.low, interval.high],
        "resamples": 0 if interval is None else interval.resamples,
    }


def _facts(document: Document) -> Facts:
    def figure(role: str, name: str) -> float:
        value = document[role][name]
        return float("nan") if value is None else float(value)

    champion, consistency = document["champion"], document["consistency"] or {}
    return Facts(
        rows=document["rows"],
        frauds=document["frauds"],
        base_rate=document["frauds"] / document["rows"],
        average_precision=figure("candidate", "average_precision"),
        calibration_error=figure("candidate", "expected_calibration_error"),
        champion_average_precision=None if champion is None else figure("champion", "average_precision"),
        champion_version="" if champion is None else champion["version"],
        compared=consistency.get("rows", 0),
        **{name: value for name, value in consistency.items() if name not in ("rows", "identical")},
    )


def _say(role: str, figures: Document | None) -> None:
    if figures is None:
        return
    shown = ("auc", "average_precision", "expected_calibration_error")
    line = " ".join(f"{role}:{name}={figures[name]:.6f}" for name in shown if figures[name] is not None)
    sys.stdout.write(f"version={figures['version']} {line}\n")

"""Judge a candidate, and the champion it wants to replace, on the same later rows."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from training.assessment import Assessment, compare
from training.bundles import Model, read_archive, read_bundle
from training.consistency import read_report
from training.consistency_figures import Consistency
from training.contract import Contract, ProgramError
from training.curves import curves
from training.drivers import drivers, gain
from training.evaluation_report import render
from training.footprint import bundle_bytes, latency_us
from training.gate import Facts, judge, times_apart
from training.money import BY_DEFAULT
from training.parts import ABOUT, read_description, read_part
from training.plan import read_plan
from training.slices import slice_figures, weekly_figures
from training.train import FITTED_UNTIL

__all__ = ["evaluate"]

DOCUMENT = "evaluation.json"
PAGE = "report.html"

type Document = dict[str, Any]


def evaluate(
    contract: Contract, *, resamples: int = 200, seed: int = 17, clock: Callable[[], float] = time.perf_counter
) -> Path:
    """Run an evaluation job: inputs `dataset`, `model` and, if there are such, `champion` and `plan`.

    Parameters
    ----------
    resamples, seed : int
        Of the bootstrap by card.
    clock : callable
        Seconds; the one thing that is measured rather than computed is how long an answer takes.

    Returns
    -------
    Path
        evaluation.json: figures of both models, series for plots, and the gate's verdict. Beside it lies
        report.html, the same for people.

    Raises
    ------
    ProgramError
        An input is absent or damaged, or the candidate was not trained on this dataset.

    Notes
    -----
    The dataset's consistency.json, where there is one, tells whether serving saw the features as they are.
    """
    plan = read_plan(contract)
    folder = contract.processing_input("dataset")
    description = read_description(folder / ABOUT)
    part = read_part(folder / "evaluation", description.features)
    candidate = read_archive(contract.processing_input("model"))
    if candidate.manifest.lineage.dataset != description.fingerprint:
        raise ProgramError(
            f"The candidate was trained on dataset {candidate.manifest.lineage.dataset[:12]}, not on this one "
            f"({description.fingerprint[:12]}), so its evaluation rows need not be later than what it has seen. "
            "Pass the dataset and the model of the same run."
        )
    champion = read_bundle(contract.processing_input("champion"))
    names, policy = description.features, plan.payment_policy or BY_DEFAULT
    models = {"candidate": candidate} | ({} if champion is None else {"champion": champion})
    judged = {
        role: Assessment.of(part, model.score(part.vectors, names), policy) for role, model in models.items()
    }
    mine, theirs = judged["candidate"], judged.get("champion")
    intervals, difference = compare(mine, theirs, resamples=resamples, seed=seed)
    document: Document = {
        "run_id": candidate.manifest.lineage.run_id,
        "rows": len(part.labels),
        "frauds": int(part.labels.sum()),
        # By weight, as all figures are that it is compared with.
        "fraud_rate": float(np.average(part.labels, weights=part.weights)),
        "window": [int(part.times.min()), int(part.times.max())],
        "weighted": bool(np.any(part.weights != 1)),
        "champion": None,
        **{role: _figures(model, judged[role], names) for role, model in models.items()},
        "intervals": intervals,
        "difference": difference,
        "consistency": _consistency(
            read_report(folder / ABOUT), candidate.booster.get_score(importance_type="weight")
        ),
        "serving": {
            "latency_us": latency_us(candidate, part, names, clock),
            "bundle_bytes": bundle_bytes(contract.processing_input("model")),
        },
        "money": {
            "policy": policy.version,
            **{role: _told(each.ledger.figures(part.weights)) for role, each in judged.items()},
        },
        "weeks": {role: weekly_figures(part, each.scores, each.ledger) for role, each in judged.items()},
        "slices": slice_figures(
            part, mine.scores, None if theirs is None else theirs.scores, resamples=resamples, seed=seed
        ),
        "drivers": drivers(candidate, part, names, seed=seed),
        "dataset": msgspec.to_builtins(description),
        # Apart from the figures, which travel through the state machine and its logs.
        "plots": {"champion": None, **{role: _plots(model, judged[role]) for role, model in models.items()}},
    }
    verdict = judge(_facts(document, plan.policy.gate.minimum_slice_frauds), plan.policy.gate)
    document["verdict"] = {**msgspec.to_builtins(verdict), "policy": msgspec.to_builtins(plan.policy.gate)}
    target = contract.processing_output("evaluation")
    target.mkdir(parents=True, exist_ok=True)
    path = target / DOCUMENT
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    (target / PAGE).write_text(render(document))
    for role in models:
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


def _figures(model: Model, judged: Assessment, names: tuple[str, ...]) -> Document:
    fitted_until = int(model.manifest.lineage.parameters.get(FITTED_UNTIL, "0"))
    part = judged.part
    return {
        "version": model.manifest.version,
        "feature_set": model.manifest.feature_set,
        **judged.figures(),
        # What the payments that were let through at random would tell if each stood for itself alone.
        "unweighted": judged.figures(weighted=False) if np.any(part.weights != 1) else None,
        "missing_features": model.missing(names),
        # More than 0 flatters a model: it has seen some of what it is judged on.
        "rows_seen_before": int(np.sum(part.times <= fitted_until)),
    }


def _plots(model: Model, judged: Assessment) -> Document:
    return {**curves(judged.part.labels, judged.scores), "gain": gain(model.booster)}


def _told(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}


def _facts(document: Document, minimum_slice_frauds: int = 1) -> Facts:
    def figure(role: str, name: str) -> float:
        return _number(document[role][name])

    champion, consistency = document["champion"], document["consistency"] or {}
    told = document.get("difference") or {}
    # Of many small slices some fare worse by luck: only a loss counts that its interval confirms.
    losses = [
        (-each["difference"], each)
        for each in document.get("slices", ())
        if each["frauds"] >= minimum_slice_frauds and _lost(each)
    ]
    loss, worst = max(losses, key=lambda entry: entry[0], default=(0.0, None))
    return Facts(
        rows=document["rows"],
        frauds=document["frauds"],
        base_rate=document["fraud_rate"],
        calibration_factor=times_apart(figure("candidate", "mean_score"), document["fraud_rate"]),
        average_precision=figure("candidate", "average_precision"),
        calibration_error=figure("candidate", "expected_calibration_error"),
        champion_average_precision=None if champion is None else figure("champion", "average_precision"),
        champion_version="" if champion is None else champion["version"],
        confidence=_number(told.get("average_precision", {}).get("confidence")),
        slice_name="" if worst is None else f"{worst['dimension']} {worst['value']}",
        slice_loss=loss,
        slice_frauds=0 if worst is None else worst["frauds"],
        compared=consistency.get("rows", 0),
        **{name: value for name, value in consistency.items() if name not in ("rows", "identical")},
        **document.get("serving", {}),
    )


def _lost(slice_: Document) -> bool:
    reach = slice_.get("difference_95")
    return reach is not None and reach[1] < 0


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _say(role: str, figures: Document) -> None:
    shown = ("auc", "average_precision", "expected_calibration_error")
    line = " ".join(f"{role}:{name}={figures[name]:.6f}" for name in shown if figures[name] is not None)
    sys.stdout.write(f"version={figures['version']} {line}\n")

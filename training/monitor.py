"""Monitoring of models and data: what the lake says of the last days, and of the model that decided in them."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from fraud.features import STANDARD, FeatureSet
from fraud.monitoring import Figures
from fraud.monitoring_verdict import judge
from training.consistency import compare, write_report
from training.consistency_figures import Consistency
from training.contract import Contract
from training.drift import Sample, feature_drift, in_deciles, in_steps, score_drift, surely_moved
from training.gate import times_apart
from training.monitoring_document import DOCUMENT, PAGE, Audit, FeatureDrift, Quality, Report, ScoreDrift
from training.monitoring_lake import Watched, audit, last_label, read_watched
from training.monitoring_plan import MonitoringPlan, read_monitoring_plan
from training.monitoring_quality import (
    ACTIONS,
    Evaluated,
    known_labels,
    quality,
    read_evaluated,
    shares,
    slices,
)
from training.monitoring_report import render
from training.profile import Profile, profile_of, read_profile
from training.sources import Engine, Sources, read_sources, recompute, say, unite

__all__ = ["monitor"]

type Flags = npt.NDArray[np.bool_]


def monitor(
    contract: Contract,
    features: FeatureSet = STANDARD,
    *,
    engine: Engine = "vectorised",
    resamples: int = 200,
    seed: int = 17,
) -> Path:
    """Run a monitoring job: plan, the inputs of the dataset step, champion, evaluation -> the report.

    The last two may be absent: the bundle of the model that serves, and the evaluation of the run that made it.

    Returns
    -------
    Path
        monitoring.json; beside it lie report.html, consistency.json and consistency.html.

    Raises
    ------
    ProgramError
        An input cannot be used.
    """
    plan = read_monitoring_plan(contract)
    sources = read_sources(contract, features)
    folder = contract.processing_input("decisions")
    watched, repeats = read_watched(folder, sources.decisions, plan.champion, plan.as_of)
    now, before = watched.within(plan.window), watched.within(plan.window_before)
    say(f"monitoring: {int(now.sum())} decisions in the window, {int(before.sum())} in the one before")
    target = contract.processing_output("monitoring")
    consistency = _consistency(sources, watched, now, plan, features, engine)
    write_report(target, consistency)
    evaluated = read_evaluated(contract.processing_input("evaluation"))
    drifted, against = _features(contract, sources, watched, (now, before), plan, features)
    scores = _scores(watched, (now, before), plan, evaluated)
    labels = known_labels(sources, watched, plan)
    told = quality(watched, labels, evaluated, resamples=resamples, seed=seed)
    inputs = contract.processing_input("labels"), contract.processing_input("outcomes")
    audited = audit(inputs, sources, watched, repeats, plan)
    figures = _figures(
        plan,
        (watched, now, before),
        drifted,
        scores,
        told,
        consistency,
        audited,
        last_label(inputs[0], plan.as_of),
    )
    deciders, counts = np.unique(watched.versions[now].astype(np.str_), return_counts=True)
    report = Report(
        run_id=plan.run_id,
        as_of=plan.as_of,
        window=plan.window,
        window_before=plan.window_before,
        champion=plan.champion,
        verdict=judge(figures, plan.monitoring),
        figures=figures,
        policy=plan.monitoring,
        deciders=dict(zip(deciders.tolist(), counts.tolist(), strict=True)),
        actions=shares(watched.decisions[now]),
        actions_before=shares(watched.decisions[before]),
        degraded=int((watched.degraded & now).sum()),
        scores=scores,
        features_against=against,
        features=drifted,
        quality=told,
        slices=slices(watched, labels, now, before),
        consistency=consistency.sentence,
        audit=audited,
    )
    path = target / DOCUMENT
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    (target / PAGE).write_text(render(report), encoding="utf-8")
    say(report.verdict.reason)
    return path


def _sample(watched: Watched, rows: Flags) -> Sample:
    return Sample(int(rows.sum()), len(np.unique(watched.cards[rows])))


def _usable(sources: Sources, watched: Watched, features: FeatureSet) -> Flags:
    """Decisions with a vector of today's feature set, made with state."""
    decisions = sources.decisions
    whole: Flags = decisions.has_vector & ~decisions.degraded & (decisions.feature_sets == features.version)
    usable: Flags = whole[watched.rows]
    return usable


def _features(
    contract: Contract,
    sources: Sources,
    watched: Watched,
    windows: tuple[Flags, Flags],
    plan: MonitoringPlan,
    features: FeatureSet,
) -> tuple[tuple[FeatureDrift, ...], str]:
    """Drift against what the champion was trained on or, where its bundle does not say, the window before."""
    usable = _usable(sources, watched, features)
    now, before = (window & usable for window in windows)
    profile: Profile | None = read_profile(contract.processing_input("champion"))
    against = "training"
    if profile is None and before.any():
        rows = sources.decisions.vectors[watched.rows[before]]
        profile, against = profile_of(features.names, rows, np.zeros(len(rows), np.int8)), "window before"
    if profile is None or not now.any():
        return (), ""
    found = feature_drift(
        profile,
        features.names,
        sources.decisions.vectors[watched.rows[now]],
        _sample(watched, now),
        bound=plan.monitoring.drifted_from,
        chance=plan.monitoring.chance,
    )
    return found, against


def _scores(
    watched: Watched, windows: tuple[Flags, Flags], plan: MonitoringPlan, evaluated: Evaluated | None
) -> tuple[ScoreDrift, ...]:
    """The champion's scores against its evaluation, which slow drift cannot follow, and the window before."""
    scored = ~np.isnan(watched.scores) & ~watched.degraded
    now, before = (window & scored for window in windows)
    if not now.any():
        return ()
    values, sample, chance = watched.scores[now], _sample(watched, now), plan.monitoring.chance
    found = []
    if evaluated is not None and any(counts := evaluated.histogram[1]):
        steps = in_steps(evaluated.histogram[0], counts)
        found.append(score_drift("evaluation", steps, sum(counts), values, sample, chance=chance))
    # Of as few rows, deciles are chance themselves.
    if before.sum() >= plan.monitoring.minimum_decisions:
        deciles = in_deciles(watched.scores[before])
        found.append(score_drift("window before", deciles, int(before.sum()), values, sample, chance=chance))
    return tuple(found)


def _consistency(
    sources: Sources, watched: Watched, now: Flags, plan: MonitoringPlan, features: FeatureSet, engine: Engine
) -> Consistency:
    """What serving saw against what it should have seen, in the decisions of the window."""
    payments = unite(sources, plan.as_of, features.version)
    asked = np.isin(payments.names, watched.names[now])
    outside = np.where(asked, payments.unusable, "outside")
    report = compare(
        replace(payments, unusable=outside),
        sources.decisions,
        recompute(payments, features, engine),
        features,
        as_of=plan.as_of,
    )
    left_out = {name: count for name, count in report.left_out.items() if name != "outside"}
    return msgspec.structs.replace(report, left_out=left_out)


def _figures(
    plan: MonitoringPlan,
    seen: tuple[Watched, Flags, Flags],
    features: tuple[FeatureDrift, ...],
    scores: tuple[ScoreDrift, ...],
    told: Quality | None,
    consistency: Consistency,
    audited: Audit,
    last: int | None,
) -> Figures:
    """The numbers that are judged and counted."""
    watched, now, before = seen
    actions = shares(watched.decisions[now])
    worst = next((each for each in features if each.index > each.noise), None)
    moved = max(
        (each for each in features if each.missing_moved and each.missing > each.missing_before),
        key=lambda each: each.missing - each.missing_before,
        default=None,
    )
    changed, action = _rate_change(watched, now, before, plan)
    settled = consistency.worst_settled()
    allowed = plan.monitoring.maximum_mismatch
    judged = any(each.judged for each in consistency.features)
    skew = settled.settled_share if settled else 0.0 if judged else None
    factor, least = _factor(told)
    return Figures(
        decisions=int(now.sum()),
        champion=plan.champion,
        score_index=max((each.told for each in scores), default=None),
        features=len(features),
        drifted=sum(each.drifted for each in features),
        feature_index=(worst.index if worst else 0.0) if features else None,
        drifted_feature=worst.name if worst else "",
        missing_change=(moved.missing - moved.missing_before if moved else 0.0) if features else None,
        missing_feature=moved.name if moved else "",
        **{name: actions.get(name) for name in ACTIONS},
        rate_change=changed,
        rate_action=action,
        matured=told.rows if told else 0,
        frauds=told.frauds if told else 0,
        calibration_error=told.calibration_error if told else None,
        calibration_factor=factor,
        calibration_least=least,
        auc=told.auc if told else None,
        auc_most=(told.intervals["auc"] or (None, None))[1] if told else None,
        auc_before=told.auc_evaluated if told else None,
        skewed=sum(each.judged and each.settled_share > allowed for each in consistency.features),
        skewed_feature=settled.name if settled else "",
        skew=skew,
        decided_twice=audited.decided_twice_now,
        lost=audited.lost_now,
        label_silence=None if last is None else (plan.as_of - last) / 1_000,
    )


def _rate_change(watched: Watched, now: Flags, before: Flags, plan: MonitoringPlan) -> tuple[float | None, str]:
    """The largest change of an action's share that is more than chance."""
    if before.sum() < plan.monitoring.minimum_decisions or not now.any():
        return None, ""
    here, there = _sample(watched, now), _sample(watched, before)
    first, second = shares(watched.decisions[now]), shares(watched.decisions[before])
    sure = [
        (first[action] - second[action], action)
        for action in ACTIONS
        if surely_moved(first[action], second[action], here.cards, there.cards)
    ]
    return max(sure, key=lambda each: abs(each[0]), default=(0.0, ""))


def _factor(told: Quality | None) -> tuple[float | None, float | None]:
    """How far expected and known frauds are apart, and the least of it that the interval leaves possible."""
    reach = told.intervals["factor"] if told else None
    if told is None or reach is None:
        return None, None
    low, high = reach
    least = 1.0 if low <= 1 <= high else min(times_apart(1.0, each) for each in reach)
    factor = times_apart(told.expected, told.known)
    return (factor if np.isfinite(factor) else None), (least if np.isfinite(least) else None)

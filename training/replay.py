"""Replay a stretch of the past: decide it once more, through other features, models, rules or policies.

Nothing happens by it. The program has neither a client of AWS nor a network: it reads files, and writes a report.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from fraud.features import STANDARD, FeatureSet
from training.bundles import Model, read_bundle
from training.calibrate import calibrated
from training.contract import Contract, ProgramError
from training.lake import read_decisions, read_history, read_labels, read_outcomes
from training.outcomes import verdicts
from training.replay_figures import Compared, Figures, changed_payment
from training.replay_judging import Judge
from training.replay_past import PastDecisions, Stretch
from training.replay_plan import FEATURE_SETS, SERVED, ReplayPlan, feature_set, read_replay_plan
from training.replay_report import render
from training.sources import Sources, recompute, say, unite

__all__ = ["CHANGES", "DOCUMENT", "PAGE", "replay"]

DOCUMENT, PAGE, CHANGES = "replay.json", "report.html", "changes.parquet"

_TEXT, _NUMBER, _WHOLE, _TEXTS = pa.string(), pa.float64(), pa.int64(), pa.list_(pa.string())
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("event_id", "merchant_id", "transaction_id"), _TEXT),
    **dict.fromkeys(("event_time", "amount"), _WHOLE),
    **dict.fromkeys(("currency", "from", "to"), _TEXT),
    **dict.fromkeys(("score", "new_score"), _NUMBER),
    **dict.fromkeys(("rules", "new_rules"), _TEXTS),
    "truth": _TEXT,
}
_CHANGED = pa.schema(_TYPES)

type Matrix = npt.NDArray[np.float64]


def replay(contract: Contract) -> Path:
    """Run a replay job: inputs `plan`, `bundles`, `decisions`, `labels`, and for features anew the whole lake.

    Returns
    -------
    Path
        replay.json; beside it lie report.html, the same for people, and changes.parquet, with every decision that
        comes out otherwise.

    Raises
    ------
    ProgramError
        An input cannot be used, the model wants features that nothing here knows, or there is nothing to replay.
    """
    began = time.monotonic()
    plan = read_replay_plan(contract)
    models = _models(contract.processing_input("bundles"), plan)
    judge = Judge(plan)
    anew = _Anew.of(contract, plan, models, judge)
    wanted = {name for model in models.values() for name in model.manifest.features} | judge.needs
    columns = tuple(sorted(wanted & ({*STANDARD.names} | {*(anew.names if anew else ())})))
    known = _truth(contract, plan)
    stretch = Stretch(
        contract.processing_input("decisions"),
        since=plan.since,
        until=plan.until,
        merchant=plan.merchant,
        columns=columns,
    )
    figures = Figures()
    target = contract.processing_output("report")
    target.mkdir(parents=True, exist_ok=True)
    seen = 0
    with pq.ParquetWriter(target / CHANGES, _CHANGED) as changes:
        for part in stretch.parts():
            replayed = list(_Part(plan, models, judge, columns, anew, known, part).replayed(figures))
            figures.add(replayed)
            changed = [changed_payment(each) for each in replayed if each.changed]
            if changed:
                changes.write_table(pa.Table.from_pylist(changed, _CHANGED))
            seen += len(part.decisions)
            say(f"replay: {seen} decisions")
    if not seen:
        raise ProgramError(
            "No decision lies in this stretch; name another time, or another merchant. A decision is in the lake "
            "some minutes after it was made."
        )
    seconds = time.monotonic() - began
    document = _document(plan, models, figures.told(), repeated=stretch.repeated, seconds=seconds)
    (target / DOCUMENT).write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    (target / PAGE).write_text(render(document))
    say(document["sentence"])
    return target / DOCUMENT


@dataclass(frozen=True, slots=True)
class _Anew:
    """Features computed anew, of every decision of the lake, in columns."""

    names: tuple[str, ...]
    index: "pd.Index[str]"
    vectors: Matrix

    @classmethod
    def of(cls, contract: Contract, plan: ReplayPlan, models: Mapping[str, Model], judge: Judge) -> "_Anew | None":
        """Compute those of the asked set that a model or a rule looks at, from all history there is."""
        if plan.features == SERVED:
            return None
        chosen = feature_set(plan.features)
        wanted = {name for model in models.values() for name in model.manifest.features} | judge.needs
        needed = FeatureSet(*(each for each in chosen.features if each.name in wanted))
        folders = {
            name: contract.processing_input(name) for name in ("history", "decisions", "labels", "outcomes")
        }
        sources = Sources(
            read_history(folders["history"]),
            read_decisions(folders["decisions"], ()),
            read_labels(folders["labels"]),
            read_outcomes(folders["outcomes"]),
        )
        payments = unite(sources, max(plan.as_of, plan.until), needed.version)
        vectors = recompute(payments, needed, "vectorised") if needed.names else np.empty((len(payments.names), 0))
        return cls(needed.names, pd.Index(payments.names), vectors)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some decisions, and what they are replayed through."""

    plan: ReplayPlan
    models: Mapping[str, Model]
    judge: Judge
    columns: tuple[str, ...]
    anew: _Anew | None
    known: "pd.Series[bool]"
    past: PastDecisions

    def replayed(self, figures: Figures) -> Iterator[Compared]:
        """Each decision beside its replay; `figures` is told of those that cannot be replayed."""
        vectors = self._vectors()
        scores, left_out = self._scores(vectors)
        places = [(name, self.columns.index(name)) for name in sorted(self.judge.needs) if name in self.columns]
        told = self.known.index.get_indexer(pd.Index(self.past.names))
        verdict = self.known.to_numpy()
        for row, past in enumerate(self.past.decisions):
            reason = left_out[row] or self.judge.left_out(past)
            if reason:
                figures.leave_out(reason)
                continue
            score = scores[row]
            values = {name: float(vectors[row, place]) for name, place in places}
            judged = self.judge.judge(past, values, score, same_score=_bits(score) == _bits(past.score))
            truth = "unknown" if told[row] < 0 else "fraud" if verdict[told[row]] else "genuine"
            note = judged.note or ("without_score" if score is None else "")
            yield Compared(past, judged.action, score, judged.rules, truth, note)

    def _vectors(self) -> Matrix:
        """As served, and the columns that were computed anew in their place."""
        if self.anew is None:
            return self.past.vectors
        vectors = self.past.vectors.copy()
        rows = self.anew.index.get_indexer(pd.Index(self.past.names))
        for place, name in enumerate(self.columns):
            if name in self.anew.names:
                vectors[:, place] = self.anew.vectors[rows, self.anew.names.index(name)]
        return vectors

    def _scores(self, vectors: Matrix) -> tuple[list[float | None], list[str]]:
        """The calibrated score of each, and why it cannot be told; a decision without a score may stay without."""
        decisions = self.past.decisions
        scores: list[float | None] = [None] * len(decisions)
        left_out = [""] * len(decisions)
        rows: dict[str, list[int]] = {}
        for row, past in enumerate(decisions):
            if self.plan.model == SERVED:
                if past.model_version:
                    rows.setdefault(past.model_version, []).append(row)
            elif self.anew is not None or past.was_read:
                rows.setdefault(self.plan.model, []).append(row)
        for version, mine in rows.items():
            model = self.models.get(version)
            if model is None:
                for row in mine:
                    left_out[row] = "model_not_kept"
                continue
            if self.plan.model != SERVED and self.anew is None:
                strange = self.past.feature_sets[mine] != model.manifest.feature_set
                for row in np.array(mine)[strange].tolist():
                    left_out[row] = "other_feature_set"
                mine = [row for row in mine if not left_out[row]]
            for row, score in zip(mine, _scored(model, vectors[mine], self.columns), strict=True):
                scores[row] = score
        return scores, left_out


def _scored(model: Model, vectors: Matrix, columns: tuple[str, ...]) -> list[float]:
    """What serving says of each row, to the last bit."""
    if not len(vectors):
        return []
    data = xgb.DMatrix(
        model.aligned(vectors, columns), missing=np.nan, feature_names=list(model.manifest.features)
    )
    raw = model.booster.predict(data).astype(np.float64)
    found: list[float] = calibrated(raw, model.manifest.calibration).tolist()
    return found


def _models(folder: Path, plan: ReplayPlan) -> dict[str, Model]:
    models = {}
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        model = read_bundle(each)
        if model is not None:
            models[each.name] = model
    if plan.model == SERVED:
        return models
    chosen = models.get(plan.model)
    if chosen is None:
        raise ProgramError(f"There is no bundle {plan.model} under {folder}; start the replay again.")
    there = {*STANDARD.names, *feature_set(plan.features).names}
    missing = chosen.missing(sorted(there))
    if missing:
        more = f" and {len(missing) - 1} more features" if len(missing) > 1 else ""
        raise ProgramError(
            f"Model {plan.model} wants {missing[0]}{more}, which decisions do not carry and --features "
            f"{plan.features} does not compute; name a set that does: {', '.join(FEATURE_SETS)}."
        )
    return {plan.model: chosen}


def _truth(contract: Contract, plan: ReplayPlan) -> "pd.Series[bool]":
    """What is known of payments by now, by their event ids."""
    labels = read_labels(contract.processing_input("labels"))
    return verdicts(labels, plan.as_of, plan.minimum_confidence)


def _bits(score: float | None) -> str:
    return "" if score is None else score.hex()


def _document(
    plan: ReplayPlan, models: Mapping[str, Model], told: dict[str, Any], *, repeated: int, seconds: float
) -> dict[str, Any]:
    left_out = Counter(told["cannot_be_replayed"]).total()
    return {
        **{name: getattr(plan, name) for name in ("id", "since", "until", "as_of", "merchant")},
        "asked": {name: getattr(plan, name) for name in ("features", "model", "rules", "policy")},
        "models": sorted(models),
        "given_policy": msgspec.to_builtins(plan.given_policy),
        "given_rules": [each.id for each in plan.given_rules.rules] if plan.given_rules else None,
        "sentence": _sentence(told, left_out),
        **told,
        "repeated": repeated,
        "seconds": round(seconds, 3),
        "rows_per_second": round(told["decisions"] / seconds) if seconds > 0 else 0,
    }


def _sentence(told: dict[str, Any], left_out: int) -> str:
    aside = f" {left_out:,} cannot be replayed." if left_out else ""
    if told["identical"]:
        return (
            f"Nothing changes: of {told['replayed']:,} decisions every action, every rule and every score is the "
            f"recorded one, to the last bit.{aside}"
        )
    moved = told["scores"]["compared"] - told["scores"]["equal"]
    return (
        f"{told['changed']:,} of {told['replayed']:,} decisions come out otherwise; {moved:,} scores of "
        f"{told['scores']['compared']:,} differ.{aside}"
    )

"""From a table of payments to scores, decisions and reasons: the figures of serving, on whole columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import xgboost as xgb

from fraud.decision import explain
from fraud.features import STANDARD, FeatureSet
from fraud.policy import Policy
from fraud.tokens import IDENTIFIERS, Tokeniser
from ops.featurestore.histories import table_of
from ops.scoring.errors import ScoringError
from training.bundles import Model
from training.calibrate import calibrated
from training.engines import vectorised
from training.engines.events import EventTable

__all__ = ["Scoring", "decided", "tokenised"]

type Column = npt.NDArray[np.float64]
type Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Scoring:
    """A model, and what follows from its scores.

    Parameters
    ----------
    policy : Policy or None
        What decides; None to score only. Its bounds on declines and reviews, and what it lets through, are left
        aside: they belong to payments that arrive one after the other.
    reasons : bool
        Whether to tell the reasons of what is not approved, or of every row where nothing decides.

    Raises
    ------
    ScoringError
        If the model wants a feature that there is no definition of.
    """

    model: Model
    policy: Policy | None = None
    reasons: bool = False
    features: FeatureSet = STANDARD

    def __post_init__(self) -> None:
        unknown = self.model.missing(self.features.names)
        if unknown:
            raise ScoringError(
                f"the model wants {', '.join(unknown)}, which no definition here computes; use the version of "
                "Paywarden that trained it"
            )

    def rows(
        self, frame: pd.DataFrame, *, since: int | None = None, batch: int = 65_536, progress: Progress
    ) -> Iterator[pa.Table]:
        """Score canonical rows, each transaction once, a batch at a time and in their order.

        The features of a row are those of the moment: what is later in the table is not looked at, nor are labels
        before they were known. They are computed for all rows at once, in 8 bytes a row and feature of the model.

        Parameters
        ----------
        since : int, optional
            Score from this time on, in ms since the epoch; rows before it are history only.

        Yields
        ------
        pyarrow.Table
            merchant_id, transaction_id, event_time, raw_score, score; decision, where there is a policy; reasons
            (a list of codes, the weightiest first), where they are asked for.
        """
        wanted = self.model.manifest.features
        needed = FeatureSet(*(each for each in self.features.features if each.name in set(wanted)))
        matrix = vectorised.compute(EventTable.of(table_of(frame)), needed, progress=progress)
        columns = [needed.names.index(name) for name in wanted]
        times = frame["event_time"].to_numpy(np.int64)
        chosen = np.arange(len(frame)) if since is None else np.flatnonzero(times >= since)
        for start in range(0, len(chosen), batch):
            progress("scores", start, len(chosen))
            places = chosen[start : start + batch]
            yield self._scored(frame.iloc[places], matrix[places][:, columns])
        progress("scores", len(chosen), len(chosen))

    def _scored(self, frame: pd.DataFrame, vectors: npt.NDArray[np.float64]) -> pa.Table:
        manifest, booster = self.model.manifest, self.model.booster
        data = xgb.DMatrix(vectors, missing=np.nan, feature_names=list(manifest.features))
        raw = booster.predict(data).astype(np.float64)
        scores = calibrated(raw, manifest.calibration)
        told: dict[str, Any] = {
            "merchant_id": pa.array(frame["merchant_id"], pa.string()),
            "transaction_id": pa.array(frame["transaction_id"], pa.string()),
            "event_time": frame["event_time"].to_numpy(np.int64),
            "raw_score": raw,
            "score": scores,
        }
        explained = np.ones(len(frame), np.bool_)
        if self.policy is not None:
            actions = decided(self.policy, frame["amount"].to_numpy(np.int64), scores)
            explained = actions != "approve"
            told["decision"] = pa.array(actions, pa.string())
        if self.reasons:
            told["reasons"] = self._reasons(vectors, explained)
        return pa.table(told)

    def _reasons(self, vectors: npt.NDArray[np.float64], explained: npt.NDArray[np.bool_]) -> "pa.Array[Any]":
        names = self.model.manifest.features
        codes: list[list[str]] = [[] for _ in vectors]
        if explained.any():
            data = xgb.DMatrix(vectors[explained], missing=np.nan, feature_names=list(names))
            found = self.model.booster.predict(data, pred_contribs=True)[:, :-1].astype(np.float64).tolist()
            for row, weights in zip(np.flatnonzero(explained).tolist(), found, strict=True):
                given = explain(self.features, dict(zip(names, weights, strict=True)))
                codes[row] = [each.code for each in given]
        return pa.array(codes, pa.list_(pa.string()))


def decided(policy: Policy, amounts: npt.NDArray[np.int64], scores: Column) -> npt.NDArray[np.str_]:
    """What a policy decides for each row, without its bounds."""
    if policy.thresholds is not None:
        steps = policy.thresholds
        return np.select(
            [scores >= steps.decline, scores >= steps.review, scores >= steps.challenge],
            ["decline", "review", "challenge"],
            "approve",
        )
    # The formula takes columns as it takes numbers, in the same operations and so with the same bits.
    expected: Any = policy.costs.expected if policy.costs is not None else None
    costs: dict[str, Column] = expected(amounts.astype(np.float64), scores)
    # Of actions that cost the same, the first counts: the mildest.
    return np.array(list(costs))[np.argmin(np.stack(list(costs.values())), axis=0)]


def tokenised(frame: pd.DataFrame, tokeniser: Tokeniser) -> pd.DataFrame:
    """Canonical rows with identifiers as tokens under the current key, as a deployment stores them.

    Counts do not depend on it; how many different values were seen may, where there are more of them than a state
    keeps apart.
    """
    kept = frame.copy()
    for name, kind in IDENTIFIERS.items():
        values = frame[name].astype("object")
        if name == "customer":
            values = (frame["merchant_id"].astype("object") + "\0" + values).where(values != "", "")
        elif name == "email":
            values = values.str.strip().str.lower()
        codes, different = pd.factorize(values)
        tokens = np.array([tokeniser.token(kind, each) for each in different], np.object_)
        kept[name] = tokens[codes]
    return kept

"""A decision from the ledger, with the reasons that the model had for it."""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from fraud.bundle import CorruptBundleError
from fraud.decision import GivenReason, explain
from fraud.features import FeatureSet
from runtime.api import transaction_in_path
from runtime.booster import BoosterError
from runtime.bundles import BundleStore, ServedModel
from runtime.contract.answers import LabelRecorded
from runtime.http import Problem, Request
from runtime.stores.decisions import DECISION, LABEL, DecisionStore, Record

__all__ = ["Explainer", "read"]

MOST_MODELS = 3
"""How many models a process keeps: the one that serves, the one before, and one that somebody asks about."""


class _Told(msgspec.Struct, frozen=True):
    """`runtime.contract.answers.StoredDecision`, its parts as they were written."""

    decision: msgspec.Raw
    reasons: list[msgspec.Raw] | tuple[GivenReason, ...] | None
    labels: list[LabelRecorded]
    outcomes: list[msgspec.Raw]


class _Answered(msgspec.Struct, frozen=True):
    """What of an answer says where its reasons are: any answer ever given can be read as this."""

    model: Any = None
    reasons: list[msgspec.Raw] = []


class _Row(msgspec.Struct, frozen=True):
    """What of a decision's row its reasons follow from."""

    model_version: str
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class Explainer:
    """Works out why a model scored a stored vector as it did.

    Parameters
    ----------
    failed : callable
        Told why a model cannot be used any more.
    """

    features: FeatureSet
    bundles: BundleStore
    failed: Callable[[Exception], None]
    _models: OrderedDict[str, ServedModel] = field(default_factory=OrderedDict)

    def reasons(self, version: str, vector: Mapping[str, float]) -> tuple[GivenReason, ...] | None:
        """The reasons; None if the model is not kept any more, or wants what this code cannot give it.

        Parameters
        ----------
        vector : mapping of str to float
            As served; what is not in it was missing.
        """
        try:
            model = self._model(version)
        except (CorruptBundleError, BoosterError) as error:
            self.failed(error)
            return None
        row = [vector.get(name, math.nan) for name in model.manifest.features]
        return explain(self.features, model.contributions(row))

    def _model(self, version: str) -> ServedModel:
        found = self._models.pop(version, None) or self.bundles.load(version, self.features.names)
        self._models[version] = found
        if len(self._models) > MOST_MODELS:
            self._models.popitem(last=False)
        return found


def read(request: Request, *, ledger: DecisionStore, explainer: Explainer) -> str:
    """The JSON of a `StoredDecision`.

    Raises
    ------
    Problem
        404 for a transaction that this merchant never sent.
    """
    transaction_id = transaction_in_path(request.path)
    lines = {line.kind: line for line in ledger.all(f"{request.merchant_id}/{transaction_id}")}
    if DECISION not in lines:
        detail = "No decision was made under this id. Ask for a transaction that was sent before."
        raise Problem(404, "unknown-transaction", "Unknown transaction", detail, "transaction_id")
    told, row = lines[DECISION].answer, lines[DECISION].row
    reasons = _reasons(msgspec.json.decode(told, type=_Answered), row, explainer)
    outcomes = [msgspec.Raw(line.answer.encode()) for kind, line in lines.items() if kind.startswith("outcome#")]
    answer = _Told(msgspec.Raw(told.encode()), reasons, _labels(lines), outcomes)
    return msgspec.json.encode(answer).decode()


def _labels(lines: Mapping[str, Record]) -> list[LabelRecorded]:
    """What became known, in that order; of one moment, fraud comes last, since it wins."""
    told = [
        msgspec.json.decode(line.answer, type=LabelRecorded)
        for kind, line in lines.items()
        if kind.startswith(LABEL)
    ]
    return sorted(
        told, key=lambda each: (datetime.fromisoformat(each.known_at), each.label != "confirmed_genuine")
    )


def _reasons(
    answered: _Answered, row: Any, explainer: Explainer
) -> list[msgspec.Raw] | tuple[GivenReason, ...] | None:
    if answered.reasons or answered.model is None:
        return answered.reasons
    stored = msgspec.json.decode(row, type=_Row)
    return explainer.reasons(stored.model_version, stored.features)

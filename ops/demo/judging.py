"""Both models on the same later payments, with the vectors that serving computed for them."""

from collections.abc import Sequence

import msgspec
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from fraud.features import STANDARD
from ops.demo.model import ModelFigures
from ops.deployment import Deployment
from ops.inputs import Row
from ops.retraining import Run
from runtime.bundles import BundleStore
from runtime.stores.decisions import DECISION, DynamoDecisionStore

__all__ = ["judge"]

_POINTS = 200


def judge(deployment: Deployment, rows: Sequence[Row], runs: Sequence[Run]) -> list[ModelFigures]:
    """Score payments with the bundles of some runs, and compare with the truth of the generated world.

    None of the payments was known to any of the runs.
    """
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    vectors = [_served(ledger, row) for row in rows]
    truth = [row.is_fraud is True for row in rows]
    bundles = BundleStore(deployment.client("s3"), deployment["ModelsBucket"])
    figures = []
    for run, role in zip(runs, ("first model", "retrained model"), strict=True):
        model = bundles.load(run.version, STANDARD.names)
        scores = [model.score(model.row(STANDARD.names, vector))[1] for vector in vectors]
        precision, recall, _ = precision_recall_curve(truth, scores)
        step = max(1, len(precision) // _POINTS)
        figures.append(
            ModelFigures(
                version=run.version,
                role=role,
                auc=float(roc_auc_score(truth, scores)),
                average_precision=float(average_precision_score(truth, scores)),
                trained_until=int(model.manifest.lineage.parameters["dataset.fitted_until"]),
                precision=[float(value) for value in precision[::step]],
                recall=[float(value) for value in recall[::step]],
                scores_fraud=[score for score, fraud in zip(scores, truth, strict=True) if fraud],
                scores_genuine=[score for score, fraud in zip(scores, truth, strict=True) if not fraud],
            )
        )
    return figures


def _served(ledger: DynamoDecisionStore, row: Row) -> list[float]:
    record = ledger.get(row.transaction.event_id, DECISION)
    if record is None:
        raise LookupError(f"{row.transaction.event_id} is not in the ledger")
    features: dict[str, float] = msgspec.json.decode(record.row)["features"]
    return [features.get(name, float("nan")) for name in STANDARD.names]

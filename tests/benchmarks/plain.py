"""The same decision as it is usually written: boto3's resource, a DataFrame, XGBClassifier and shap.

It does less: the features were computed before, and there are no tokens, no rules, no checks of the body, no log.
"""

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pandas as pd
import shap
from boto3.dynamodb.conditions import Attr
from xgboost import XGBClassifier

from tests.benchmarks.plain_keys import keys_of

DYNAMODB = boto3.resource("dynamodb")
MANIFEST, MODEL = (
    boto3.client("s3").get_object(Bucket=os.environ["MODELS_BUCKET"], Key=f"bundles/run-1/{name}")["Body"].read()
    for name in ("manifest.json", "model.ubj")
)
COLUMNS = json.loads(MANIFEST)["features"]
CLASSIFIER = XGBClassifier(n_jobs=1)
CLASSIFIER.load_model(bytearray(MODEL))
EXPLAINER = shap.TreeExplainer(CLASSIFIER)
EXPLAINS = os.environ.get("EXPLAINS") == "true"


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway."""
    del context
    sent = json.loads(event["body"])
    merchant = event["requestContext"]["authorizer"]["merchant_id"]
    keys = [{"key": key} for key in keys_of(event)]
    found = DYNAMODB.batch_get_item(RequestItems={"plain": {"Keys": keys}})["Responses"]["plain"]
    values = {"amount": float(sent["amount"])}
    for item in found:
        values.update({name: float(value) for name, value in item.items() if name != "key"})
    row = pd.DataFrame([values]).reindex(columns=COLUMNS).astype("float64")
    score = float(CLASSIFIER.predict_proba(row)[0, 1])
    reasons = []
    if EXPLAINS:
        contributions = pd.Series(EXPLAINER.shap_values(row)[0], index=COLUMNS)
        reasons = list(contributions.abs().sort_values(ascending=False).index[:5])
    answer = {"transaction_id": sent["transaction_id"], "score": score, "reasons": reasons}
    DYNAMODB.Table("decisions").put_item(
        Item={
            "id": f"{merchant}/{sent['transaction_id']}",
            "kind": "decision",
            "answer": json.dumps(answer),
            "score": Decimal(str(score)),
            "features": {name: Decimal(str(value)) for name, value in values.items()},
            "recorded_at": datetime.now(UTC).isoformat(),
        },
        ConditionExpression=Attr("id").not_exists(),
    )
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(answer)}

"""score_transaction through SnapStart's hooks: frozen with one world, restored into another."""

import json
import sys
import time
from typing import Any

import boto3
import pytest

from fraud.serving import Serving
from runtime import clients
from runtime.bundles import BundleStore
from tests.unit.lambdas.support import POLICY, REGION, TOKEN_KEY, AppConfigData, Context, bundle, lambda_event
from tests.unit.runtime.snapshots import Runtime


def test_a_copy_of_a_snapshot_knows_what_changed_since(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, keys in {"features": ["key"], "settings": ["id", "part"], "decisions": ["id", "kind"]}.items():
        boto3.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    secrets, s3 = boto3.client("secretsmanager"), boto3.client("s3")
    secrets.create_secret(Name="token-key", SecretString=TOKEN_KEY)
    s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    for version in ("run-1", "run-2"):
        BundleStore(s3, "models").add(*bundle(version))
    config = AppConfigData(Serving(policy=POLICY, champion="run-1"))
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    runtime = Runtime()
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    function = load("score_transaction")
    runtime.freeze()
    # Weeks go by: AppConfig forgets its sessions, another model is champion, the token key is another.
    config.sessions.clear()
    config.deploy(Serving(policy=POLICY, champion="run-2"))
    tokeniser = function.tokens.current()
    secrets.put_secret_value(SecretId="token-key", SecretString=TOKEN_KEY[::-1])
    then = time.time() + 30 * 86_400
    monkeypatch.setattr(time, "time", lambda: then)
    runtime.restore()
    answer = json.loads(function.handler(lambda_event("decision_request"), Context())["body"])
    assert answer["model"]["version"] == "run-2"
    assert answer["degraded"] is False
    assert function.tokens.current().token("card", "x") != tokeniser.token("card", "x")

"""score_transaction through SnapStart's hooks: frozen with one world, restored into another."""

import json
import sys
from typing import Any

import boto3
import msgspec
import pytest

from fraud.serving import Serving
from runtime import clients
from runtime.stores.documents import StoredPolicy
from runtime.stores.settings import DynamoSettingsStore
from tests.trails import audit_table
from tests.unit.lambdas.support import (
    POLICY,
    TOKEN_KEY,
    AppConfigData,
    Context,
    lambda_event,
    scoring_account,
)
from tests.unit.runtime.snapshots import Runtime


def test_a_copy_of_a_snapshot_knows_what_changed_since(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring_account("run-1", "run-2")
    secrets = boto3.client("secretsmanager")
    config = AppConfigData(Serving(policy=POLICY, champion="run-1"))
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    runtime = Runtime()
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    function = load("score_transaction")
    settings = DynamoSettingsStore(clients.dynamodb(), "settings", audit_table(clients.dynamodb()))
    settings.put("acme", own_policy(1))
    # Lambda asks nothing before it takes a snapshot; if it ever does, no merchant's settings shall be kept for it.
    assert decided(function, "before")["policy"] == "own-1"
    runtime.freeze()
    # Time goes by: AppConfig forgets its sessions, another model is champion, the token key is another.
    config.sessions.clear()
    config.deploy(Serving(policy=POLICY, champion="run-2"))
    settings.put("acme", own_policy(2))
    tokeniser = function.tokens.current()
    secrets.put_secret_value(SecretId="token-key", SecretString=TOKEN_KEY[::-1])
    restored_at = function.now() + 60_000
    monkeypatch.setattr(function, "now", lambda: restored_at)
    runtime.restore()
    assert function.tokens.current().token("card", "x") != tokeniser.token("card", "x"), (
        "however young the snapshot"
    )
    answer = decided(function, "after")
    assert answer["model"]["version"] == "run-2"
    assert answer["policy"] == "own-2"
    assert answer["degraded"] is False
    health = lambda_event("decision_request") | {"httpMethod": "GET", "resource": "/v1/health", "body": None}
    told = json.loads(function.handler(health, Context())["body"])
    assert (told["since"], told["status"], told["checks"]["keys"]) == (restored_at, "ok", "ok")
    function.tokens.forget()
    secrets.delete_secret(SecretId="token-key", ForceDeleteWithoutRecovery=True)
    told = json.loads(function.handler(health, Context())["body"])
    assert (told["status"], told["checks"]["keys"]) == ("degraded", "failed")


def own_policy(version: int) -> StoredPolicy:
    policy = msgspec.structs.replace(POLICY, version=f"own-{version}")
    return StoredPolicy(version=version, policy=policy, changed_at=1, changed_by="key:k")


def decided(function: Any, name: str) -> Any:
    event = lambda_event("decision_request")
    event["body"] = json.dumps({**json.loads(event["body"]), "transaction_id": name})
    return json.loads(function.handler(event, Context())["body"])

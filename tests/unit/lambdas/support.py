"""What the tests of the functions share: events as AWS sends them, AppConfig in memory, a small real model."""

import copy
import functools
import io
import json
from pathlib import Path
from typing import Any

import boto3
import msgspec
import numpy as np
import xgboost as xgb
from botocore.exceptions import ClientError

from fraud.bundle import Lineage, Manifest, digest
from fraud.calibration import Calibration
from fraud.features import STANDARD
from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from runtime.bundles import BundleStore
from tests.planted import plant
from tests.tables import create_table
from tests.unit.lambdas.context import REGION
from tests.unit.lambdas.context import Context as Context

EVENTS = Path(__file__).parents[2] / "events"
# A known key that opens nothing: the accounts of these tests are in memory.
TOKEN_KEY = "a token key for the tests, 32 bytes or more"  # noqa: S105
plant("token key", TOKEN_KEY)
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "ENVIRONMENT": "test",
    "MERCHANTS_TABLE": "merchants",
    "FEATURES_TABLE": "features",
    "DECISIONS_TABLE": "decisions",
    "SETTINGS_TABLE": "settings",
    "AUDIT_TABLE": "audit",
    "AUDIT_BUCKET": "audit",
    "STORE_PATIENCE_MS": "1000",
    "RELEASES_TABLE": "releases",
    "MODEL_PACKAGE_GROUP": "models",
    "TRAINING_IMAGE": "training:test",
    "ALARM_TOPIC": "arn:aws:sns:eu-west-1:123456789012:alarms",
    "ROLLBACK_ALARMS": "release-errors,release-latency",
    "RUN_POLICY": "{}",
    "LOOSE_RUNS": "true",
    "LAKE_BUCKET": "lake",
    "ATHENA_WORKGROUP": "payments",
    "GLUE_DATABASE": "payments",
    "MODELS_BUCKET": "models",
    "RETRAIN_STATE_MACHINE": "arn:aws:states:eu-west-1:123456789012:stateMachine:retrain",
    "EVENT_BUS": "payments",
    "TOKEN_SECRET": "token-key",
    "TOKEN_KEYS_BUCKET": "token-keys",
    "TOKEN_REFRESH_SECONDS": "300",
    "KEY_SECRET": "key-pepper",
    "APPCONFIG_APPLICATION": "app1234",
    "APPCONFIG_ENVIRONMENT": "env1234",
    "APPCONFIG_PROFILE": "pro1234",
    "APPCONFIG_STRATEGY": "str1234",
    "APPCONFIG_KEY": "arn:aws:kms:eu-west-1:000000000000:key/objects",
    "REPLAY_TIME": "true",
    "CONFIG_REFRESH_SECONDS": "30",
}
POLICY = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))


def lambda_event(name: str) -> dict[str, Any]:
    """One of the events of the corpus, as a copy to change."""
    document: dict[str, Any] = copy.deepcopy(_event(name))
    return document


@functools.cache
def _event(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return document


class AppConfigData:
    """AppConfig's data plane: each session is handed a document once, until another is deployed."""

    def __init__(self, document: Serving | bytes) -> None:
        self.deploy(document)
        self.sessions: dict[str, int] = {}
        self.down = False

    def deploy(self, document: Serving | bytes) -> None:
        self.content = document if isinstance(document, bytes) else msgspec.json.encode(document)
        self.version = getattr(self, "version", 0) + 1

    def start_configuration_session(self, **names: str) -> dict[str, Any]:
        assert set(names) == {
            "ApplicationIdentifier",
            "EnvironmentIdentifier",
            "ConfigurationProfileIdentifier",
        }
        self._answer()
        token = f"s{len(self.sessions)}.0"
        self.sessions[token] = 0
        return {"InitialConfigurationToken": token}

    def get_latest_configuration(self, *, ConfigurationToken: str) -> dict[str, Any]:  # noqa: N803
        self._answer()
        seen = self.sessions.pop(ConfigurationToken)  # a token works once
        session, _, number = ConfigurationToken.partition(".")
        following = f"{session}.{int(number) + 1}"
        self.sessions[following] = self.version
        content = b"" if seen == self.version else self.content
        return {"NextPollConfigurationToken": following, "Configuration": io.BytesIO(content)}

    def _answer(self) -> None:
        if self.down:
            raise ClientError({"Error": {"Code": "InternalServerException", "Message": "down"}}, "any")


@functools.cache
def booster() -> xgb.Booster:
    """A real model, small and quick to train, that uses every kind of column."""
    random = np.random.default_rng(7)
    rows = random.gamma(2.0, 300.0, size=(400, len(STANDARD.names))).astype(np.float32)
    rows[random.random(rows.shape) < 0.15] = np.nan
    frauds = np.nansum(rows, axis=1) + random.normal(0, 400, 400) > np.median(np.nansum(rows, axis=1))
    data = xgb.DMatrix(rows, label=frauds, feature_names=list(STANDARD.names))
    return xgb.train({"max_depth": 3, "objective": "binary:logistic", "nthread": 1, "seed": 7}, data, 12)


def bundle(version: str = "run-1") -> tuple[Manifest, bytes]:
    """A bundle of the small model."""
    model = bytes(booster().save_raw("ubj"))
    manifest = Manifest(
        version=version,
        created_at=1_767_000_000_000,
        features=STANDARD.names,
        feature_set=STANDARD.version,
        calibration=Calibration(a=-0.8, b=0.3),
        metrics={"auc": 0.9},
        lineage=Lineage(run_id=version, dataset="d" * 12, parameters={"max_depth": "3"}, code_version="c0ffee"),
        files={"model.ubj": digest(model)},
    )
    return manifest, model


def scoring_account(*versions: str) -> None:
    """What score_transaction needs of an account: its tables, the token key, and bundles of the small model."""
    for kind in ("features", "settings", "decisions"):
        create_table(boto3.client("dynamodb"), kind)
    boto3.client("secretsmanager").create_secret(Name="token-key", SecretString=TOKEN_KEY)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    for version in versions:
        BundleStore(s3, "models").add(*bundle(version))

"""A cold start whose champion cannot be loaded: degraded answers rather than none, until it can be."""

import time
from typing import Any

import boto3
import pytest

from fraud.features import STANDARD
from fraud.serving import Serving
from lambdas.score_transaction.models import LiveModels
from runtime import clients
from runtime.bundles import BundleStore
from runtime.configuration import Profile, ServingReader
from runtime.telemetry import metrics
from tests.unit.lambdas.support import POLICY, REGION, AppConfigData, bundle

PROFILE = Profile("app1234", "env1234", "pro1234")
INTERVAL = 30.0


@pytest.fixture
def bundles(aws: None) -> BundleStore:
    del aws
    client = clients.s3()
    client.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    return BundleStore(client, "models")


def _live(bundles: BundleStore) -> LiveModels:
    config: Any = AppConfigData(Serving(policy=POLICY, champion="run-1"))
    return LiveModels(ServingReader(config, PROFILE), bundles, names=STANDARD.names, interval=INTERVAL)


def test_it_decides_by_policy_and_counts_the_failure(bundles: BundleStore) -> None:
    models = _live(bundles)
    now = models.current()
    assert (now.serving.policy, now.model_for("shop/t1")) == (POLICY, None)
    metrics.clear_metrics()
    models.refresh(time.time())
    assert "ServingRefreshFailed" in metrics.metric_set


def test_a_tampered_champion_never_serves_not_even_at_a_cold_start(bundles: BundleStore) -> None:
    bundles.add(*bundle("run-1"))
    boto3.client("s3").put_object(Bucket="models", Key="bundles/run-1/model.ubj", Body=b"tampered")
    assert _live(bundles).current().model_for("shop/t1") is None


def test_it_takes_its_champion_once_that_can_be_loaded(bundles: BundleStore) -> None:
    models = _live(bundles)
    bundles.add(*bundle("run-1"))
    models.take()
    model = models.current().model_for("shop/t1")
    assert model is not None
    assert model.manifest.version == "run-1"

"""The model that serves is swapped beside the requests, and only for one that is ready."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
import msgspec
import pytest

from fraud.bundle import digest
from fraud.features import STANDARD
from fraud.serving import Serving
from lambdas.score_transaction.models import LiveModels
from runtime import clients
from runtime.bundles import BundleStore
from runtime.configuration import ConfigurationError, Profile, ServingReader
from runtime.telemetry import metrics
from tests.unit.lambdas.support import POLICY, REGION, AppConfigData, bundle

PROFILE = Profile("app1234", "env1234", "pro1234")
INTERVAL = 30.0


@pytest.fixture
def bundles(aws: None) -> BundleStore:
    del aws
    client = clients.s3()
    client.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    store = BundleStore(client, "models")
    for version in ("run-1", "run-2"):
        store.add(*bundle(version))
    return store


def served(champion: str | None) -> Serving:
    return Serving(policy=POLICY, champion=champion)


def live(config: Any, bundles: BundleStore) -> LiveModels:
    return LiveModels(ServingReader(config, PROFILE), bundles, names=STANDARD.names, interval=INTERVAL)


def champion(models: LiveModels) -> str | None:
    document, model = models.current()
    assert document.champion == (model.manifest.version if model else None)
    return document.champion


def settled(models: LiveModels, at: float) -> None:
    """Refresh, and wait for what it started."""
    models.refresh(at)
    # Its own thread, not those that are listed: one that is ending is off the list before it is over.
    thread = models._refresher._running
    if thread is not None:
        thread.join(timeout=10)
        assert not thread.is_alive()


def later(intervals: float) -> float:
    return time.monotonic() + intervals * (INTERVAL + 1)


def failures_counted(models: LiveModels, capsys: pytest.CaptureFixture[str]) -> int:
    """How many failures the next request puts into the metrics."""
    metrics.clear_metrics()
    capsys.readouterr()
    # At a moment when no refresh is due, so that none is under way afterwards, however slow the machine is.
    models.refresh(0.0)
    if not metrics.metric_set:
        return 0
    metrics.flush_metrics()
    return int(sum(json.loads(capsys.readouterr().out)["ServingRefreshFailed"]))


def test_nothing_deployed_is_told_at_the_cold_start(bundles: BundleStore) -> None:
    with pytest.raises(ConfigurationError, match="nothing is deployed"):
        live(AppConfigData(b""), bundles)


def test_before_the_first_model_there_is_a_policy(bundles: BundleStore) -> None:
    document, model = live(AppConfigData(served(None)), bundles).current()
    assert (document.policy, model) == (POLICY, None)


def test_a_new_document_takes_effect_once_the_interval_is_over(bundles: BundleStore) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-2"))
    settled(models, time.monotonic())
    assert champion(models) == "run-1"
    settled(models, later(1))
    assert champion(models) == "run-2"
    settled(models, later(2))  # nothing new: AppConfig answers with nothing
    assert champion(models) == "run-2"


def test_no_request_ever_sees_half_a_swap(bundles: BundleStore) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    seen: set[str | None] = set()
    stop = threading.Event()
    broken: list[BaseException] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                document, model = models.current()
                assert model is not None
                assert document.champion == model.manifest.version
                raw, score = model.score([1.0] * len(STANDARD.names))
                assert 0 < raw < 1
                assert 0 < score < 1
                seen.add(model.manifest.version)
        except BaseException as error:
            broken.append(error)
            raise

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(1, 6):
        config.deploy(served(f"run-{1 + turn % 2}"))
        settled(models, later(turn))
        assert champion(models) == f"run-{1 + turn % 2}"
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
    assert not broken
    assert seen == {"run-1", "run-2"}


def _tampered_model(config: AppConfigData) -> None:
    model = bytearray(bundle("run-2")[1])
    model[len(model) // 2] ^= 1
    boto3.client("s3").put_object(Bucket="models", Key="bundles/run-2/model.ubj", Body=bytes(model))
    config.deploy(served("run-2"))


def _unreadable_manifest(config: AppConfigData) -> None:
    boto3.client("s3").put_object(Bucket="models", Key="bundles/run-2/manifest.json", Body=b"{")
    config.deploy(served("run-2"))


def _model_that_is_none(config: AppConfigData) -> None:
    manifest, _ = bundle("run-2")
    content = b"not a model"
    files = {"model.ubj": digest(content)}
    manifest = msgspec.structs.replace(manifest, files=files)
    client = boto3.client("s3")
    client.put_object(Bucket="models", Key="bundles/run-2/model.ubj", Body=content)
    client.put_object(Bucket="models", Key="bundles/run-2/manifest.json", Body=msgspec.json.encode(manifest))
    config.deploy(served("run-2"))


def _feature_from_the_future(config: AppConfigData) -> None:
    manifest = msgspec.structs.replace(bundle("run-2")[0], features=(*STANDARD.names[1:], "feature_of_tomorrow"))
    boto3.client("s3").put_object(
        Bucket="models", Key="bundles/run-2/manifest.json", Body=msgspec.json.encode(manifest)
    )
    config.deploy(served("run-2"))


FAULTS: dict[str, Callable[[AppConfigData], None]] = {
    "a tampered model": _tampered_model,
    "an unreadable manifest": _unreadable_manifest,
    "a file that is no model": _model_that_is_none,
    "a feature that serving lacks": _feature_from_the_future,
    "no such bundle": lambda config: config.deploy(served("run-9")),
    "a version that is a path": lambda config: config.deploy(served("../run-1")),
    "no JSON": lambda config: config.deploy(b"<serving/>"),
    "an unknown setting": lambda config: config.deploy(msgspec.json.encode(served("run-2"))[:-1] + b',"x":1}'),
    "AppConfig is down": lambda config: setattr(config, "down", True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_served_before_goes_on_and_the_failure_is_counted(
    bundles: BundleStore, fault: Callable[[AppConfigData], None], capsys: pytest.CaptureFixture[str]
) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    before = models.current()
    fault(config)
    settled(models, later(1))
    assert models.current() == before
    assert failures_counted(models, capsys) == 1
    assert failures_counted(models, capsys) == 0
    config.down = False
    bundles.add(*bundle("run-3"))
    config.deploy(served("run-3"))
    settled(models, later(2))
    assert champion(models) == "run-3"


def test_a_champion_that_could_not_be_fetched_is_taken_once_it_can_be(bundles: BundleStore) -> None:
    # AppConfig hands a document out once: it must not be lost to a moment without S3.
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    client = boto3.client("s3")
    kept = client.get_object(Bucket="models", Key="bundles/run-2/model.ubj")["Body"].read()
    client.delete_object(Bucket="models", Key="bundles/run-2/model.ubj")
    config.deploy(served("run-2"))
    settled(models, later(1))
    assert champion(models) == "run-1"
    client.put_object(Bucket="models", Key="bundles/run-2/model.ubj", Body=kept)
    settled(models, later(2))
    assert champion(models) == "run-2"


def test_a_newer_document_replaces_one_that_could_not_be_taken(bundles: BundleStore) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-9"))
    settled(models, later(1))
    config.deploy(served("run-2"))
    settled(models, later(2))
    assert champion(models) == "run-2"
    settled(models, later(3))
    assert champion(models) == "run-2"


def test_a_refresh_never_waits_for_appconfig(bundles: BundleStore) -> None:
    answered = threading.Event()

    class Slow(AppConfigData):
        polls = 0

        def get_latest_configuration(self, *, ConfigurationToken: str) -> dict[str, Any]:  # noqa: N803
            self.polls += 1
            if self.polls > 1:
                assert answered.wait(timeout=10)
            return super().get_latest_configuration(ConfigurationToken=ConfigurationToken)

    config = Slow(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-2"))
    try:
        models.refresh(later(1))  # would hang here, were it to wait
        for turn in range(2, 6):
            models.refresh(later(turn))
        assert champion(models) == "run-1"
        assert config.polls == 2  # one at a time, however often it is due
    finally:
        answered.set()
    settled(models, time.monotonic())
    assert champion(models) == "run-2"

"""The model that serves is swapped beside the requests, and only for one that is ready."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import boto3
import msgspec
import pytest

from fraud.bundle import digest
from fraud.features import STANDARD
from fraud.serving import Canary, Serving
from lambdas.score_transaction import models as live_models
from lambdas.score_transaction.models import LiveModels
from runtime import clients
from runtime.bundles import BundleStore, ServedModel
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
    now = models.current()
    model = now.model_for("shop/t1")
    assert now.serving.champion == (model.manifest.version if model else None)
    return now.serving.champion


def settled(models: LiveModels, at: float) -> None:
    """Refresh, and wait for what it started."""
    models.refresh(at)
    # Its own thread, not those that are listed: one that is ending is off the list before it is over.
    thread = models._refresher._running
    if thread is not None:
        thread.join(timeout=10)
        assert not thread.is_alive()


def later(intervals: float) -> float:
    return time.time() + intervals * (INTERVAL + 1)


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
    now = live(AppConfigData(served(None)), bundles).current()
    assert (now.serving.policy, now.model_for("shop/t1"), now.shadows("shop/t1")) == (POLICY, None, ())


def test_a_new_document_takes_effect_once_the_interval_is_over(bundles: BundleStore) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-2"))
    settled(models, time.time())
    assert champion(models) == "run-1"
    settled(models, later(1))
    assert champion(models) == "run-2"
    settled(models, later(2))  # nothing new: AppConfig answers with nothing
    assert champion(models) == "run-2"


def test_no_request_ever_sees_half_a_swap_and_none_fails(bundles: BundleStore) -> None:
    """Two threads decide without a pause while documents change, most of which cannot be taken over."""
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    seen: set[str | None] = set()
    stop = threading.Event()
    broken: list[BaseException] = []

    def ask() -> None:
        try:
            number = 0
            while not stop.is_set():
                number += 1
                now = models.current()
                model = now.model_for(f"shop/t{number}")
                assert model is not None
                assert now.serving.routed(f"shop/t{number}") == model.manifest.version
                assert {model.manifest.version, *versions(now.shadows(f"shop/t{number}"))} == now.models.keys()
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
    try:
        for turn in range(1, 6):
            canary = Canary(version="run-1", share=0.5) if turn % 2 else None
            good = shadowed("run-1", "run-9", canary=canary, champion=f"run-{1 + turn % 2}")
            for document in (good, b"{", served("run-8"), b'{"champion": 1}'):
                config.deploy(document)
                settled(models, later(turn))
                assert models.current().serving == good
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
    metrics.clear_metrics()
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


def test_a_slow_appconfig_is_asked_one_at_a_time_and_not_waited_for(
    bundles: BundleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_models, "_HURRY", 0.01)
    asked, answered = threading.Event(), threading.Event()

    class Slow(AppConfigData):
        polls = 0

        def get_latest_configuration(self, *, ConfigurationToken: str) -> dict[str, Any]:  # noqa: N803
            self.polls += 1
            if self.polls > 1:
                asked.set()
                assert answered.wait(timeout=60)
            return super().get_latest_configuration(ConfigurationToken=ConfigurationToken)

    config = Slow(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-2"))
    try:
        for turn in range(1, 6):
            models.refresh(later(turn))  # would hang here, were it to wait for the end
            assert asked.wait(timeout=60)
        assert champion(models) == "run-1"
        assert config.polls == 2  # one at a time, however often it is due
    finally:
        answered.set()
    settled(models, time.time())
    assert champion(models) == "run-2"


def test_a_process_that_slept_looks_before_it_decides(
    bundles: BundleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_models, "_HURRY", 60.0)  # this machine may be slow
    config = AppConfigData(served("run-1"))
    slept = 0.0
    models = LiveModels(
        ServingReader(config, PROFILE),  # type: ignore[arg-type]  # a fake of AppConfig
        bundles,
        names=STANDARD.names,
        interval=INTERVAL,
        clock=lambda: slept,
    )
    config.deploy(served("run-2"))
    slept = 3_600.0
    models.refresh(slept)
    assert champion(models) == "run-2"
    # What cannot be reached is waited for by one request in every interval, and what served before goes on.
    config.deploy(served("run-1"))
    config.down = True
    slept = 7_200.0
    models.refresh(slept)
    config.down = False
    models.refresh(slept + INTERVAL - 1)
    assert champion(models) == "run-2"
    models.refresh(slept + INTERVAL)
    assert champion(models) == "run-1"


def shadowed(*challengers: str, canary: Canary | None = None, champion: str | None = "run-1") -> Serving:
    return Serving(policy=POLICY, champion=champion, challengers=challengers, canary=canary)


def versions(models: Iterable[ServedModel]) -> list[str]:
    return [model.manifest.version for model in models]


def test_challengers_and_who_does_not_decide_score_in_shadow(bundles: BundleStore) -> None:
    bundles.add(*bundle("run-3"))
    canary = Canary(version="run-2", share=0.5)
    now = live(AppConfigData(shadowed("run-3", "run-2", canary=canary)), bundles).current()
    decided = set()
    for event in (f"shop/t{number}" for number in range(50)):
        model = now.model_for(event)
        assert model is not None
        decided.add(model.manifest.version)
        assert model.manifest.version == now.serving.routed(event)
        assert sorted([model.manifest.version, *versions(now.shadows(event))]) == ["run-1", "run-2", "run-3"]
    assert decided == {"run-1", "run-2"}


def test_a_challenger_that_cannot_be_loaded_is_counted_left_out_and_tried_again(
    bundles: BundleStore, logged: io.StringIO
) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    config.deploy(shadowed("run-2", "run-9", champion="run-1"))
    settled(models, later(1))
    assert versions(models.current().shadows("e")) == ["run-2"]
    assert "model run-9 not loaded" in logged.getvalue()
    metrics.clear_metrics()
    models.refresh(0.0)
    assert set(metrics.metric_set) == {"ChallengerFailed"}
    bundles.add(*bundle("run-9"))
    settled(models, later(2))  # AppConfig has nothing new to tell
    assert versions(models.current().shadows("e")) == ["run-2", "run-9"]
    metrics.clear_metrics()


def test_a_model_that_is_loaded_is_not_fetched_again(
    bundles: BundleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    load = BundleStore.load

    def noting(self: BundleStore, version: str, names: Sequence[str]) -> ServedModel:
        fetched.append(version)
        return load(self, version, names)

    monkeypatch.setattr(BundleStore, "load", noting)
    config = AppConfigData(shadowed("run-2"))
    models = live(config, bundles)
    config.deploy(shadowed("run-1", champion="run-2"))
    settled(models, later(1))
    assert champion(models) == "run-2"
    config.deploy(msgspec.structs.replace(served("run-2"), policy=msgspec.structs.replace(POLICY, version="p2")))
    settled(models, later(2))
    assert models.current().serving.policy.version == "p2"
    assert models.current().models.keys() == {"run-2"}, "what is not named any more is let go"
    assert fetched == ["run-1", "run-2"]


def test_a_canary_that_cannot_be_loaded_keeps_the_document_before(bundles: BundleStore) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    before = models.current()
    config.deploy(shadowed(canary=Canary(version="run-9", share=1.0), champion="run-2"))
    settled(models, later(1))
    assert models.current() is before
    metrics.clear_metrics()
    models.refresh(0.0)
    assert set(metrics.metric_set) == {"ServingRefreshFailed"}
    metrics.clear_metrics()


def test_after_a_snapshot_the_document_is_looked_at_at_once(bundles: BundleStore) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-2"))
    config.sessions.clear()  # weeks later, AppConfig does not know the token of the snapshot any more
    models.renew()
    assert champion(models) == "run-2"
    config.down = True
    models.renew()
    assert champion(models) == "run-2", "what the snapshot knew serves until AppConfig can be asked"
    config.down = False
    config.deploy(served("run-1"))
    settled(models, later(1))
    assert champion(models) == "run-1"
    metrics.clear_metrics()


def test_a_renewal_that_hangs_holds_no_request_up_and_shares_no_session(
    bundles: BundleStore,
) -> None:
    config = AppConfigData(served("run-1"))
    models = live(config, bundles)
    config.deploy(served("run-2"))
    asked, answered = threading.Event(), threading.Event()
    polls = 0
    poll = config.get_latest_configuration

    def hanging(**arguments: Any) -> Any:
        nonlocal polls
        polls += 1
        asked.set()
        answered.wait(timeout=60)
        return poll(**arguments)

    config.get_latest_configuration = hanging  # type: ignore[method-assign]  # as slow as a network that is not up
    renewal = threading.Thread(target=models.renew)
    renewal.start()
    assert asked.wait(timeout=60)
    models.refresh(later(1))  # a request long after the restore starts a look of its own
    assert champion(models) == "run-1"
    look = models._refresher._running
    assert look is not None
    assert look.is_alive()
    assert polls == 1
    answered.set()
    for thread in (renewal, look):
        thread.join(timeout=60)
    assert champion(models) == "run-2"
    assert polls == 2

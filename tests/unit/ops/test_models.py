"""What an operator sees and does of models: the commands, over stores in this process."""

from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fraud.bundle import CorruptBundleError, Manifest
from fraud.serving import Canary, Serving
from ops.models import commands
from ops.models.desk import Desk, ModelError
from runtime.publishing import Publisher
from runtime.stores.lineages import Event, Waiting
from runtime.stores.releases import MemoryReleaseStore
from tests.unit.lambdas.releases import GROUP, Executions, Registry, lineage
from tests.unit.lambdas.support import POLICY, bundle
from tests.unit.runtime.appconfig import KEY, PROFILE, AppConfig

JANE = "arn:aws:sts::123456789012:assumed-role/risk/jane"


class Bundles:
    """Bundles by version; those that are damaged say so."""

    def __init__(self) -> None:
        self.damaged: set[str] = set()

    def versions(self) -> list[str]:
        return ["run-1", "run-2", "run-3"]

    def manifest(self, version: str) -> Manifest:
        if version not in self.versions():
            raise CorruptBundleError(f"bundle {version}: there is no manifest.json")
        return bundle(version)[0]

    def check(self, version: str) -> Manifest:
        if version in self.damaged:
            raise CorruptBundleError(f"bundle {version}: model.ubj does not have the digest in its manifest")
        return self.manifest(version)


class World:
    """A deployment in which run-1 was champion and run-2 is."""

    def __init__(self) -> None:
        self.client = AppConfig(Serving(policy=POLICY, champion="run-1"))
        self.releases = MemoryReleaseStore()
        self.registry = Registry()
        self.executions = Executions()
        self.bundles = Bundles()
        for version in ("run-2", "run-3"):
            self.releases.register(lineage(version))
            self.registry.put(f"{GROUP}/{version}")
        client: Any = self.client
        bundles: Any = self.bundles
        self.time = 0
        publisher = Publisher(client, PROFILE, "str1234", KEY, self.releases, self._clock, lambda _: None)
        self.desk = Desk(self.releases, bundles, publisher, self.registry, self.executions, by=JANE)
        publisher.change(lambda now: now.promoting("run-2"), by="retrain:run-2", reason="better", run="run-2")

    def _clock(self) -> int:
        self.time += 60_000
        return self.time


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(commands, "connect", lambda _env, *, port: port)
    monkeypatch.setattr(commands.Desk, "of", lambda _deployment, **_acts: made.desk)
    monkeypatch.setattr(commands.console, "width", 250)
    return made


def run(*words: str, answer: str = "") -> Any:
    return CliRunner().invoke(commands.models_app, list(words), input=answer)


def test_the_list_tells_what_serves_and_with_which_share(world: World) -> None:
    world.client.by_hand(
        Serving(
            policy=POLICY,
            champion="run-2",
            canary=Canary(version="run-3", share=0.05),
            challengers=("run-1",),
        )
    )
    found = {model.version: (model.role, model.share) for model in world.desk.models()}
    assert found == {"run-1": ("shadow", 0.0), "run-2": ("champion", 0.95), "run-3": ("canary", 0.05)}
    told = run("list").output
    assert "95.0%" in told
    assert "not recorded" in told


def test_a_model_is_shown_with_all_that_happened_to_it(world: World) -> None:
    world.releases.happened("run-2", Event(what="approved", at=1_767_268_800_000, by=JANE, reason="fine"))
    told = run("show", "run-2").output
    for words in ("c0ffee", "It finds more fraud.", "approved", JANE, "2026-01-01 12:00:00 UTC", f"{GROUP}/run-2"):
        assert words in told
    assert isinstance(run("show", "run-9").exception, ModelError)


@pytest.mark.parametrize(
    ("word", "status", "said"), [("approve", "Approved", True), ("reject", "Rejected", False)]
)
def test_a_word_reaches_the_registry_and_the_run_that_waits(
    world: World, word: str, status: str, said: bool
) -> None:
    world.releases.wait("run-3", Waiting(token="token-3", asked_at=1))  # noqa: S106 - it opens nothing
    done = run(word, "run-3", "--reason", "slices are fine", "--yes")
    assert done.exit_code == 0
    assert "its run goes on" in done.output
    assert world.registry.packages[f"{GROUP}/run-3"]["ModelApprovalStatus"] == status
    assert world.registry.packages[f"{GROUP}/run-3"]["ApprovalDescription"] == "slices are fine"
    assert len(world.executions.told) == 1
    found = world.releases.lineage("run-3")
    assert found is not None
    assert (found.state, found.events[-1].by) == ("approved" if said else "declined", JANE)
    again = run(word, "run-3", "--reason", "again", "--yes").exception
    assert "already, by" in str(again)


def test_a_word_that_the_run_was_not_told_is_told_when_it_is_said_again(world: World) -> None:
    world.releases.wait("run-3", Waiting(token="token-3", asked_at=1))  # noqa: S106 - it opens nothing
    world.registry.put(f"{GROUP}/run-3", "Approved", ApprovalDescription="fine")
    assert "its run goes on" in run("approve", "run-3", "--reason", "again", "--yes").output
    [(token, told)] = world.executions.told
    assert (token, msgspec.json.decode(told)["comment"]) == ("token-3", "fine")
    assert "already, by" in str(run("approve", "run-3", "--reason", "again", "--yes").exception)


def test_it_asks_first_and_no_is_no(world: World) -> None:
    assert run("approve", "run-3", "--reason", "x", answer="n\n").exit_code == 1
    assert world.registry.packages[f"{GROUP}/run-3"]["ModelApprovalStatus"] == "PendingManualApproval"
    assert world.client.serving.champion == "run-2"


def test_what_the_gate_rejected_or_nobody_registered_cannot_be_approved(world: World) -> None:
    world.releases.happened("run-3", Event(what="rejected", at=2, by="retrain:run-3", reason="too weak"))
    for version, why in (("run-3", "too weak"), ("run-1", "not in the registry")):
        assert why in str(run("approve", version, "--reason", "x", "--yes").exception)


@pytest.mark.usefixtures("world")
def test_the_history_tells_what_served_at_a_time() -> None:
    told = run("history").output
    assert "before this history" in told
    assert "better" in told
    assert run("history", "--at", "2026-01-01").output.count("run-2") >= 1
    assert "run-1" not in run("history", "--at", "2026-01-01").output
    assert "run-1" in run("history", "--at", "1970-01-01T00:00:30").output

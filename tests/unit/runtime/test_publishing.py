"""Nothing serves unrecorded, and of two who change it at once neither is lost."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from runtime.configuration import ConfigurationError
from runtime.publishing import BusyError, Publisher, UndeployedError
from runtime.stores.lineages import Served
from runtime.stores.releases import MemoryReleaseStore
from runtime.stores.transactions import ConflictError
from tests.unit.runtime.appconfig import KEY, PROFILE, AppConfig

POLICY = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
FIRST = Serving(policy=POLICY, champion="run-1")


def publisher(
    client: AppConfig, releases: MemoryReleaseStore, pause: Callable[[float], None] = lambda _seconds: None
) -> Publisher:
    return Publisher(
        client,  # type: ignore[arg-type]  # a fake of AppConfig
        PROFILE,
        "str1234",
        KEY,
        releases,
        clock=lambda: 1_000,
        pause=pause,
    )


def shadowing(version: str) -> Callable[[Serving], Serving]:
    return lambda now: now.shadowing_with(version)


def test_a_change_is_recorded_and_deployed_with_who_and_why() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    done = publisher(client, releases).change(shadowing("run-2"), by="jane", reason="because " * 500, run="run-2")
    assert done.changed
    assert client.serving == FIRST.shadowing_with("run-2")
    assert client.told == [("release 2: " + "because " * 500)[:1_024]]
    second, first = releases.history()
    assert (first.number, first.at, first.document) == (1, 0, FIRST)
    assert (second.number, second.at, second.by, second.run) == (2, 1_000, "jane", "run-2")
    assert second.document == client.serving
    assert second.configuration == client.deployed[-1]


def test_what_changes_nothing_is_neither_recorded_nor_deployed_again() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    for _ in range(2):
        assert not publisher(client, releases).change(lambda now: now, by="jane", reason="nothing").changed
    assert (len(list(releases.history())), len(client.deployments)) == (1, 1)


def test_it_is_recorded_before_it_is_deployed_and_completed_by_the_next_who_comes() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    ours = publisher(client, releases)
    assert ours.is_deployed()
    client.busy = 1_000
    with pytest.raises(UndeployedError, match="number 2 of the history is to serve") as refused:
        ours.change(shadowing("run-2"), by="jane", reason="try")
    assert client.serving == FIRST
    assert not ours.is_deployed()
    assert refused.value.published.changed
    assert refused.value.published.served.document == FIRST.shadowing_with("run-2")
    client.busy = 2
    again = ours.change(shadowing("run-2"), by="jane", reason="try again")
    assert not again.changed
    assert ours.is_deployed()
    assert client.serving == FIRST.shadowing_with("run-2")
    assert [each.reason for each in releases.history()] == ["try", "what served when this history began"]


class Slow(AppConfig):
    """Deployments take their time, and nobody else begins one before that."""

    def __init__(self, *documents: Serving | bytes, seconds: float) -> None:
        self.time = 0.0
        self.seconds = seconds
        self.busy_until = -1.0
        super().__init__(*documents)

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def start_deployment(self, **call: Any) -> None:
        self.busy = int(self.time < self.busy_until)
        super().start_deployment(**call)
        self.busy_until = self.time + self.seconds


def test_who_was_overtaken_while_it_waited_deploys_what_came_after_it() -> None:
    client = Slow(FIRST, seconds=20.0)

    def person() -> None:
        quicker.change(lambda now: now.promoting("run-8"), by="joe", reason="back")

    releases = Raced(person, before=False)
    quicker = publisher(client, releases, client.wait)
    run = publisher(client, releases, client.wait)
    run.change(lambda now: now.canarying("run-9", 0.5), by="retrain:run-9", reason="canary")
    assert [json.loads(client.versions[int(each) - 1])["champion"] for each in client.deployed] == [
        "run-1",
        "run-8",
    ]
    assert [each.by for each in releases.history()] == ["joe", "retrain:run-9", "unknown"]


def test_another_deployment_is_waited_for_for_minutes_and_no_longer_than_there_is_patience() -> None:
    client, releases = Slow(FIRST, seconds=0.0), MemoryReleaseStore()
    client.busy_until = 170.0
    patient = publisher(client, releases, client.wait)
    with pytest.raises(BusyError):
        dataclasses.replace(patient, patience=60.0).change(shadowing("run-2"), by="jane", reason="try")
    assert client.time == pytest.approx(60.0)
    patient.change(shadowing("run-2"), by="jane", reason="try")
    assert client.serving == FIRST.shadowing_with("run-2")


def test_what_a_writer_here_deployed_too_late_is_not_taken_for_what_somebody_wants() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    publisher(client, releases).change(
        lambda now: now.canarying("run-2", 0.5), by="retrain:run-2", reason="canary"
    )
    publisher(client, releases).change(lambda now: now.promoting("run-3"), by="jane", reason="back")
    wanted = client.serving
    # A writer that was cut off between reading the history and deploying it.
    late = client.deployments[1]
    client._deploy(late["ConfigurationVersion"], late["Description"])
    assert publisher(client, releases).current().document == wanted
    assert not publisher(client, releases).change(lambda now: now, by="jane", reason="nothing").changed
    assert client.serving == wanted
    assert len(list(releases.history())) == 3


def test_what_was_deployed_by_hand_before_a_late_writer_came_is_not_lost() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    for version in ("run-2", "run-3"):
        publisher(client, releases).change(shadowing(version), by="jane", reason=version)
    by_hand = FIRST.shadowing_with("run-7")
    client.by_hand(by_hand)
    late = client.deployments[1]
    client._deploy(late["ConfigurationVersion"], late["Description"])
    assert publisher(client, releases).current().document == by_hand


def test_what_was_deployed_by_hand_is_kept_and_recorded() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    publisher(client, releases).change(shadowing("run-2"), by="jane", reason="first")
    stricter = msgspec.structs.replace(FIRST, policy=msgspec.structs.replace(POLICY, version="p2"))
    client.by_hand(stricter)
    publisher(client, releases).change(shadowing("run-3"), by="jane", reason="second")
    assert client.serving == stricter.shadowing_with("run-3")
    assert [each.reason for each in releases.history()][:2] == ["second", "deployed by hand"]


def test_an_earlier_document_that_was_deployed_again_by_hand_counts() -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    publisher(client, releases).change(lambda now: now.promoting("run-2"), by="jane", reason="first")
    client._deploy("1")
    publisher(client, releases).change(shadowing("run-3"), by="jane", reason="second")
    assert client.serving == FIRST.shadowing_with("run-3")


@pytest.mark.parametrize("content", [b"", b"{", b'{"champion": "run-1"}'])
def test_a_document_that_cannot_be_read_is_not_written_over(content: bytes) -> None:
    client, releases = AppConfig(content), MemoryReleaseStore()
    with pytest.raises(ConfigurationError, match="serving document"):
        publisher(client, releases).change(shadowing("run-2"), by="jane", reason="try")
    assert (client.versions, list(releases.history())) == ([content], [])


def test_where_nothing_is_deployed_nothing_is_changed() -> None:
    with pytest.raises(ConfigurationError, match="deploy the data stack"):
        publisher(AppConfig(), MemoryReleaseStore()).change(shadowing("run-2"), by="jane", reason="try")


class Raced(MemoryReleaseStore):
    """Somebody else is quicker, before the first of our writes, or right after it."""

    def __init__(self, other: Callable[[], None], *, before: bool) -> None:
        super().__init__()
        self.other: Callable[[], None] | None = other
        self.before = before

    def serves(self, served: Served) -> None:
        other, self.other = (self.other, None) if served.number > 1 else (None, self.other)
        if other is not None and self.before:
            other()
        super().serves(served)
        if other is not None and not self.before:
            other()


@pytest.mark.parametrize("before", [True, False])
def test_of_two_who_change_it_at_once_neither_is_lost(before: bool) -> None:
    client = AppConfig(FIRST)
    releases = Raced(
        lambda: quicker.change(shadowing("run-8"), by="joe", reason="quicker") and None, before=before
    )
    quicker = publisher(client, releases)
    publisher(client, releases).change(shadowing("run-9"), by="jane", reason="slower")
    assert set(client.serving.challengers) == {"run-8", "run-9"}
    last = releases.last_served()
    assert last is not None
    assert last.configuration == client.deployed[-1]
    assert sorted(each.by for each in releases.history()) == ["jane", "joe", "unknown"]


def test_who_is_always_overtaken_is_told() -> None:
    class Taken(MemoryReleaseStore):
        def serves(self, served: Served) -> None:
            if served.number > 1:
                raise ConflictError("taken")
            super().serves(served)

    client = AppConfig(FIRST)
    with pytest.raises(BusyError, match="try again"):
        publisher(client, Taken()).change(shadowing("run-2"), by="jane", reason="try")
    assert client.serving == FIRST


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["run-2", "run-3", "run-4"])), max_size=8))
def test_the_history_ends_with_what_serves(steps: list[tuple[bool, str]]) -> None:
    client, releases = AppConfig(FIRST), MemoryReleaseStore()
    for by_hand, version in steps:
        if by_hand:
            client.by_hand(client.serving.promoting(version))
        else:
            publisher(client, releases).change(shadowing(version), by="jane", reason=version)
    assert publisher(client, releases).current().document == client.serving
    numbers = [each.number for each in releases.history()]
    assert numbers == list(range(len(numbers), 0, -1))

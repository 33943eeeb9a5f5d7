"""Models are let in when they were approved, and taken out as if they had never been."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.bundle import CorruptBundleError, Manifest
from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from runtime.publishing import Publisher, UndeployedError
from runtime.releasing import NotReleasedError, OvertakenError, Releaser
from runtime.stores.lineages import Event, Lineage
from runtime.stores.releases import MemoryReleaseStore
from tests.unit.runtime.appconfig import KEY, PROFILE, AppConfig

POLICY = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
TOLD = {"by": "retrain:run", "reason": "because"}


class Bundles:
    """Bundles that are whole, but for those that are broken."""

    def __init__(self) -> None:
        self.broken: set[str] = set()

    def check(self, version: str) -> Manifest | None:
        if version in self.broken:
            raise CorruptBundleError(f"bundle {version}: model.ubj is damaged")
        return None


class World:
    """A deployment with registered models, of which some are approved."""

    def __init__(self, *approved: str, champion: str | None = "run-0") -> None:
        self.client = AppConfig(Serving(policy=POLICY, champion=champion))
        self.releases = MemoryReleaseStore()
        self.bundles = Bundles()
        self.time = 0
        self.approved = set(approved)
        given: Any = self.client
        bundles: Any = self.bundles
        publisher = Publisher(given, PROFILE, "str1234", KEY, self.releases, self._clock, lambda _: None)
        self.releaser = Releaser(publisher, self.releases, bundles, lambda each: each.version in self.approved)

    def _clock(self) -> int:
        self.time += 1
        return self.time

    def register(self, *versions: str, what: Any = "registered") -> None:
        for version in versions:
            self.releases.register(
                Lineage(
                    version=version,
                    created_at=0,
                    dataset="d",
                    code_version="c",
                    parameters={},
                    metrics={},
                    package=f"arn:{version}",
                    artifact="",
                    evaluation="",
                    events=(Event(what=what, at=0, by="retrain:run", reason="too weak"),),
                )
            )

    @property
    def serving(self) -> Serving:
        return self.client.serving

    def state(self, version: str) -> str:
        lineage = self.releases.lineage(version)
        return "" if lineage is None else lineage.state


@pytest.fixture
def world() -> World:
    made = World("run-1", "run-2")
    made.register("run-1", "run-2", "run-3")
    return made


def test_a_model_goes_all_the_way(world: World) -> None:
    releaser = world.releaser
    releaser.shadow("run-1", **TOLD)
    assert world.serving.challengers == ("run-1",)
    releaser.canary("run-1", 0.05, **TOLD)
    assert world.serving.canary is not None
    assert world.serving.challengers == ()
    releaser.promote("run-1", keeps_former=True, **TOLD)
    assert (world.serving.champion, world.serving.canary, world.serving.challengers) == ("run-1", None, ("run-0",))
    releaser.confirm("run-1", **TOLD)
    assert world.serving == Serving(policy=POLICY, champion="run-1")
    lineage = world.releases.lineage("run-1")
    assert lineage is not None
    assert [each.what for each in lineage.events] == ["registered", "shadow", "canary", "champion", "confirmed"]
    assert [each.at for each in lineage.events] == sorted(each.at for each in lineage.events)


def test_each_step_is_taken_once_however_often_it_is_asked(world: World) -> None:
    steps = (
        lambda: world.releaser.shadow("run-1", **TOLD),
        lambda: world.releaser.canary("run-1", 0.05, champion="run-0", **TOLD),
        lambda: world.releaser.promote("run-1", keeps_former=True, champion="run-0", **TOLD),
        lambda: world.releaser.confirm("run-1", **TOLD),
        lambda: world.releaser.withdraw("run-1", **TOLD),
    )
    for step in steps:
        step()
        before = (world.client.deployed, world.state("run-1"), world.serving)
        again = step()
        assert again is None or not again.changed
        assert (world.client.deployed, world.state("run-1"), world.serving) == before


def test_a_stage_that_is_entered_again_begins_again(world: World) -> None:
    for enter in (
        lambda: world.releaser.shadow("run-1", **TOLD),
        lambda: world.releaser.canary("run-1", 0.05, **TOLD),
        lambda: world.releaser.promote("run-1", keeps_former=True, **TOLD),
    ):
        enter()
        before = world.releases.lineage("run-1")
        enter()
        after = world.releases.lineage("run-1")
        assert before is not None
        assert after is not None
        assert after.events[:-1] == before.events
        assert (after.state, after.events[-1].at > before.events[-1].at) == (before.state, True)


PERSON = {"by": "arn:jane", "reason": "complaints"}


@pytest.mark.parametrize(("planned", "who"), [("run-0", "run-2"), ("", "run-2"), ("run-2", "run-0")])
def test_a_run_replaces_nobody_but_the_champion_that_it_was_compared_with(
    world: World, planned: str, who: str
) -> None:
    world.releaser.shadow("run-1", **TOLD)
    if who != "run-0":
        world.releaser.restore(who, **PERSON)
    before = (world.serving, world.releases.lineage("run-1"))
    with pytest.raises(OvertakenError, match=f"champion is {who} meanwhile.*planned for {planned or 'none'}"):
        world.releaser.canary("run-1", 0.05, champion=planned, **TOLD)
    with pytest.raises(OvertakenError, match=f"champion is {who} meanwhile"):
        world.releaser.promote("run-1", keeps_former=True, champion=planned, **TOLD)
    assert (world.serving, world.releases.lineage("run-1")) == before


def test_a_person_who_is_quicker_than_the_change_is_not_overruled(world: World) -> None:
    """The champion is looked at within the change, however often that has to be made again."""
    world.releaser.shadow("run-1", **TOLD)
    original = world.releases.serves

    def overtaken(served: Any) -> None:
        world.releases.serves = original  # type: ignore[method-assign]  # only once
        world.releaser.restore("run-2", **PERSON)
        original(served)

    world.releases.serves = overtaken  # type: ignore[method-assign]  # somebody comes in between
    with pytest.raises(OvertakenError):
        world.releaser.promote("run-1", keeps_former=True, champion="run-0", **TOLD)
    assert world.serving.champion == "run-2"


def test_of_two_canaries_the_second_is_refused(world: World) -> None:
    world.releaser.canary("run-2", 0.05, champion="run-0", **TOLD)
    with pytest.raises(OvertakenError, match="run-2 is tried"):
        world.releaser.canary("run-1", 0.05, champion="run-0", **TOLD)
    assert world.serving.deciding == ("run-0", "run-2")


def test_what_a_person_took_out_does_not_come_back_with_its_run(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=True, champion="run-0", **TOLD)
    world.releaser.restore("run-0", **PERSON)
    world.releaser.withdraw("run-1", **TOLD)  # its execution ends, and cleans up
    for step in (
        lambda: world.releaser.promote("run-1", keeps_former=True, champion="run-0", **TOLD),
        lambda: world.releaser.canary("run-1", 0.05, champion="run-0", **TOLD),
    ):
        with pytest.raises(OvertakenError, match="arn:jane took model run-1 out: complaints"):
            step()
    assert world.serving.champion == "run-0"


def test_what_was_withdrawn_for_a_failure_comes_back_with_its_run(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=True, champion="run-0", **TOLD)
    world.releaser.withdraw("run-1", **TOLD)
    with pytest.raises(OvertakenError, match="the champion is run-0, and no longer run-1"):
        world.releaser.confirm("run-1", **TOLD)
    assert world.state("run-1") == "withdrawn"
    world.releaser.promote("run-1", keeps_former=True, champion="run-0", **TOLD)
    assert world.serving.champion == "run-1"


def test_what_a_person_let_in_is_not_taken_out_for_a_run(world: World) -> None:
    world.releaser.canary("run-1", 0.5, **TOLD)
    world.releaser.restore("run-1", **PERSON)
    with pytest.raises(OvertakenError, match="arn:jane made model run-1 champion: complaints"):
        world.releaser.withdraw("run-1", **TOLD)
    assert (world.serving.champion, world.state("run-1")) == ("run-1", "champion")
    world.releaser.withdraw("run-1", **PERSON)
    assert world.serving.champion == "run-0"


def test_a_canary_is_taken_out_alone_by_going_back_to_the_champion(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=False, **TOLD)
    world.releaser.confirm("run-1", **TOLD)
    world.releaser.canary("run-2", 0.05, **TOLD)
    world.releaser.restore("run-1", **PERSON)
    assert world.serving == Serving(policy=POLICY, champion="run-1")
    assert (world.state("run-1"), world.state("run-2")) == ("confirmed", "withdrawn")
    with pytest.raises(OvertakenError, match="arn:jane took model run-2 out"):
        world.releaser.promote("run-2", keeps_former=True, champion="run-1", **TOLD)


@pytest.mark.parametrize("lost", ["approval", "gate"])
def test_nobody_goes_back_to_what_may_not_serve(world: World, lost: str) -> None:
    world.releaser.promote("run-1", keeps_former=False, **TOLD)
    world.releaser.promote("run-2", keeps_former=False, **TOLD)
    if lost == "approval":
        world.approved.remove("run-1")
    else:
        world.releases.happened("run-1", Event(what="rejected", at=1, by="retrain:run", reason="too weak"))
        world.releases.happened("run-1", Event(what="approved", at=2, by="jane"))
        world.releases.happened("run-1", Event(what="champion", at=3, by="jane"))
    with pytest.raises(NotReleasedError, match=r"not approved|too weak"):
        world.releaser.restore("run-1", **PERSON)
    assert world.serving.champion == "run-2"
    world.releaser.withdraw("run-2", **TOLD)
    assert world.serving.champion == "run-0"


def test_the_gate_is_not_overruled_by_a_later_word(world: World) -> None:
    world.register("run-5", what="rejected")
    world.approved.add("run-5")
    world.releases.happened("run-5", Event(what="approved", at=2, by="jane"))
    with pytest.raises(NotReleasedError, match="rejected by the gate: too weak"):
        world.releaser.promote("run-5", keeps_former=False, **TOLD)


@pytest.mark.parametrize("step", ["canary", "promote"])
def test_who_is_not_approved_decides_on_nothing(world: World, step: str) -> None:
    calls = {
        "canary": lambda: world.releaser.canary("run-3", 0.05, **TOLD),
        "promote": lambda: world.releaser.promote("run-3", keeps_former=False, **TOLD),
    }
    with pytest.raises(NotReleasedError, match="paywarden models approve run-3"):
        calls[step]()
    assert world.serving.champion == "run-0"


def test_who_was_rejected_or_never_registered_does_not_even_score(world: World) -> None:
    world.register("run-5", what="rejected")
    for version, why in (("run-5", "too weak"), ("run-9", "never registered")):
        with pytest.raises(NotReleasedError, match=why):
            world.releaser.shadow(version, **TOLD)
    assert len(world.client.deployments) == 1


def test_a_bundle_that_is_not_whole_is_never_named(world: World) -> None:
    world.bundles.broken = {"run-1"}
    with pytest.raises(CorruptBundleError):
        world.releaser.promote("run-1", keeps_former=False, **TOLD)
    assert (world.serving.champion, world.state("run-1")) == ("run-0", "registered")


def test_a_champion_that_is_withdrawn_gives_way_to_the_one_before(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=False, **TOLD)
    world.releaser.promote("run-2", keeps_former=True, **TOLD)
    world.releaser.withdraw("run-2", **TOLD)
    assert world.serving == Serving(policy=POLICY, champion="run-1")
    assert (world.state("run-1"), world.state("run-2")) == ("champion", "withdrawn")


def test_nobody_goes_back_to_a_model_that_was_withdrawn_itself(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=False, **TOLD)
    world.releaser.promote("run-2", keeps_former=False, **TOLD)
    world.releaser.withdraw("run-1", **TOLD)  # late, when it no longer served
    assert world.serving.champion == "run-2"
    world.releaser.withdraw("run-2", **TOLD)
    assert world.serving.champion == "run-0"


def test_a_damaged_bundle_is_passed_over_and_if_all_are_nothing_changes(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=False, **TOLD)
    world.releaser.promote("run-2", keeps_former=False, **TOLD)
    world.bundles.broken = {"run-1", "run-0"}
    with pytest.raises(CorruptBundleError, match="run-1"):
        world.releaser.withdraw("run-2", **TOLD)
    assert world.serving.champion == "run-2"
    world.bundles.broken = {"run-1"}
    world.releaser.withdraw("run-2", **TOLD)
    assert world.serving.champion == "run-0"


def test_a_run_that_released_nothing_has_nothing_to_withdraw(world: World) -> None:
    assert world.releaser.withdraw("run-3", **TOLD) is None
    assert world.releaser.withdraw("unknown", **TOLD) is None
    assert (len(world.client.deployments), world.state("run-3")) == (1, "registered")


def test_the_first_model_gives_way_to_none() -> None:
    world = World("run-1", champion=None)
    world.register("run-1")
    world.releaser.promote("run-1", keeps_former=True, **TOLD)
    world.releaser.withdraw("run-1", **TOLD)
    assert world.serving == Serving(policy=POLICY)


def test_an_operator_goes_back_to_whatever_served_or_is_approved(world: World) -> None:
    world.releaser.promote("run-1", keeps_former=False, **TOLD)
    world.releaser.canary("run-2", 0.5, **TOLD)
    world.releaser.restore("run-0", **TOLD)
    assert world.serving == Serving(policy=POLICY, champion="run-0")
    assert (world.state("run-1"), world.state("run-2")) == ("withdrawn", "withdrawn")
    with pytest.raises(NotReleasedError):
        world.releaser.restore("run-3", **TOLD)
    world.releaser.restore("run-2", **TOLD)
    assert world.serving.champion == "run-2"


STEPS = ("shadow", "canary", "promote", "confirm", "withdraw", "restore")


@settings(max_examples=150)
@given(
    st.sets(st.sampled_from(["run-1", "run-2", "run-3"])),
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(["run-1", "run-2", "run-3"])), max_size=12),
    st.sampled_from([None, "run-0"]),
)
def test_who_decides_was_approved_and_who_is_withdrawn_is_gone(
    approved: set[str], steps: list[tuple[str, str]], first: str | None
) -> None:
    world = World(*approved, champion=first)
    world.register("run-1", "run-2", "run-3")
    releaser = world.releaser
    for step, version in steps:
        serving = world.serving
        calls = {
            "shadow": lambda version=version: releaser.shadow(version, **TOLD),
            "canary": lambda version=version: releaser.canary(version, 0.1, **TOLD),
            "promote": lambda version=version: releaser.promote(version, keeps_former=True, **TOLD),
            "confirm": lambda version=version: releaser.confirm(version, **TOLD),
            "withdraw": lambda version=version: releaser.withdraw(version, **TOLD),
            "restore": lambda version=version: releaser.restore(version, **TOLD),
        }
        try:
            calls[step]()
        except OvertakenError:
            assert step in ("canary", "confirm")
            taken = serving.canary is not None and serving.canary.version != version
            assert taken if step == "canary" else serving.champion != version
        except NotReleasedError:
            assert step in ("canary", "promote", "restore")
            assert version not in approved
        serving = world.serving
        assert set(serving.deciding) <= {*approved, first}
        assert (serving.champion is None) <= (first is None)
        assert serving.champion not in serving.challengers
        assert len(set(serving.challengers)) == len(serving.challengers)
        if step == "withdraw":
            assert version not in (*serving.deciding, *serving.challengers)
        last = world.releases.last_served()
        # Nothing was changed yet where there is no history.
        assert len(world.client.deployments) == 1 if last is None else last.document == serving


@given(st.booleans(), st.sampled_from(["shadow", "canary", "promote"]), st.sampled_from([None, "run-0"]))
def test_withdrawing_undoes_a_release(other: bool, step: str, first: str | None) -> None:
    world = World("run-1", champion=first)
    world.register("run-1", "run-7")
    if other:
        world.releaser.shadow("run-7", **TOLD)
    before = world.serving
    world.releaser.shadow("run-1", **TOLD)
    if step != "shadow":
        world.releaser.canary("run-1", 0.2, **TOLD)
    if step == "promote":
        world.releaser.promote("run-1", keeps_former=True, **TOLD)
    world.releaser.withdraw("run-1", **TOLD)
    assert world.serving == before


ON_THE_WAY = (
    ("shadow", "run-1", {}),
    ("canary", "run-1", {"share": 0.2}),
    ("promote", "run-1", {"keeps_former": True}),
    ("confirm", "run-1", {}),
    ("canary", "run-2", {"share": 0.2}),
    ("restore", "run-1", {}),
    ("promote", "run-2", {"keeps_former": False}),
    ("restore", "run-1", {}),
    ("withdraw", "run-1", {}),
)


@pytest.mark.parametrize("late", range(len(ON_THE_WAY)))
def test_a_step_that_appconfig_had_no_time_for_is_complete_once_it_is_asked_again(late: int) -> None:
    def walked(*, busy: bool) -> World:
        world = World("run-1", "run-2")
        world.register("run-1", "run-2")
        for number, (step, version, how) in enumerate(ON_THE_WAY):
            take = getattr(world.releaser, step)
            if busy and number == late:
                world.client.busy = 1_000
                with pytest.raises(UndeployedError):
                    take(version, **how, **TOLD)
                world.client.busy = 0
            take(version, **how, **TOLD)
        return world

    asked_once, asked_twice = walked(busy=False), walked(busy=True)
    assert asked_twice.serving == asked_once.serving
    assert asked_twice.releaser.publisher.is_deployed()
    for version in ("run-1", "run-2"):
        assert asked_twice.state(version) == asked_once.state(version)
        told = [
            dict.fromkeys(each.what for each in world.releases.lineage(version).events)
            for world in (asked_once, asked_twice)
        ]
        assert told[0] == told[1]

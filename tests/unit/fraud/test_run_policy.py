"""A run's policy: the deployment's own, changed at any depth, and never one without an end."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.release import GatePolicy, ReleasePolicy, RunPolicy
from fraud.run_policy import HELD, MOST_LOOKS, PolicyError, loosened, policy_of

OWN = RunPolicy(release=ReleasePolicy(approval="person", canary_share=0.2))


def test_what_is_not_named_stays() -> None:
    changed = policy_of(OWN, {"release": {"canary_share": 0.1}, "tuning": {"trials": 3}})
    assert (changed.release.approval, changed.release.canary_share) == ("person", 0.1)
    assert (changed.tuning.trials, changed.tuning.seconds) == (3, OWN.tuning.seconds)
    assert policy_of(OWN) == policy_of(OWN, {}) == OWN


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"releases": {}}, "releases"),
        ({"release": {"canary": 1}}, "canary"),
        ({"release": 3}, r"\$\.release"),
        ({"gate": {"minimum_lift": 0}}, r"\$\.gate\.minimum_lift"),
        ({"release": {"approval": "nobody"}}, "approval"),
        ({"release": {"shadow_hours": 0}}, "policy.release.shadow_hours: .*shadow_decisions to 0"),
        ({"release": {"canary_minutes": 0}}, "policy.release.canary_minutes: .*canary_share to 0"),
    ],
)
def test_a_policy_that_cannot_be_held_to_is_refused_by_its_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PolicyError, match=named):
        policy_of(OWN, changes)


@given(
    shadow=st.floats(0, 24 * 28),
    canary=st.floats(1, 60 * 24 * 7),
    probation=st.floats(0, 60 * 24 * 7),
    poll=st.integers(1, 3_600),
)
def test_the_looks_are_bounded_and_the_remedy_is_one(
    shadow: float, canary: float, probation: float, poll: int
) -> None:
    release = {
        **{"shadow_decisions": 0, "shadow_hours": shadow, "canary_minutes": canary},
        **{"probation_minutes": probation, "poll_seconds": poll},
    }
    seconds = shadow * 3_600 + (canary + probation) * 60
    try:
        policy_of(OWN, {"release": release})
    except PolicyError as error:
        assert seconds / poll > MOST_LOOKS
        advised = int(str(error).partition("every ")[2].partition(" s")[0])
        assert policy_of(OWN, {"release": release | {"poll_seconds": advised}}).release.poll_seconds == advised
    else:
        assert seconds / poll <= MOST_LOOKS


def test_a_policy_is_the_same_after_it_has_been_written() -> None:
    assert policy_of(RunPolicy(), msgspec.to_builtins(OWN)) == OWN


HELD_TO = RunPolicy(
    gate=GatePolicy(minimum_gain=0.01, maximum_slice_loss=0.05, minimum_slice_frauds=20),
    release=ReleasePolicy(approval="person", canary_share=0.05, shadow_hours=24.0, unlabelled="person"),
)


@pytest.mark.parametrize(
    ("part", "field", "tighter", "looser", "told"),
    [
        ("gate", "minimum_gain", 0.02, 0.0, "at least 0.01 here"),
        ("gate", "maximum_slice_loss", 0.0, 1.0, "at most 0.05 here"),
        ("gate", "minimum_slice_frauds", 10, 10**9, "at most 20 here"),
        ("gate", "maximum_calibration_factor", 1.5, 100.0, "at most 2 here"),
        ("release", "approval", "person", "bounds", "person here"),
        ("release", "unlabelled", "stop", "pass", "person or stop here"),
        ("release", "canary_share", 0.01, 0.5, "at most 0.05 here"),
        ("release", "canary_share", 0.05, 0, "above 0 and at most 0.05 here"),
        ("release", "canary_decisions", 5_000, 5, "at least 2000 here"),
        ("release", "minimum_canary_decisions", 500, 0, "at least 200 here"),
        ("release", "shadow_hours", 48.0, 1.0, "at least 24 here"),
        ("release", "shadow_decisions", 20_000, 20, "at least 10000 here"),
        ("release", "minimum_shadow_frauds", 30, 10**9, "30 here"),
        ("release", "maximum_approval_change", 0.01, 1.0, "at most 0.05 here"),
        ("release", "probation_minutes", 90.0, 0, "at least 60 here"),
        ("release", "poll_seconds", 200, 3_600, "at most 300 here"),
    ],
)
def test_where_the_policy_is_a_floor_a_run_may_tighten_it_and_not_loosen_it(
    part: str, field: str, tighter: Any, looser: Any, told: str
) -> None:
    assert getattr(getattr(policy_of(HELD_TO, {part: {field: tighter}}, loose=False), part), field) == tighter
    with pytest.raises(PolicyError, match=rf"^policy\.{part}\.{field}: {told}"):
        policy_of(HELD_TO, {part: {field: looser}}, loose=False)
    assert getattr(getattr(policy_of(HELD_TO, {part: {field: looser}}, loose=True), part), field) == looser


def test_what_neither_loosens_nor_tightens_is_free() -> None:
    changes = {
        "release": {"approval_hours": 1.0},
        "data": {"minimum_frauds": 1, "maturity_days": 1.0},
        "tuning": {"trials": 5},
    }
    assert policy_of(HELD_TO, changes, loose=False).tuning.trials == 5


def test_every_bound_of_gate_and_release_is_held_to() -> None:
    """A new field with a name that says nothing fails here, and has to be given a direction."""
    for part, kind in HELD.items():
        changed = set()
        for field in kind.__struct_fields__:
            own = getattr(getattr(HELD_TO, part), field)
            words = {"approval": ["bounds"], "unlabelled": ["pass"]}
            others: list[Any] = words[field] if isinstance(own, str) else [own - 1, 0 * own, own * 2 + 1]
            for other in others:
                values = msgspec.structs.replace(getattr(HELD_TO, part), **{field: other})
                if loosened(HELD_TO, msgspec.structs.replace(HELD_TO, **{part: values})):
                    changed.add(field)
        assert set(kind.__struct_fields__) - changed == ({"approval_hours"} if part == "release" else set())

"""A run's policy: the deployment's own, changed at any depth, and never one without an end."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.release import ReleasePolicy, RunPolicy
from fraud.runs import MOST_LOOKS, PolicyError, policy_of

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

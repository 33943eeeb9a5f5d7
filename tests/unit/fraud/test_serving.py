"""The serving document: which model decides on a payment, and which ones only look on."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.policy import Policy, Thresholds
from fraud.serving import Canary, Serving

POLICY = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
EVENTS = [f"shop/t{number}" for number in range(4_000)]

names = st.text("abcdef-0123456789", min_size=1, max_size=8)
shares = st.floats(0, 1)


def serving(champion: str | None = "run-1", canary: Canary | None = None, *challengers: str) -> Serving:
    return Serving(policy=POLICY, champion=champion, canary=canary, challengers=challengers)


@given(names, shares)
def test_a_canary_decides_on_its_share_of_payments(version: str, share: float) -> None:
    document = serving("run-1", Canary(version=f"canary-{version}", share=share))
    taken = sum(document.routed(event) != "run-1" for event in EVENTS)
    # Five standard deviations: one in 1.7 million draws is farther off.
    spread = math.sqrt(share * (1 - share) * len(EVENTS))
    assert abs(taken - share * len(EVENTS)) <= 5 * spread + 1
    if share in (0, 1):
        assert taken == share * len(EVENTS)


@given(names, shares, shares)
def test_a_payment_that_a_small_canary_takes_a_larger_one_takes_too(
    version: str, first: float, second: float
) -> None:
    small, large = (Canary(version=version, share=share) for share in sorted((first, second)))
    assert all(large.takes(event) for event in EVENTS[:200] if small.takes(event))


def test_another_canary_is_tried_on_other_payments() -> None:
    first, second = ({e for e in EVENTS if Canary(version=v, share=0.2).takes(e)} for v in ("run-2", "run-3"))
    assert len(first & second) == pytest.approx(0.04 * len(EVENTS), rel=0.3)


def test_without_a_canary_the_champion_decides_and_without_both_nobody() -> None:
    assert {serving().routed(event) for event in EVENTS[:100]} == {"run-1"}
    assert {serving(None).routed(event) for event in EVENTS[:100]} == {None}


def test_each_version_is_loaded_once_whatever_it_is_named_for() -> None:
    document = serving("run-1", Canary(version="run-2", share=0.5), "run-2", "run-3", "run-3", "run-1")
    assert document.deciding == ("run-1", "run-2")
    assert document.shadowing == ("run-3",)
    assert serving(None, None, "run-3").deciding == ()


@pytest.mark.parametrize(
    "canary", [{"version": "r", "share": 1.01}, {"version": "r", "share": -0.1}, {"version": "", "share": 0.5}, {}]
)
def test_a_canary_that_cannot_be_is_refused(canary: dict[str, object]) -> None:
    document = msgspec.to_builtins(serving()) | {"canary": canary}
    with pytest.raises(msgspec.ValidationError, match="canary"):
        msgspec.convert(document, Serving)


def test_a_document_from_before_canaries_is_still_one() -> None:
    document = msgspec.to_builtins(serving())
    del document["canary"]
    assert msgspec.convert(document, Serving) == serving()

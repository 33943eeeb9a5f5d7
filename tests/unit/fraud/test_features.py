"""Every registered feature through every check, and the checks through features that must not pass."""

import math
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import PAYMENTS, Aggregation, Reason, RowFeature, WindowFeature
from fraud.features.handbook import HANDBOOK
from fraud.features.sets import Feature
from fraud.features.standard import CARD, MERCHANT
from fraud.windows import Window
from tests.unit.fraud import checks
from tests.unit.fraud.checks import CHECKS, World

WORLDS = {name: World(features) for name, features in (("standard", STANDARD), ("handbook", HANDBOOK))}
REGISTERED = [
    pytest.param(feature, world, id=f"{name}-{feature.name}")
    for name, world in WORLDS.items()
    for feature in world.features.features
]
WHY = Reason("WHY", "Because it is so")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("feature", "world"), REGISTERED)
def test_a_registered_feature(feature: Feature, world: World, check: Callable[[Feature, World], None]) -> None:
    check(feature, world)


@pytest.mark.parametrize(
    "entity", dict.fromkeys((*STANDARD.entities, *HANDBOOK.entities)), ids=lambda entity: entity.name
)
def test_an_entity(entity: object) -> None:
    checks.may_be_an_entity(entity)  # type: ignore[arg-type]


def _row(
    of: Callable[..., float], *fields: str, name: str = "oddity", catches: str = "Odd payments."
) -> RowFeature:
    return RowFeature(name, fields or ("amount",), of, WHY, catches)


def _counter() -> Callable[..., float]:
    numbers: Iterator[int] = count()
    return lambda *_: float(next(numbers))


def _windowed(**more: object) -> WindowFeature:
    given: dict[str, object] = {"catches": "Bursts of payments.", "window": Window.of("24h"), **more}
    given.setdefault("aggregation", Aggregation.COUNT)
    return WindowFeature(MERCHANT, over=PAYMENTS, reason=WHY, **given)  # type: ignore[arg-type]  # as each test gives them


@pytest.mark.parametrize(
    ("check", "feature"),
    [
        (checks.has_a_name_for_any_engine, _row(float, name="Odd Amount")),
        (checks.says_what_it_catches, _row(float, catches="odd")),
        (checks.says_what_it_catches, _windowed(catches="")),
        (checks.costs_little, _windowed(window=Window.of("7d", hop="1m"))),
        (checks.shows_only_counts, _windowed(shown=True, aggregation=Aggregation.SUM)),
        (checks.tells_a_payer_nothing_to_be_used, _row(float)),
        (checks.is_a_number_or_missing, _row(lambda _: math.inf)),
        (checks.is_a_number_or_missing, _row(lambda amount: amount)),
        (checks.is_a_number_or_missing, _row(lambda _: math.nan)),
        (checks.reads_without_writing, _row(_counter())),
        (checks.can_do_without_what_was_not_sent, _row(lambda device: 1.0 / len(device), "device")),
        (checks.is_alone_what_it_is_in_the_set, _row(_counter())),
        (checks.is_in_batch_what_it_is_in_replay, _row(_counter(), "device")),
        (checks.is_the_same_for_the_same_input, _row(_counter())),
        (checks.is_the_same_for_the_same_input, _row(lambda _: 1.0)),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_a_check_fails_where_it_must(check: Callable[[Feature, World], None], feature: Feature) -> None:
    with pytest.raises((AssertionError, ArithmeticError)):
        check(feature, World(FeatureSet(feature)))


def test_checks_of_the_fold_fail_for_a_set_that_folds_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that keeps the latest event to come rather than all of them."""
    whole = FeatureSet.fold

    def forgetful(self: FeatureSet, state: object, entity: str, event: object) -> bool:
        state.tiles.clear()  # type: ignore[attr-defined]
        return whole(self, state, entity, event)  # type: ignore[arg-type]

    feature = WindowFeature(CARD, Aggregation.SUM, PAYMENTS, Window.of("24h"), WHY, "A card being emptied.")
    sound = World(FeatureSet(feature))
    assert sound.vectors
    monkeypatch.setattr(FeatureSet, "fold", forgetful)
    for check in (
        checks.does_not_depend_on_the_order_of_the_fold,
        checks.does_not_depend_on_the_shards,
        checks.survives_packing,
        checks.is_alone_what_it_is_in_the_set,
    ):
        with pytest.raises(AssertionError):
            check(feature, sound)

"""Definitions that cannot mean what they say are refused, with the name and the remedy."""

from collections.abc import Callable
from typing import Any

import pytest

from fraud.features import FeatureSet
from fraud.features.definitions import (
    DECLINES,
    FRAUDS,
    PAYMENTS,
    VERDICTS,
    Aggregation,
    DefinitionError,
    Distinct,
    Entity,
    Reason,
    RowFeature,
    Series,
    Source,
    Where,
    WindowFeature,
)
from fraud.features.standard import CARD, CUSTOMER
from fraud.windows import DAY, HOUR, Window
from tests.unit.fraud.strategies import payment

WHY = Reason("WHY", "Because")
DEVICES = Distinct(3, "device")


def made(
    aggregation: Aggregation = Aggregation.COUNT,
    over: Series | Distinct = PAYMENTS,
    window: Window | str = "24h",
    *,
    entity: Entity = CARD,
    **more: Any,
) -> WindowFeature:
    length = Window.of(window) if isinstance(window, str) else window
    return WindowFeature(entity, aggregation, over, length, WHY, "A test.", **more)


def rounds(*fields: str, name: str = "amount_rounds") -> RowFeature:
    return RowFeature(name, fields, lambda *_: 0.0, WHY, "A test.")


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an entity of an unknown field": (
        lambda: Entity("wallet", ("wallet_id",)),
        r"entity wallet: there is no field 'wallet_id'; use one of .*card",
    ),
    "an entity of no field": (lambda: Entity("nobody", ()), r"entity nobody: it needs at least one field"),
    "an entity without a shard": (lambda: Entity("card", ("card",), 0), r"entity card: .*one shard"),
    "distinct values of an unknown field": (
        lambda: Distinct(9, "colour"),
        r"distinct colour: there is no field 'colour'; use one of",
    ),
    "a condition on an unknown field": (
        lambda: Series(9, Source.TRANSACTION, Where("blue", "colour", ("blue",))),
        r"series blue: there is no field 'colour'; use one of",
    ),
    "a condition on a payment's kind, which it has not": (
        lambda: Series(9, Source.TRANSACTION, Where("refused", "kind", ("declined",))),
        r"series refused: there is no field 'kind'; use one of",
    ),
    "an entity of a number": (
        lambda: Entity("price", ("amount",)),
        r"entity price: field 'amount' is a number; use one of .*card",
    ),
    "distinct values of a number": (
        lambda: Distinct(9, "event_time"),
        r"distinct event_time: field 'event_time' is a number; use one of",
    ),
    "distinct values with no room": (lambda: Distinct(9, "device", 0), r"distinct device: .*at least one value"),
    "a condition on a number": (
        lambda: Series(9, Source.TRANSACTION, Where("round", "amount", ("1000",))),
        r"series round: field 'amount' is a number; use one of",
    ),
    "a condition of one word, which is no tuple": (
        lambda: Series(9, Source.OUTCOME, Where("x", "kind", "declined")),  # type: ignore[arg-type]
        r"series x: a condition needs a tuple of values, such as \('declined',\)",
    ),
    "a condition that nothing fulfils": (
        lambda: Series(9, Source.OUTCOME, Where("x", "kind", ())),
        r"series x: a condition needs a tuple of values",
    ),
    "a kind that no outcome has": (
        lambda: Series(9, Source.OUTCOME, Where("x", "kind", ("declined", "decline"))),
        r"series x: there is no kind 'decline'; use one of authorised, declined, captured",
    ),
    "a kind of labels for outcomes": (
        lambda: Series(9, Source.OUTCOME, Where("x", "kind", ("chargeback",))),
        r"series x: there is no kind 'chargeback'; use one of authorised",
    ),
    "outcomes without a condition, whose name would say payments": (
        lambda: made(over=Series(9, Source.OUTCOME)),
        r"feature card_count_24h: only payments are counted without a condition; give the series a Where",
    ),
    "a window of no length": (lambda: made(window=Window(0, 0)), r"feature card_count_0s: .*whole seconds"),
    "a delay into the future": (
        lambda: made(window=Window(DAY, HOUR, -HOUR)),
        r"feature card_count_24h_after_.*: .*whole seconds, and only a delay may be none",
    ),
    "a row feature of an unknown field": (
        lambda: rounds("amount", "colour"),
        r"feature amount_rounds: there is no field 'colour'; use one of",
    ),
    "labels without a delay": (
        lambda: made(Aggregation.RATE, FRAUDS),
        r"feature card_fraud_rate_24h: labels arrive late.* delay, such as Window.of\('28d', delay='7d'\)",
    ),
    "a share of labels without a delay": (
        lambda: made(Aggregation.RATE, Series(9, Source.OUTCOME, Where("x", "kind", ("declined",)), FRAUDS)),
        r"feature card_x_rate_24h: labels arrive late",
    ),
    "a hop longer than its window": (
        lambda: made(window=Window(HOUR, DAY)),
        r"feature card_count_1h: the hop is longer than the window.*leave hop out or shorten it",
    ),
    "a second shorter than the default hop": (
        lambda: made(window="1s"),
        r"feature card_count_1s: the hop is longer than the window",
    ),
    "a window of half a second": (
        lambda: made(window=Window(1_500, 500)),
        r"feature card_count_1s: .*whole seconds",
    ),
    "a delay of half a second": (
        lambda: made(window=Window(DAY, HOUR, 1_500)),
        r"feature card_count_24h_after_1s: .*whole seconds",
    ),
    "a window longer than anything is kept": (
        lambda: made(window="500d"),
        r"feature card_count_500d: .*more than 400 days; shorten them",
    ),
    "a count over distinct values": (
        lambda: made(Aggregation.COUNT, DEVICES),
        r"feature card_count_device_24h: 'distinct' aggregates a Distinct",
    ),
    "distinct values of a series": (
        lambda: made(Aggregation.DISTINCT),
        r"feature card_distinct_24h: 'distinct' aggregates a Distinct, all else a Series",
    ),
    "a delayed distinct count": (
        lambda: made(Aggregation.DISTINCT, DEVICES, Window.of("7d", delay="1d")),
        r"feature card_distinct_device_7d_after_24h: .*cannot be delayed",
    ),
    "a share of nothing": (
        lambda: made(Aggregation.RATE, VERDICTS),
        r"feature card_answered_rate_24h: a rate needs a series with a base, such as FRAUDS or DECLINES",
    ),
    "a shared history shown to one merchant": (
        lambda: made(shown=True),
        r"feature card_count_24h: it would show a merchant what the others saw.*\(customer, merchant_id\)",
    ),
    "a version before the first": (lambda: made(version=0), r"feature card_count_24h: versions count from 1"),
    **{
        f"the current payment {what}": (
            lambda aggregation=aggregation, over=over, window=window: made(
                aggregation, over, window, include_current=True
            ),
            r"feature card_.*_with_current: the current transaction can only count among undelayed payments",
        )
        for what, aggregation, over, window in (
            ("in a delayed window", Aggregation.COUNT, PAYMENTS, Window.of("24h", delay="1h")),
            ("among the outcomes", Aggregation.COUNT, DECLINES, "24h"),
            ("in a share", Aggregation.RATE, DECLINES, "24h"),
            ("in the time since the first", Aggregation.SINCE_FIRST, PAYMENTS, "24h"),
            ("in the time since the last", Aggregation.SINCE_LAST, PAYMENTS, "24h"),
            (
                "in a series with a condition",
                Aggregation.COUNT,
                Series(9, Source.TRANSACTION, Where("pos", "channel", ("pos",))),
                "24h",
            ),
        )
    },
    "two features of one name": (
        lambda: FeatureSet(made(), made(window=Window.of("24h", hop="1h"))),
        r"features with the same name: card_count_24h; change or remove one of each",
    ),
    "a row feature of a window's name": (
        lambda: FeatureSet(made(), rounds("amount", name="card_count_24h")),
        r"features with the same name: card_count_24h",
    ),
    "two entities of one name": (
        lambda: FeatureSet(made(), made(window="7d", entity=Entity("card", ("customer",)))),
        r"different entities with the same name: card; rename one of each",
    ),
    "two series in one slot": (
        lambda: FeatureSet(made(), made(over=Series(1, Source.OUTCOME, Where("told", "kind", ("captured",))))),
        r"different series have slot 1; give one of them a slot never used before",
    ),
    "a base in the slot of another series": (
        lambda: FeatureSet(
            made(),
            made(
                Aggregation.RATE,
                Series(9, Source.OUTCOME, Where("x", "kind", ("declined",)), Series(1, Source.OUTCOME)),
            ),
        ),
        r"different series have slot 1",
    ),
    "two kinds of distinct values in one slot": (
        lambda: FeatureSet(made(Aggregation.DISTINCT, DEVICES), made(Aggregation.DISTINCT, Distinct(3, "ip"))),
        r"different distinct values have slot 3; give one of them a slot never used before",
    ),
    "one kind of distinct values with two capacities": (
        lambda: FeatureSet(
            made(Aggregation.DISTINCT, DEVICES), made(Aggregation.DISTINCT, Distinct(3, "device", 8), "7d")
        ),
        r"different distinct values have slot 3",
    ),
    "hops that do not nest": (
        lambda: FeatureSet(made(window=Window.of("24h", hop="2m")), made(window=Window.of("7d", hop="5m"))),
        r"entity card: hops of 120 s and 300 s do not nest.*let every hop divide the next longer one",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_by_its_name_with_the_remedy(
    make: Callable[[], object], said: str
) -> None:
    with pytest.raises(DefinitionError, match=said):
        make()


def test_hops_that_do_not_nest_are_no_matter_between_entities_or_series() -> None:
    two, five = Window.of("24h", hop="2m"), Window.of("24h", hop="5m")
    features = FeatureSet(
        made(window=two), made(window=five, entity=CUSTOMER), made(Aggregation.COUNT, DECLINES, five)
    )
    assert [read.window.hop for read in features.reads] == [120_000, 300_000, 300_000]


def test_a_share_may_come_with_the_window_of_its_base_in_another_hop_that_nests() -> None:
    features = FeatureSet(made(Aggregation.RATE, DECLINES, "1h"), made(over=VERDICTS))
    assert list(features.layouts["card"].tiles[VERDICTS.slot].levels) == [60_000, 900_000]


def test_the_version_of_a_set_follows_its_definitions() -> None:
    versions = {
        FeatureSet(feature).version
        for feature in (
            made(),
            made(version=2),
            made(window="25h"),
            made(window=Window.of("24h", hop="1h")),
            made(window=Window.of("24h", delay="1h")),
            made(include_current=True),
            made(entity=CUSTOMER),
            made(entity=Entity("card", ("card",), shards=2)),
            made(entity=Entity("card", ("customer",))),
            made(Aggregation.SUM),
            made(over=DECLINES),
            made(over=Series(4, Source.OUTCOME, Where("declined", "kind", ("declined", "reviewed")), VERDICTS)),
            made(over=Series(4, Source.OUTCOME, Where("declined", "three_ds", ("declined",)), VERDICTS)),
            made(Aggregation.DISTINCT, DEVICES),
            made(Aggregation.DISTINCT, Distinct(3, "device", 8)),
            made(Aggregation.DISTINCT, Distinct(4, "device")),
            rounds("amount", name="card_count_24h"),
            rounds("currency", name="card_count_24h"),
        )
    }
    assert len(versions) == 18
    assert FeatureSet(made()).version == FeatureSet(made()).version
    assert FeatureSet(made(), made(window="7d")).version != FeatureSet(made(window="7d"), made()).version


def test_words_that_change_no_number_change_no_version() -> None:
    pair = Entity("pair", ("card", "merchant_id"))
    window, why = Window.of("24h"), Reason("X", "y", "z")
    other = WindowFeature(pair, Aggregation.COUNT, PAYMENTS, window, why, "Other.", shown=True)
    assert FeatureSet(other).version == FeatureSet(made(entity=pair)).version


def test_only_what_one_merchant_sent_may_be_shown_to_it() -> None:
    for entity in (Entity("shop", ("merchant_id",)), Entity("pair", ("card", "merchant_id")), CUSTOMER):
        assert made(entity=entity, shown=True).shown
    for entity in (CARD, Entity("device", ("device",)), Entity("both", ("device", "card"))):
        with pytest.raises(DefinitionError, match="what the others saw; only entities with a field of one"):
            made(entity=entity, shown=True)


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        (made(window="24h"), "card_count_24h"),
        (made(window="48h"), "card_count_2d"),
        (made(window="90s"), "card_count_90s"),
        (made(window="60m"), "card_count_1h"),
        (made(version=2), "card_count_24h_v2"),
        (made(Aggregation.SUM, include_current=True), "card_amount_sum_24h_with_current"),
        (made(Aggregation.RATE, FRAUDS, Window.of("28d", delay="7d")), "card_fraud_rate_28d_after_7d"),
        (made(Aggregation.DISTINCT, DEVICES, "7d"), "card_distinct_device_7d"),
        (made(Aggregation.MAX, DECLINES), "card_declined_amount_max_24h"),
    ],
)
def test_a_name_is_made_of_the_parts(feature: WindowFeature, name: str) -> None:
    assert feature.name == name


def test_a_compound_key_tells_its_parts_apart() -> None:
    pair = Entity("pair", ("card", "device"))
    tokens = {
        pair.token(payment(card=card, device=device))
        for card, device in (("a|b", "c"), ("a", "b|c"), ("a%7Cb", "c"), ("a%", "7Cb|c"), ("ab", "c"))
    }
    assert len(tokens) == 5
    assert pair.token(payment(card="a", device="")) == pair.token(payment(card="", device="a")) == ""

"""The standard set: checks that every registered feature passes, and what published columns mean for good."""

import math
import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given

from fraud.bundle import CorruptBundleError, Lineage, Manifest, digest, verify
from fraud.calibration import Calibration
from fraud.codec import encode
from fraud.events import Event, Label
from fraud.features import STANDARD, FeatureSet, Key
from fraud.features.definitions import RowFeature, WindowFeature
from fraud.replay import replay
from fraud.state import State
from fraud.windows import DAY, HOUR, MINUTE
from tests.unit.fraud import oracle
from tests.unit.fraud.strategies import START, histories, payment, same


def _states(events: Sequence[Event]) -> dict[Key, State]:
    states: dict[Key, State] = {}
    list(replay(events, states=states))
    return states


@given(histories(least=1))
def test_reading_a_vector_changes_no_state_and_gives_the_same_again(events: list[Event]) -> None:
    states = _states(events)
    before = {key: encode(state) for key, state in states.items()}
    now = payment("now", at=START + 51 * DAY, merchant_id="m1")
    mine = {key: state for key, state in states.items() if key in STANDARD.keys_read(now)}
    first = STANDARD.vector(now, mine)
    assert same(first, STANDARD.vector(now, mine))
    assert {key: encode(state) for key, state in states.items()} == before


@given(histories(least=1))
def test_every_value_is_a_number_or_missing_and_counts_are_never_missing(events: list[Event]) -> None:
    for transaction, vector in replay(events):
        for feature, value in zip(STANDARD.features, vector, strict=True):
            assert isinstance(value, float)
            assert not math.isinf(value)
            if isinstance(feature, WindowFeature):
                counts = feature.aggregation in ("count", "distinct", "amount_sum")
                if counts and feature.entity.token(transaction):
                    assert value >= 0


@pytest.mark.parametrize("feature", STANDARD.features, ids=STANDARD.names)
def test_a_feature_alone_has_the_value_that_it_has_in_the_set(feature: WindowFeature | RowFeature) -> None:
    alone = FeatureSet(feature)
    events = _history()
    whole = {paid.event_id: vector for paid, vector in replay(events)}
    column = STANDARD.names.index(feature.name)
    for paid, vector in replay(events, alone):
        assert same(vector, [whole[paid.event_id][column]])


@pytest.mark.parametrize("feature", STANDARD.features, ids=STANDARD.names)
def test_a_name_is_a_column_of_any_engine_and_derived_from_the_parts(
    feature: WindowFeature | RowFeature,
) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", feature.name)
    if isinstance(feature, WindowFeature):
        entity, what, length, hop, delay = oracle.WINDOWED[feature.name]
        assert (feature.entity.field, feature.window.length) == (entity, length), what
        assert (feature.window.hop, feature.window.delay) == (hop, delay)


@pytest.mark.parametrize("field", ["card", "customer"])
def test_what_was_not_sent_is_missing_and_writes_no_state(field: str) -> None:
    bare = msgspec.structs.replace(payment("bare"), **{field: ""})
    for keys in (STANDARD.keys_read(bare), STANDARD.keys_written(bare)):
        assert field not in {key.entity for key in keys}
    named = dict(zip(STANDARD.names, STANDARD.vector(bare, {}), strict=True))
    assert all(
        math.isnan(value) for name, value in named.items() if name.startswith(f"{field}_") and "not" not in name
    )


def test_an_event_is_written_to_one_shard_of_each_entity_among_those_that_are_read() -> None:
    for number in range(50):
        transaction = payment(f"t{number}")
        written = STANDARD.keys_written(transaction)
        assert [key.entity for key in written] == ["card", "customer", "merchant"]
        assert set(written) <= set(STANDARD.keys_read(transaction))
        assert written == STANDARD.keys_written(transaction)


def _history() -> list[Event]:
    events: list[Event] = [
        payment("t0", at=START, amount=1_000, device="d1", issuer_country="FR", billing_country="US"),
        payment("t1", at=START + 30_000, amount=2_500, device="d2", merchant_id="m2"),
        payment("t2", at=START + 9 * MINUTE, amount=700, card="card_b", three_ds="authenticated"),
        payment("t3", at=START + 5 * HOUR, amount=90_000, device="d1", channel="pos"),
        payment("t4", at=START + 3 * DAY, amount=4_000, billing_country="FR", shipping_country="FR"),
    ]
    fraud = events[0].transaction
    return [*events, Label(transaction=fraud, kind="chargeback", known_at=START + 8 * DAY)]


def test_published_columns_keep_their_meaning() -> None:
    """Models in production were trained on these columns: if this fails, give what changed a new version."""
    events = [
        *_history(),
        payment("q", at=START + 10 * DAY + 3 * HOUR, amount=5_000, device="d9", customer="cust_a"),
    ]
    *_, (_, vector) = replay(events)
    named = dict(zip(STANDARD.names, vector, strict=True))
    assert named.pop("customer_amount_zscore_30d") == pytest.approx(-0.3720036424, abs=1e-9)  # by statistics.stdev
    assert math.isnan(named.pop("issuer_billing_mismatch"))
    assert math.isnan(named.pop("billing_shipping_mismatch"))
    assert math.isnan(named.pop("merchant_amount_mean_24h"))
    assert named == {
        "card_count_10m": 0.0,
        "card_count_24h": 0.0,
        "card_count_7d": 0.0,
        "card_amount_sum_24h": 0.0,
        "card_amount_max_7d": pytest.approx(math.nan, nan_ok=True),
        "card_since_last_30d": 615_600.0,
        "card_distinct_device_7d": 0.0,
        "card_distinct_merchant_id_7d": 0.0,
        "customer_count_24h": 0.0,
        "customer_count_30d": 5.0,
        "customer_amount_mean_30d": 19_640.0,
        "customer_amount_ratio_30d": 5_000 * 5 / 98_200,
        "customer_distinct_card_30d": 2.0,
        "merchant_count_1h": 0.0,
        "merchant_fraud_rate_28d_after_7d": 1 / 3,  # t1 was elsewhere, t4 is not old enough
        "amount": 5_000.0,
        "amount_is_round": 1.0,
        "hour_of_day": 3.0,
        "day_of_week": float((START // DAY + 10 - 4) % 7),
        "card_not_present": 1.0,
        "three_ds_authenticated": 0.0,
    }


def _manifest(**files: str) -> Manifest:
    return Manifest(
        version="v1",
        created_at=1,
        features=STANDARD.names,
        feature_set=STANDARD.version,
        calibration=Calibration(),
        metrics={},
        lineage=Lineage(run_id="v1", dataset="d", parameters={}, code_version="c"),
        files=files,
    )


def test_a_file_of_a_bundle_is_the_one_that_its_manifest_lists() -> None:
    manifest = _manifest(model=digest(b"content"))
    verify(manifest, "model", b"content")
    with pytest.raises(CorruptBundleError, match="register the model again"):
        verify(manifest, "model", b"Content")
    with pytest.raises(CorruptBundleError, match="lists no file 'other'"):
        verify(manifest, "other", b"content")


def test_a_manifest_with_a_field_that_is_not_known_is_refused() -> None:
    raw = msgspec.to_builtins(_manifest()) | {"surprise": 1}
    with pytest.raises(msgspec.ValidationError, match="surprise"):
        msgspec.convert(raw, Manifest)

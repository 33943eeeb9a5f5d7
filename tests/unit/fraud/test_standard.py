"""The standard set: what its columns mean for good, which states they need; and the bundle that names them."""

import msgspec
import pytest

from fraud.bundle import CorruptBundleError, Lineage, Manifest, digest, verify
from fraud.calibration import Calibration
from fraud.events import Event
from fraud.features import STANDARD
from fraud.features.definitions import Aggregation
from fraud.replay import arrival, replay
from fraud.windows import DAY, HOUR, MINUTE
from tests.unit.fraud import oracle
from tests.unit.fraud.strategies import START, follow_up, payment

MOST_STATES = 9
"""With its marker, ten items: ten events fit into one transaction of the store."""


def test_every_name_says_what_its_definition_does() -> None:
    """The names are read as the oracle reads them, so that a name cannot promise another window or key."""
    for feature in STANDARD.windowed:
        said = oracle.meaning(feature.name)
        assert said is not None, feature.name
        window = feature.window
        assert (said.length, said.hop, said.delay) == (window.length, window.hop, window.delay), feature.name
        assert (said.entity, said.current) == (feature.entity.name, feature.include_current)
        assert oracle.ENTITIES[said.entity] == feature.entity.fields


def test_the_set_is_what_a_payments_team_expects() -> None:
    assert 60 <= len(STANDARD.names) <= 100
    assert {feature.aggregation for feature in STANDARD.windowed} == set(Aggregation)
    lengths = {feature.window.length for feature in STANDARD.windowed}
    assert (min(lengths), max(lengths)) == (MINUTE, 90 * DAY)
    assert len({feature.catches for feature in STANDARD.features}) == len(STANDARD.features)


def test_a_reason_has_one_text() -> None:
    texts: dict[str, set[str]] = {}
    for feature in STANDARD.features:
        texts.setdefault(feature.reason.code, set()).add(feature.reason.text)
    assert all(len(each) == 1 for each in texts.values())


FULL = {"device": "d", "ip": "i", "email": "e", "bin": "411111", "shipping_country": "FR"}


def test_an_event_is_written_to_one_shard_of_each_entity_among_those_that_are_read() -> None:
    names = [entity.name for entity in STANDARD.entities]
    assert len(names) == MOST_STATES
    shards = set()
    for number in range(50):
        transaction = payment(f"t{number}", **FULL)
        written = STANDARD.keys_written(transaction)
        assert [key.entity for key in written] == names
        assert set(written) <= set(STANDARD.keys_read(transaction))
        assert written == STANDARD.keys_written(transaction)
        shards |= {key.shard for key in written if key.entity == "merchant"}
    assert shards == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("kind", "entities"),
    [
        ("chargeback", {"card", "customer", "device", "ip", "bin", "merchant"}),
        ("declined", {"card", "device", "ip", "bin", "merchant"}),
        ("authorised", {"card", "device", "ip", "bin", "merchant"}),
        ("captured", set()),
        ("confirmed_genuine", set()),
    ],
)
def test_what_became_known_is_written_where_a_feature_asks_for_it(kind: str, entities: set[str]) -> None:
    event = follow_up(payment(**FULL), kind, HOUR)  # type: ignore[arg-type]
    assert {key.entity for key in STANDARD.keys_written(event)} == entities


def _history() -> list[Event]:
    paid = [
        payment("t0", at=START, amount=1_000, issuer_country="FR", billing_country="US", **FULL),
        payment("t1", at=START + 30_000, amount=2_500, device="d2", merchant_id="m2", ip="i"),
        payment("t2", at=START + 9 * MINUTE, amount=700, card="card_b", device="d", bin="411111"),
        payment("t3", at=START + 5 * HOUR, amount=90_000, device="d2", channel="pos", bin="411111"),
        payment("t4", at=START + 3 * DAY, amount=4_000, billing_country="FR", shipping_country="DE", email="e"),
        payment("t5", at=START + 10 * DAY + 2 * HOUR + 30 * MINUTE, amount=199, **FULL),
        payment("t6", at=START + 10 * DAY + 2 * HOUR + 55 * MINUTE, amount=9_900, card="card_b", **FULL),
        payment("t7", at=START + 10 * DAY + 2 * HOUR + 59 * MINUTE + 30_000, amount=300, merchant_id="m2", **FULL),
    ]
    known = [follow_up(paid[n], kind, 900) for n, kind in ((0, "authorised"), (5, "declined"), (6, "authorised"))]
    known += [follow_up(paid[n], "chargeback", days * DAY) for n, days in ((0, 8), (3, 9), (6, 1))]
    return sorted([*paid, *known], key=arrival)


ASKED = payment(
    "q",
    at=START + 10 * DAY + 3 * HOUR,
    amount=5_099,
    issuer_country="FR",
    billing_country="US",
    three_ds="failed",
    entry_mode="manual",
    mcc="7995",
    **FULL,
)


def test_published_columns_keep_their_meaning() -> None:
    """Models in production were trained on these columns: if this fails, give what changed a new version."""
    *_, (asked, vector) = replay([*_history(), ASKED])
    assert asked == ASKED
    got = dict(zip(STANDARD.names, vector, strict=True))
    assert got == pytest.approx(PUBLISHED, rel=1e-12, abs=0)
    by_hand = oracle.features(ASKED, _history(), STANDARD.names)
    assert by_hand == pytest.approx(got, rel=1e-12, abs=0)


PUBLISHED = {
    "card_count_1m": 1.0,
    "card_count_10m": 1.0,
    "card_count_1h": 2.0,
    "card_count_24h": 2.0,
    "card_count_7d": 2.0,
    "card_count_30d": 6.0,
    "card_amount_sum_1h": 499.0,
    "card_amount_sum_24h": 499.0,
    "card_amount_sum_7d": 499.0,
    "card_amount_min_24h": 199.0,
    "card_amount_max_7d": 300.0,
    "card_amount_last_24h": 300.0,
    "card_amount_mean_30d": 16333.166666666666,
    "card_amount_zscore_90d": -0.31103599025069456,
    "card_amount_ratio_30d": 0.31218685904958215,
    "card_since_last_30d": 30.0,
    "card_since_first_90d": 874800.0,
    "card_distinct_merchant_id_24h": 2.0,
    "card_distinct_merchant_id_7d": 2.0,
    "card_distinct_device_7d": 1.0,
    "card_declined_count_1h": 1.0,
    "card_declined_rate_24h": 1.0,
    "card_fraud_rate_60d_after_7d": 0.6666666666666666,
    "customer_count_1h": 3.0,
    "customer_count_24h": 3.0,
    "customer_count_30d": 8.0,
    "customer_amount_sum_24h": 10399.0,
    "customer_amount_mean_30d": 13574.875,
    "customer_amount_std_30d": 31047.571220570997,
    "customer_amount_zscore_30d": -0.272996394461419,
    "customer_amount_ratio_30d": 0.3756204016611571,
    "customer_since_last_30d": 30.0,
    "customer_since_first_90d": 874800.0,
    "customer_distinct_card_30d": 2.0,
    "customer_distinct_device_30d": 2.0,
    "customer_distinct_shipping_country_30d": 2.0,
    "customer_fraud_rate_60d_after_7d": 0.5,
    "device_count_1h": 3.0,
    "device_count_24h": 3.0,
    "device_amount_sum_24h": 10399.0,
    "device_since_first_90d": 874800.0,
    "device_distinct_card_24h": 2.0,
    "device_distinct_card_7d": 2.0,
    "device_distinct_customer_7d": 1.0,
    "device_declined_rate_24h": 0.5,
    "device_fraud_rate_60d_after_7d": 0.5,
    "ip_count_10m": 2.0,
    "ip_count_1h": 3.0,
    "ip_count_24h": 3.0,
    "ip_distinct_card_1h": 2.0,
    "ip_distinct_card_24h": 2.0,
    "ip_distinct_customer_24h": 1.0,
    "ip_declined_rate_24h": 0.5,
    "ip_fraud_rate_28d_after_7d": 0.5,
    "email_count_24h": 3.0,
    "email_count_30d": 5.0,
    "email_since_first_90d": 874800.0,
    "email_distinct_card_7d": 2.0,
    "bin_count_10m": 2.0,
    "bin_count_1h": 3.0,
    "bin_declined_rate_1h": 0.5,
    "bin_fraud_rate_28d_after_7d": 0.6666666666666666,
    "merchant_count_10m": 1.0,
    "merchant_count_1h": 2.0,
    "merchant_amount_mean_24h": 5049.5,
    "merchant_amount_zscore_7d": 0.007216119094677683,
    "merchant_declined_rate_1h": 0.5,
    "merchant_fraud_rate_14d_after_7d": 0.6666666666666666,
    "merchant_fraud_rate_28d_after_7d": 0.6666666666666666,
    "card_merchant_count_24h": 1.0,
    "card_merchant_count_90d": 4.0,
    "card_merchant_amount_ratio_90d": 0.21424594796163826,
    "card_merchant_since_last_30d": 1800.0,
    "device_card_count_90d": 3.0,
    "device_card_since_first_90d": 874800.0,
    "amount": 5099.0,
    "amount_is_round": 0.0,
    "amount_is_tiny": 0.0,
    "amount_ends_in_99": 1.0,
    "hour_of_day": 3.0,
    "day_of_week": 4.0,
    "issuer_billing_mismatch": 1.0,
    "billing_shipping_mismatch": 1.0,
    "issuer_shipping_mismatch": 0.0,
    "card_not_present": 1.0,
    "three_ds_authenticated": 0.0,
    "three_ds_failed": 1.0,
    "entered_by_hand": 1.0,
    "device_missing": 0.0,
    "email_missing": 0.0,
    "sells_quick_cash": 1.0,
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

"""What every store of merchants does, whatever it is made of."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from runtime.auditing import AuditTrail
from runtime.stores.merchants import (
    Account,
    AccountChangedError,
    Credential,
    DynamoMerchantStore,
    MemoryMerchantStore,
    MerchantStore,
)

KEY = Credential("abc123", "shop", "0a" * 32, plan="standard", created_at=1_000)
ACCOUNT = Account("shop", "standard", "", created_at=1_000, changed_at=1_000, keys=(KEY,))


@pytest.fixture(params=["memory", "dynamodb"])
def merchants(request: pytest.FixtureRequest) -> MerchantStore:
    if request.param == "memory":
        return MemoryMerchantStore()
    client = request.getfixturevalue("dynamodb")
    return DynamoMerchantStore(client, "merchants", AuditTrail(client, "audit"))


def test_what_was_saved_is_found_by_key_and_by_merchant(merchants: MerchantStore) -> None:
    assert merchants.get("abc123") is None
    assert merchants.account("shop") is None
    assert merchants.accounts() == []
    merchants.save(ACCOUNT, KEY)
    assert merchants.get("abc123") == KEY
    assert merchants.account("shop") == ACCOUNT
    assert merchants.accounts() == [ACCOUNT]


def test_a_new_version_brings_a_new_key_and_an_end_for_the_old_one(merchants: MerchantStore) -> None:
    merchants.save(ACCOUNT, KEY)
    older = replace(KEY, expires_at=9_000, disabled_at=8_000, plan="high", usage_key="counts")
    newer = replace(KEY, key_id="def456", created_at=2_000)
    changed = replace(
        ACCOUNT,
        plan="high",
        usage_key="counts",
        changed_at=2_000,
        disabled_at=3_000,
        version=2,
        keys=(older, newer),
    )
    merchants.save(changed, older, newer)
    assert merchants.get("abc123") == older
    assert merchants.get("def456") == newer
    assert merchants.account("shop") == changed


def test_merchants_are_told_in_order_and_each_with_its_own_keys(merchants: MerchantStore) -> None:
    for name in ("zoo", "bar"):
        key = replace(KEY, key_id=f"key-{name}", merchant_id=name)
        merchants.save(replace(ACCOUNT, merchant_id=name, keys=(key,)), key)
    found = [(each.merchant_id, [key.key_id for key in each.keys]) for each in merchants.accounts()]
    assert found == [("bar", ["key-bar"]), ("zoo", ["key-zoo"])]


@pytest.mark.parametrize("version", [1, 3])
def test_a_version_that_does_not_follow_stores_nothing(merchants: MerchantStore, version: int) -> None:
    merchants.save(ACCOUNT, KEY)
    newer = replace(KEY, key_id="def456")
    with pytest.raises(AccountChangedError, match="shop was changed"):
        merchants.save(replace(ACCOUNT, version=version, plan="high", keys=(KEY, newer)), newer)
    assert merchants.account("shop") == ACCOUNT
    assert merchants.get("def456") is None


def test_a_key_id_of_another_merchant_is_never_taken_over(merchants: MerchantStore) -> None:
    merchants.save(ACCOUNT, KEY)
    stolen = replace(KEY, merchant_id="thief")
    with pytest.raises(AccountChangedError, match="thief"):
        merchants.save(replace(ACCOUNT, merchant_id="thief", keys=(stolen,)), stolen)
    assert merchants.get("abc123") == KEY
    assert merchants.account("thief") is None


def test_no_key_id_finds_a_merchant(merchants: MerchantStore) -> None:
    merchants.save(ACCOUNT, KEY)
    assert merchants.get("shop") is None


def test_of_racing_changes_one_is_stored(merchants: MerchantStore) -> None:
    merchants.save(ACCOUNT, KEY)

    def change(number: int) -> bool:
        newer = replace(KEY, key_id=f"new-{number}")
        try:
            merchants.save(replace(ACCOUNT, version=2, keys=(KEY, newer)), newer)
        except AccountChangedError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(change, range(12)))
    assert sum(stored) == 1
    account = merchants.account("shop")
    assert account is not None
    assert [key.key_id for key in account.keys] == ["abc123", f"new-{stored.index(True)}"]
    assert merchants.get(f"new-{stored.index(False)}") is None


@pytest.mark.parametrize(
    ("key", "at", "state"),
    [
        (KEY, 10**15, "live"),
        (replace(KEY, expires_at=5_000), 4_999, "live"),
        (replace(KEY, expires_at=5_000), 5_000, "expired"),
        (replace(KEY, disabled_at=3_000), 3_000, "disabled"),
        (replace(KEY, expires_at=5_000, disabled_at=3_000), 6_000, "disabled"),
    ],
)
def test_a_key_is_live_until_it_is_ended(key: Credential, at: int, state: str) -> None:
    assert key.state(at) == state
    assert key.live(at) is (state == "live")
    assert replace(ACCOUNT, keys=(key,)).live_keys(at) == ((key,) if state == "live" else ())

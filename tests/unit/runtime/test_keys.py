"""A key is checked against a keyed hash, and nobody learns why one was refused."""

import hmac
from dataclasses import replace
from typing import Any

import pytest

from runtime.keys import KeyHash, authenticate, parse_key, written_key
from runtime.stores.merchants import Account, Credential, MemoryMerchantStore

PEPPER = b"p" * 32
HASHED = KeyHash(PEPPER)
SECRET = "s" * 41 + "_-"
KEY_ID, OTHER = "0123456789ab", "ba9876543210"
KEY = Credential(KEY_ID, "shop", HASHED.of(KEY_ID, SECRET), plan="standard", created_at=1_000)


def store(*keys: Credential) -> MemoryMerchantStore:
    merchants = MemoryMerchantStore()
    merchants.save(Account("shop", "standard", "", created_at=1_000, changed_at=1_000, keys=keys), *keys)
    return merchants


def test_a_key_is_its_two_halves() -> None:
    assert parse_key(written_key(KEY_ID, SECRET)) == (KEY_ID, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pw",
        f"pw_{KEY_ID}",
        f"pw_{KEY_ID}_",
        f"pw_{KEY_ID}_{SECRET[:-1]}",
        f"pw_{KEY_ID}_{SECRET}x",
        f"pw_{KEY_ID}_{SECRET}\n",
        f"pw_{KEY_ID}_{SECRET[:-1]}\u0455",
        f"pw_{KEY_ID[:-1]}\u0661_{SECRET}",
        f"pw_{KEY_ID.upper()}_{SECRET}",
        f"pw_merchant#shop_{SECRET}",
        f"sk_{KEY_ID}_{SECRET}",
        f"PW_{KEY_ID}_{SECRET}",
    ],
)
def test_what_was_never_given_to_anyone_is_no_key(text: str) -> None:
    assert parse_key(text) is None


def test_a_hash_is_worth_nothing_under_another_pepper_or_in_another_row() -> None:
    hashes = {HASHED.of(KEY_ID, SECRET), HASHED.of(OTHER, SECRET), KeyHash(b"q" * 32).of(KEY_ID, SECRET)}
    assert len(hashes) == 3
    assert {len(each) for each in hashes} == {64}


def test_a_short_pepper_is_refused_and_none_is_ever_shown() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        KeyHash(b"p" * 31)
    assert "ppp" not in repr(HASHED)


@pytest.mark.parametrize(
    ("stored", "at", "admitted"),
    [
        (KEY, 2_000, True),
        (replace(KEY, expires_at=3_000), 2_999, True),
        (replace(KEY, expires_at=3_000), 3_000, False),
        (replace(KEY, disabled_at=1_500), 2_000, False),
        (replace(KEY, secret_hash=HASHED.of(OTHER, SECRET)), 2_000, False),
        (replace(KEY, secret_hash="0" * 64), 2_000, False),
        (replace(KEY, key_id=OTHER), 2_000, False),
    ],
    ids=["live", "in its grace", "after its grace", "disabled", "hash of another row", "no hash", "unknown id"],
)
def test_only_a_live_key_with_its_own_secret_admits(stored: Credential, at: int, admitted: bool) -> None:
    found = authenticate(written_key(KEY_ID, SECRET), store(stored), HASHED, at=at)
    assert found == (stored if admitted else None)


def test_an_unknown_key_goes_the_way_of_a_wrong_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by the clock, which shows little and fails at random: the same calls with texts of the same length.
    steps: list[Any] = []
    digest, compare = hmac.digest, hmac.compare_digest

    class Noted(MemoryMerchantStore):
        def get(self, key_id: str) -> Credential | None:
            steps.append(("read", len(key_id)))
            return super().get(key_id)

    def digested(key: bytes, message: bytes, algorithm: Any) -> bytes:
        steps.append(("hash", len(message)))
        return digest(key, message, algorithm)

    def compared(one: str, other: str) -> bool:
        steps.append(("compare", len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr("runtime.keys.hmac.digest", digested)
    monkeypatch.setattr("runtime.keys.hmac.compare_digest", compared)
    merchants = Noted()
    disabled = replace(KEY, key_id=OTHER, secret_hash=KeyHash(PEPPER).of(OTHER, SECRET), disabled_at=1_500)
    account = Account("shop", "standard", "", created_at=1_000, changed_at=1_000, keys=(KEY, disabled))
    merchants.save(account, *account.keys)
    taken = []
    for key_id, secret in ((KEY_ID, "x" * 43), ("f" * 12, SECRET), (OTHER, SECRET)):
        steps.clear()
        assert authenticate(written_key(key_id, secret), merchants, HASHED, at=2_000) is None
        taken.append(list(steps))
    assert taken[0] == taken[1] == taken[2]
    assert [step[0] for step in taken[0]] == ["read", "hash", "compare"]

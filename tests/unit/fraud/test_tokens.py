"""Tokens: one person's are the same everywhere and nobody else's, under one key and through a change of keys."""

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.puncturable import PuncturableKey
from fraud.tokens import (
    IDENTIFIERS,
    Keyring,
    KeyringError,
    KeyTrees,
    Tokeniser,
    changed,
    digest_of,
    identified,
    of_both,
)

OLD, NEW = "an old token key, of 32 bytes or more", "a new token key, of 32 bytes or more"
ACTIVE, UNTIL = 1_000_000, 2_000_000
RING = Keyring(current="2", keys={"1": OLD, "2": NEW}, activates_at=ACTIVE, until=UNTIL)


def payment(at: int = 0, **fields: str) -> Transaction:
    sent = {name: f"the {name}" for name in IDENTIFIERS} | {"merchant_id": "shop"} | fields
    return Transaction(transaction_id="t", event_time=at, amount=1, currency="EUR", **sent)  # type: ignore[arg-type]  # texts only


def test_a_token_is_a_keyed_hash_of_kind_and_value() -> None:
    tag = PuncturableKey.of(OLD).tag(b"card\0the card")
    assert Tokeniser(OLD.encode()).apply(payment()).card == f"card_{tag}"


def test_every_identifier_is_replaced_and_nothing_else() -> None:
    tokens = Tokeniser(OLD.encode()).apply(payment())
    for name, prefix in IDENTIFIERS.items():
        assert getattr(tokens, name).startswith(f"{prefix}_")
        assert len(getattr(tokens, name)) == len(prefix) + 33
    kept = {name: getattr(payment(), name) for name in IDENTIFIERS}
    assert msgspec.structs.replace(tokens, **kept) == payment()


def test_what_was_not_sent_stays_empty() -> None:
    nothing = payment(**dict.fromkeys(IDENTIFIERS, ""))
    assert Tokeniser(OLD.encode()).apply(nothing) == nothing


def test_a_customer_is_the_merchants_own_and_a_telephone_is_not() -> None:
    tokens = Tokeniser(OLD.encode())
    here, there = tokens.apply(payment()), tokens.apply(payment(merchant_id="other"))
    assert here.customer != there.customer
    assert (here.phone, here.card) == (there.phone, there.card)


def test_an_email_is_the_same_in_capitals() -> None:
    tokens = Tokeniser(OLD.encode())
    assert (
        tokens.apply(payment(email=" Jane@Example.com")).email
        == tokens.apply(payment(email="jane@example.com")).email
    )


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(sorted(IDENTIFIERS)))
def test_different_values_have_different_tokens(one: str, other: str, field: str) -> None:
    tokens = Tokeniser(OLD.encode())
    first, second = (getattr(tokens.apply(payment(**{field: value})), field) for value in (one, other))
    same = one.strip().lower() == other.strip().lower() if field == "email" else one == other
    assert (first == second) == same


def test_the_receipt_decides_which_key_counts() -> None:
    ring, old, new = Tokeniser(RING), Tokeniser(OLD.encode()), Tokeniser(NEW.encode())
    for at, key in ((0, old), (ACTIVE - 1, old), (ACTIVE, new), (UNTIL - 1, new), (UNTIL, new)):
        assert ring.apply(payment(at)) == key.apply(payment(at))
        assert ring.apply(payment(), at=at) == key.apply(payment())


def test_the_tokens_before_are_told_while_the_keys_overlap() -> None:
    ring, old = Tokeniser(RING), Tokeniser(OLD.encode())
    assert ring.previous(payment(ACTIVE - 1)) is None
    assert ring.previous(payment(ACTIVE)) == old.apply(payment(ACTIVE))
    assert ring.previous(payment(), at=UNTIL - 1) == old.apply(payment())
    assert ring.previous(payment(UNTIL)) is None
    assert old.previous(payment(ACTIVE)) is None


def test_what_changed_is_told_by_field() -> None:
    raw = payment(ACTIVE, phone="")
    now, before = Tokeniser(RING).apply(raw), Tokeniser(RING).previous(raw)
    assert before is not None
    told = changed(now, before)
    assert set(told) == set(IDENTIFIERS) - {"phone"}
    assert msgspec.structs.replace(now, **told) == before


def test_states_are_read_under_both_keys_and_those_without_a_token_once() -> None:
    raw = payment(ACTIVE)
    now, before = Tokeniser(RING).apply(raw), Tokeniser(RING).previous(raw)
    assert before is not None
    keys = of_both(STANDARD.keys_read, now, before)
    assert len(keys) == len(set(keys))
    assert set(keys) == {*STANDARD.keys_read(now), *STANDARD.keys_read(before)}
    assert [key for key in keys if key.entity == "merchant"] == [
        key for key in STANDARD.keys_read(now) if key.entity == "merchant"
    ]
    assert of_both(STANDARD.keys_read, now, None) == STANDARD.keys_read(now)


def test_a_secret_is_a_ring_or_the_first_key_itself() -> None:
    assert Keyring.parse(OLD) == Keyring(current="1", keys={"1": OLD})
    assert Keyring.parse(RING.text()) == RING
    assert (RING.before, Keyring.parse(OLD).before) == ("1", "")
    assert Tokeniser(RING.text().encode()).keyring == RING


@pytest.mark.parametrize(
    "document",
    [
        {"current": "1", "keys": {}},
        {"current": "3", "keys": {"1": OLD, "2": NEW}, "until": 1},
        {"current": "1", "keys": {"1": "short and secret"}},
        {"current": "2", "keys": {"1": OLD, "2": NEW}},
        {"current": "3", "keys": {"1": OLD, "2": NEW, "3": OLD}, "until": 1},
        {"current": "1", "keys": {"1": OLD}, "colour": "red"},
        {"current": "1", "keys": {"1": 12}},
        {"current": "1", "keys": {"1": ""}},
    ],
)
def test_what_is_no_ring_is_refused_and_not_repeated(document: object) -> None:
    with pytest.raises(KeyringError) as caught:
        Keyring.parse(json.dumps(document))
    told = f"{caught.value!r}{caught.value.__cause__!r}"
    assert OLD not in told
    assert "short" not in told


def test_a_short_key_is_refused_and_no_key_is_ever_shown() -> None:
    with pytest.raises(KeyringError, match="32 bytes"):
        Tokeniser(b"short")
    with pytest.raises(KeyringError, match="ring"):
        Keyring.parse("{")
    assert OLD not in repr(RING)
    assert NEW not in f"{RING}"


def test_every_spelling_of_an_address_is_the_same_address() -> None:
    made = Tokeniser(OLD.encode())
    spellings = ("2001:db8::1", "2001:DB8::1", "2001:0db8:0:0:0:0:0:0001")
    assert len({made.apply(payment(ip=each)).ip for each in spellings}) == 1
    others = ("2001:db8::2", "192.0.2.1", "no: address")
    assert len({made.apply(payment(ip=each)).ip for each in (*others, spellings[0])}) == 4


def erased(ring: Keyring, raw: Transaction, *fields: str) -> Tokeniser:
    """What makes tokens once some identifiers of a payment were erased."""
    given = [identified(raw)[name] for name in fields]
    trees = Tokeniser(ring).punctured(given, lambda: b"r" * 32)
    changed = msgspec.structs.replace(ring, keys=dict.fromkeys(ring.keys, ""), trees=digest_of(trees.content()))
    return Tokeniser(changed, KeyTrees.parse(trees.content(), changed.trees))


def test_what_is_erased_has_new_tokens_under_both_keys_and_the_rest_of_a_payment_has_its_own() -> None:
    raw = payment(ACTIVE)
    before, after = Tokeniser(RING), erased(RING, raw, "card", "email")
    for seen in (Tokeniser.apply, Tokeniser.previous):
        was, now = seen(before, raw), seen(after, raw)
        assert was is not None
        assert now is not None
        assert set(changed(now, was)) == {"card", "email"}
    stranger = payment(ACTIVE, card="another", email="another@example.com")
    assert after.apply(stranger) == before.apply(stranger)
    values = identified(raw).values()
    assert set(before.tokens(values)).isdisjoint(after.tokens(identified(raw)[name] for name in ("card", "email")))
    assert len(before.tokens(values)) == 2 * len(IDENTIFIERS)


@pytest.mark.parametrize("field", sorted(IDENTIFIERS))
def test_a_secret_is_gone_with_each_identifier_of_a_payment_and_never_with_anothers(field: str) -> None:
    raw, stranger = payment(ACTIVE), payment(ACTIVE, **{each: f"another {each}" for each in IDENTIFIERS})
    before, after = Tokeniser(RING), erased(RING, raw, field)
    made = [each.secret for each in (*before.sealed(raw), *after.sealed(raw))]
    assert [len(each) for each in made] == [32] * 4
    assert len(set(made)) == 4
    assert after.sealed(stranger) == before.sealed(stranger)


def test_a_secret_is_that_of_the_people_and_not_of_the_payment() -> None:
    tokens = Tokeniser(RING)
    raw = payment(ACTIVE)
    other = msgspec.structs.replace(raw, transaction_id="t-2", amount=2)
    assert [each.secret for each in tokens.sealed(raw)] == [each.secret for each in tokens.sealed(other)]


def test_both_keys_of_a_ring_seal_whatever_the_time_and_first_the_one_that_counts() -> None:
    tokens = Tokeniser(RING)
    for moment in (ACTIVE - 1, ACTIVE, UNTIL - 1, UNTIL):
        raw = payment(moment)
        first, other = tokens.sealed(raw)
        assert first.transaction == tokens.apply(raw)
        assert {first.secret, other.secret} == {each.secret for each in tokens.sealed(payment(ACTIVE))}
        assert tokens.previous(raw) == (other.transaction if tokens.overlaps(moment) else None)
    assert len(Tokeniser(OLD.encode()).sealed(payment())) == 1


def test_a_secret_does_not_follow_from_what_is_stored() -> None:
    """Whoever has all tokens of a payment, and knows how secrets are made, still lacks what they are made of."""
    [sealed] = Tokeniser(OLD.encode()).sealed(payment())
    tags = [bytes.fromhex(getattr(sealed.transaction, name).partition("_")[2]) for name in identified(payment())]
    assert sealed.secret != hashlib.blake2b(b"".join(tags), digest_size=32).digest()


def test_every_key_is_in_the_ring_or_among_its_trees() -> None:
    ring = Keyring(current="2", keys={"1": OLD, "2": ""}, until=1, trees="0" * 64)
    for trees in (None, KeyTrees({"1": PuncturableKey.of(OLD)})):
        with pytest.raises(KeyringError, match="key 2"):
            Tokeniser(ring, trees)
    with pytest.raises(KeyringError, match="not the one"):
        KeyTrees.parse(KeyTrees({}).content(), ring.trees)
    with pytest.raises(KeyringError, match="no trees"):
        KeyTrees.parse(b"{}", digest_of(b"{}"))

"""Lists of merchants: what they are, and values that are stored as payments have them."""

import io
from typing import Any

import pytest

from fraud.lists import StoredLists, matched
from fraud.tokens import Keyring, Tokeniser
from runtime.stores.batches import ThrottledError
from runtime.stores.documents import Entry, MovedError, listed_key, parse_listed
from tests.unit.lambdas.settings_desk import NOW, WRITTEN, Desk, Reply

FIELDS = {
    "card": "ntk-8811",
    "customer": "c-17",
    "device": "d-3",
    "ip": "192.0.2.7",
    "email": "Jane.Doe@Example.com",
    "phone": "+4915112345678",
    "bin": "411111",
    "issuer_country": "FR",
    "billing_country": "FR",
    "shipping_country": "FR",
}
PEOPLE = ("card", "customer", "device", "ip", "email", "phone")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def make(desk: Desk, name: str = "stolen", field: str = "card", action: str = "block", **more: object) -> Reply:
    return desk.ask("PUT", f"/v1/lists/{name}", {"field": field, "action": action, **more})


def change(desk: Desk, name: str = "stolen", **body: object) -> Reply:
    return desk.ask("POST", f"/v1/lists/{name}/entries", body)


def shown(desk: Desk, name: str = "stolen", **query: str) -> Any:
    return desk.ask("GET", f"/v1/lists/{name}", query=query).body


def test_a_list_is_made_and_changed(desk: Desk) -> None:
    assert desk.ask("GET", "/v1/lists").body == {
        "version": 0,
        "changed_at": None,
        "changed_by": None,
        "lists": [],
    }
    made = make(desk)
    assert (made.status, made.headers["ETag"]) == (200, '"1"')
    assert made.body == {
        "version": 1,
        "changed_at": WRITTEN,
        "changed_by": "key:0123456789ab",
        "name": "stolen",
        "field": "card",
        "action": "block",
        "enabled": True,
        "description": "",
        "entries": [],
        "cursor": None,
    }
    assert make(desk).body == made.body
    assert make(desk, action="review").body["version"] == 2
    make(desk, "vip", "customer", "allow")
    assert [each["name"] for each in desk.ask("GET", "/v1/lists").body["lists"]] == ["stolen", "vip"]
    assert desk.ask("GET", "/v1/lists", merchant_id="other").body["lists"] == []


def test_a_list_that_there_is_not_is_told_with_a_hint(desk: Desk) -> None:
    make(desk)
    for method, path, body in (
        ("GET", "/v1/lists/stoeln", None),
        ("POST", "/v1/lists/stoeln/entries", {"add": [{"value": "x"}]}),
    ):
        reply = desk.ask(method, path, body)
        assert reply.problem == (404, "unknown-list", "name")
        assert "stolen" in reply.body["detail"]
    other = desk.ask("GET", "/v1/lists/stolen", merchant_id="other")
    assert other.problem == (404, "unknown-list", "name")
    assert "stolen" not in other.body["detail"]


@pytest.mark.parametrize("name", ["", "A", "a b", "x" * 65, "%2e", "stolen%0a", "a#b"])
def test_a_name_is_checked(desk: Desk, name: str) -> None:
    reply = make(desk, name)
    assert reply.problem == (400, "invalid-field", "name")


@pytest.mark.parametrize(("field", "value"), FIELDS.items())
def test_values_are_stored_as_payments_have_them(desk: Desk, field: str, value: str, logged: io.StringIO) -> None:
    make(desk, "some", field)
    assert change(desk, "some", add=[{"value": value}]).body == {"added": 1, "removed": 0, "unchanged": 0}
    (entry,) = shown(desk, "some")["entries"]
    assert (entry["value"] == value) == (field not in PEOPLE)
    found = parse_listed(desk.store.items([listed_key("acme", field, entry["value"])]))  # type: ignore[attr-defined]  # the desk's store is the one in memory
    assert found == {field: {"some#1": 0}}
    assert value not in logged.getvalue()
    # It leaves under the name that the merchant knows, and under the one that the list shows.
    assert change(desk, "some", remove=[value]).body == {"added": 0, "removed": 1, "unchanged": 0}
    change(desk, "some", add=[{"value": value}])
    assert change(desk, "some", remove=[entry["value"]]).body["removed"] == 1
    assert change(desk, "some", remove=[value]).body == {"added": 0, "removed": 0, "unchanged": 1}


def test_an_email_is_the_same_however_it_is_written(desk: Desk) -> None:
    make(desk, "mails", "email")
    change(desk, "mails", add=[{"value": "Jane@Example.com"}])
    assert change(desk, "mails", add=[{"value": "jane@example.com"}]).body["unchanged"] == 1


def test_a_customer_is_another_one_at_another_merchant(desk: Desk) -> None:
    make(desk, "vip", "customer")
    change(desk, "vip", add=[{"value": "c-17"}])
    desk.ask("PUT", "/v1/lists/vip", {"field": "customer", "action": "allow"}, merchant_id="other")
    desk.ask("POST", "/v1/lists/vip/entries", {"add": [{"value": "c-17"}]}, merchant_id="other")
    (mine,) = shown(desk, "vip")["entries"]
    (theirs,) = desk.ask("GET", "/v1/lists/vip", merchant_id="other").body["entries"]
    assert mine["value"] != theirs["value"]


def test_entries_end_and_carry_a_note(desk: Desk) -> None:
    make(desk, "bins", "bin")
    change(desk, "bins", add=[{"value": "411111", "expires_at": "2026-01-01T12:00:00+01:00", "note": "test"}])
    assert shown(desk, "bins")["entries"] == [
        {
            "value": "411111",
            "expires_at": "2026-01-01T11:00:00+00:00",
            "note": "test",
            "added_at": WRITTEN,
            "added_by": "key:0123456789ab",
        }
    ]
    desk.now += 3_600_000
    assert shown(desk, "bins")["entries"] == []


def test_entries_come_in_pages(desk: Desk) -> None:
    make(desk, "bins", "bin")
    change(desk, "bins", add=[{"value": f"41111{number}"} for number in range(5)])
    first = shown(desk, "bins", limit="3")
    rest = shown(desk, "bins", limit="3", cursor=first["cursor"])
    values = [each["value"] for each in (*first["entries"], *rest["entries"])]
    assert (values, rest["cursor"]) == ([f"41111{number}" for number in range(5)], None)


@pytest.mark.parametrize(
    ("field", "body", "place"),
    [
        ("bin", {"add": [{"value": "411111"}, {"value": "41111"}]}, "add[1].value"),
        ("issuer_country", {"add": [{"value": "fr"}]}, "add[0].value"),
        ("ip", {"add": [{"value": "192.0.2.999"}]}, "add[0].value"),
        ("email", {"remove": ["nobody"]}, "remove[0]"),
        ("phone", {"add": [{"value": "0151 12345"}]}, "add[0].value"),
        ("card", {"add": [{"value": ""}]}, "add[0].value"),
        ("card", {"add": [{"value": "a", "expires_at": "2026-01-01T09:59:59Z"}]}, "add[0].expires_at"),
        ("card", {"add": [{"value": "a", "expires_at": "2026-02-01T10:00:00"}]}, "add[0].expires_at"),
        ("card", {"add": [{"value": "a", "expires_at": "2101-01-01T00:00:00Z"}]}, "add[0].expires_at"),
        ("card", {"add": [{"value": "a"}, {"value": "a"}]}, "add[1].value"),
        ("card", {"add": [{"value": "a"}], "remove": ["a"]}, "remove[0]"),
        ("card", {"add": [{"value": str(number)} for number in range(51)]}, "add"),
        ("card", {"add": [{"value": str(number)} for number in range(50)], "remove": ["x"]}, "add"),
        ("card", {"add": [{"value": "a", "list": "b"}]}, "add[0].list"),
    ],
)
def test_entries_that_cannot_be_are_refused_and_none_is_stored(
    desk: Desk, field: str, body: dict[str, object], place: str
) -> None:
    make(desk, "some", field)
    assert change(desk, "some", **body).problem == (400, "invalid-field", place)
    assert shown(desk, "some")["entries"] == []


def test_a_raw_card_number_is_refused_before_anything_else(desk: Desk, logged: io.StringIO) -> None:
    make(desk)
    for body in ({"add": [{"value": "4111 1111 1111 1111"}]}, {"remove": ["4111111111111111"]}):
        assert change(desk, **body).problem[:2] == (400, "card-number")
    assert shown(desk)["entries"] == []
    assert "4111" not in logged.getvalue()


def test_a_list_that_a_rule_asks_for_stays_enabled(desk: Desk) -> None:
    make(desk)
    rule = {"id": "r", "when": '"stolen" in lists && amount > 5', "action": "decline"}
    desk.ask("PUT", "/v1/rules", {"rules": [rule]})
    refused = make(desk, enabled=False)
    assert refused.problem == (409, "list-in-use", "enabled")
    assert " r." in refused.body["detail"]
    assert make(desk, action="none").status == 200
    desk.ask("PUT", "/v1/rules", {"rules": [{**rule, "enabled": False}]})
    assert make(desk, enabled=False).status == 200


def test_a_list_keeps_its_field_and_there_are_not_too_many(desk: Desk) -> None:
    make(desk)
    assert make(desk, field="device").problem == (409, "list-field-fixed", "field")
    for number in range(19):
        assert make(desk, f"list-{number}").status == 200
    assert make(desk, "one-more").problem == (409, "too-many-lists", None)


def test_a_token_that_reads_as_a_card_number_is_paged_past_and_taken_off(desk: Desk) -> None:
    # Not by chance, for once: that takes some hundreds of values.
    token = f"cust_{'4111' * 4}{'a' * 16}"
    make(desk, "vip", "customer", "allow")
    stored = Entry(value=token, added_at=NOW, added_by="key:k")
    later = Entry(value="cust_5" + "a" * 31, added_at=NOW, added_by="key:k")
    desk.store.change_entries("acme", "vip#1", "customer", now=NOW, by="key:k1", add=[stored, later])
    page = shown(desk, "vip", limit="1")
    assert page["cursor"] == token
    assert [each["value"] for each in shown(desk, "vip", cursor=token)["entries"]] == [later.value]
    assert change(desk, "vip", remove=[token]).body == {"added": 0, "removed": 1, "unchanged": 0}


def test_a_list_is_removed_and_nothing_of_it_is_on_another_of_its_name(desk: Desk) -> None:
    make(desk, "kept")
    make(desk)
    change(desk, add=[{"value": "ntk-1"}])
    (entry,) = shown(desk)["entries"]
    gone = desk.ask("DELETE", "/v1/lists/stolen")
    assert (gone.status, gone.headers["ETag"], gone.body["version"]) == (200, '"3"', 3)
    assert [each["name"] for each in gone.body["lists"]] == ["kept"]
    assert desk.ask("GET", "/v1/lists/stolen").problem == (404, "unknown-list", "name")
    assert change(desk, add=[{"value": "ntk-1"}]).problem == (404, "unknown-list", "name")
    make(desk)
    assert shown(desk)["entries"] == []
    key = listed_key("acme", "card", entry["value"])
    stored = desk.store.get("acme", StoredLists)
    assert stored is not None

    def on() -> tuple[str, ...]:
        items = desk.store.items([key])  # type: ignore[attr-defined]  # the desk's store is the one in memory
        return matched(stored.lists, parse_listed(items), NOW)

    assert on() == ()
    assert change(desk, remove=[entry["value"]]).body == {"added": 0, "removed": 0, "unchanged": 1}
    assert change(desk, add=[{"value": "ntk-1"}]).body == {"added": 1, "removed": 0, "unchanged": 0}
    assert on() == ("stolen",)


def test_a_list_keeps_its_entries_when_it_or_another_is_changed(desk: Desk) -> None:
    make(desk)
    change(desk, add=[{"value": "ntk-1"}])
    make(desk, action="review")
    make(desk, "other")
    desk.ask("DELETE", "/v1/lists/other")
    assert len(shown(desk)["entries"]) == 1


def test_a_list_that_a_rule_asks_for_is_not_removed(desk: Desk) -> None:
    make(desk)
    rule = {"id": "r", "when": '"stolen" in lists && amount > 5', "action": "decline"}
    desk.ask("PUT", "/v1/rules", {"rules": [rule]})
    refused = desk.ask("DELETE", "/v1/lists/stolen")
    assert refused.problem == (409, "list-in-use", "name")
    assert " r." in refused.body["detail"]
    desk.ask("PUT", "/v1/rules", {"rules": [{**rule, "enabled": False}]})
    assert desk.ask("DELETE", "/v1/lists/stolen").status == 200


def test_a_list_that_there_is_not_is_not_removed_and_a_removal_may_be_bound_to_a_version(desk: Desk) -> None:
    assert desk.ask("DELETE", "/v1/lists/stolen").problem == (404, "unknown-list", "name")
    make(desk)
    late = desk.ask("DELETE", "/v1/lists/stolen", headers={"If-Match": '"2"'})
    assert late.problem == (412, "precondition-failed", "If-Match")
    assert desk.ask("DELETE", "/v1/lists/stolen", headers={"If-Match": '"1"'}).status == 200


def test_a_change_of_a_list_may_be_bound_to_a_version(desk: Desk) -> None:
    body = {"field": "card", "action": "block"}
    assert desk.ask("PUT", "/v1/lists/a", body, headers={"If-Match": '"0"'}).status == 200
    late = desk.ask("PUT", "/v1/lists/b", body, headers={"If-Match": '"0"'})
    assert late.problem == (412, "precondition-failed", "If-Match")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MovedError("moved"), (409, "changed-meanwhile", None)),
        (ThrottledError("slow"), (503, "unavailable", None)),
    ],
)
def test_what_the_store_cannot_take_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, told: tuple[int, str, None]
) -> None:
    make(desk)

    def refuse(*_given: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr(desk.store, "change_entries", refuse)
    assert change(desk, add=[{"value": "x"}]).problem == told


def test_while_keys_overlap_an_entry_moves_to_the_new_one(desk: Desk) -> None:
    make(desk)
    change(desk, add=[{"value": "a"}, {"value": "b"}])
    before = {each["value"] for each in shown(desk)["entries"]}
    old = desk.tokeniser.keyring.keys["1"]
    ring = Keyring(current="2", keys={"1": old, "2": "n" * 64}, activates_at=NOW, until=NOW + 1_000)
    desk.tokeniser = Tokeniser(ring)
    assert change(desk, remove=["b"]).body == {"added": 0, "removed": 1, "unchanged": 0}
    assert change(desk, add=[{"value": "a", "note": "again"}]).body["added"] == 1
    (entry,) = shown(desk)["entries"]
    assert entry["value"] not in before
    assert entry["note"] == "again"

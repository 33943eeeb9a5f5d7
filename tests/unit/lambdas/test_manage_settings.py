"""Rules and policies of merchants: checked, versioned, shown with what they mean."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from fraud.policy import Policy, Thresholds
from fraud.rules import StoredRules
from fraud.serving import Serving
from runtime import clients
from runtime.stores.batches import ThrottledError
from runtime.stores.documents import MovedError, StoredPolicy
from runtime.stores.settings import TooLargeError
from tests.tables import create_table
from tests.trails import audit_table, told
from tests.unit.lambdas.settings_desk import NOW, WRITTEN, Desk, asking, read
from tests.unit.lambdas.support import POLICY, AppConfigData, Context, lambda_event

RULE = {"id": "large", "when": 'amount > 100000 && count(card, "1h") > 5', "action": "review"}
RULES = {"mode": "all_matches", "rules": [RULE]}
THRESHOLDS = {"challenge": 0.1, "review": 0.4, "decline": 0.9}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_merchant_without_rules_has_none_of_version_zero(desk: Desk) -> None:
    reply = desk.ask("GET", "/v1/rules")
    assert reply.status == 200
    assert reply.headers["ETag"] == '"0"'
    assert reply.body == {
        "version": 0,
        "changed_at": None,
        "changed_by": None,
        "mode": "first_match",
        "rules": [],
    }


def test_rules_are_shown_with_what_they_mean_and_who_set_them(desk: Desk) -> None:
    put = desk.ask("PUT", "/v1/rules", RULES)
    assert (put.status, put.headers["ETag"]) == (200, '"1"')
    (rule,) = put.body["rules"]
    assert {name: rule[name] for name in RULE} == RULE
    assert (rule["stage"], rule["priority"], rule["enabled"]) == ("before", 100, True)
    assert rule["needs"] == ["amount", "card_count_1h"]
    assert "amount" in rule["explained"]
    assert (put.body["changed_at"], put.body["changed_by"]) == (WRITTEN, "key:0123456789ab")
    assert desk.ask("GET", "/v1/rules").body == put.body
    assert desk.ask("GET", "/v1/rules", merchant_id="other").body["version"] == 0
    stored = desk.store.get("acme", StoredRules)
    assert stored is not None
    assert stored.rules[0].cel


def test_every_version_can_be_seen_again(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.now = NOW + number * 1_000
        assert desk.ask("PUT", "/v1/rules", {"rules": [{**RULE, "priority": number}]}).body["version"] == number
    assert desk.ask("GET", "/v1/rules", query={"version": "2"}).body["rules"][0]["priority"] == 2
    assert desk.ask("GET", "/v1/rules", query={"version": "4"}).problem == (404, "unknown-version", "version")
    first = desk.ask("GET", "/v1/rules/versions", query={"limit": "2"}).body
    assert [each["version"] for each in first["versions"]] == [3, 2]
    assert first["versions"][0] == {
        "version": 3,
        "changed_at": "2026-01-01T10:00:03+00:00",
        "changed_by": "key:0123456789ab",
    }
    rest = desk.ask("GET", "/v1/rules/versions", query={"before": str(first["before"])}).body
    assert ([each["version"] for each in rest["versions"]], rest["before"]) == ([1], None)


def test_the_same_rules_again_make_no_version(desk: Desk) -> None:
    first = desk.ask("PUT", "/v1/rules", RULES)
    desk.now += 60_000
    assert desk.ask("PUT", "/v1/rules", RULES).body == first.body


@pytest.mark.parametrize(
    ("when", "suggestion"),
    [
        ("amonut > 1", "amount"),
        ('"stolne" in lists', "stolen"),
        ("amount >", ""),
        ('count(card, "3y") > 1', ""),
        ("!" * 300 + "degraded", ""),
        ("[1].map(x, x) == [1]", ""),
    ],
)
def test_a_rule_that_means_nothing_is_refused_with_a_hint(desk: Desk, when: str, suggestion: str) -> None:
    desk.ask("PUT", "/v1/lists/stolen", {"field": "card", "action": "none"})
    reply = desk.ask("PUT", "/v1/rules", {"rules": [RULE, {**RULE, "id": "second", "when": when}]})
    assert reply.problem == (400, "invalid-rule", "rules[1].when")
    assert suggestion in reply.body["detail"]
    assert desk.ask("GET", "/v1/rules").body["version"] == 0


def test_a_rule_that_is_enabled_asks_for_enabled_lists_only(desk: Desk) -> None:
    desk.ask("PUT", "/v1/lists/old", {"field": "card", "action": "none", "enabled": False})
    asking_for_it = {**RULE, "when": 'amount > 5 && ("old" in lists)'}
    refused = desk.ask("PUT", "/v1/rules", {"rules": [asking_for_it]})
    assert refused.problem == (400, "invalid-rule", "rules[0].when")
    assert desk.ask("PUT", "/v1/rules", {"rules": [{**asking_for_it, "enabled": False}]}).status == 200


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        ({}, 400, "rules"),
        ({"rules": [{**RULE, "action": "shrug"}]}, 400, "rules[0].action"),
        ({"rules": [{**RULE, "id": "A B"}]}, 400, "rules[0].id"),
        ({"rules": [{**RULE, "cel": "true"}]}, 400, "rules[0].cel"),
        ({"rules": [RULE] * 101}, 400, "rules"),
        ({"rules": [], "mode": "best"}, 400, "mode"),
        ({"rules": [RULE, RULE]}, 400, "rules[1].id"),
        ({"rules": [{**RULE, "description": "4111 1111 1111 1111"}]}, 400, "rules[0].description"),
        ({"rules": [{**RULE, "description": "x" * 70_000}]}, 413, None),
        ([], 400, None),
    ],
)
def test_what_is_no_set_of_rules_is_refused(desk: Desk, sent: object, status: int, field: str | None) -> None:
    problem = desk.ask("PUT", "/v1/rules", sent).problem
    assert (problem[0], problem[2]) == (status, field)
    assert desk.ask("GET", "/v1/rules").body["version"] == 0


@pytest.mark.parametrize("raw", ["", "{", "[" * 20_000, '{"rules": [], "rules": []}', '{"rules": NaN}', "\ud800"])
def test_hostile_bodies_are_refused(desk: Desk, raw: str) -> None:
    for path in ("/v1/rules", "/v1/policy", "/v1/lists/stolen"):
        assert desk.ask("PUT", path, raw=raw).problem[:2] == (400, "invalid-body")


@pytest.mark.parametrize(
    ("query", "field"),
    [({"version": "0"}, "version"), ({"version": "x"}, "version"), ({"verison": "1"}, "verison")],
)
def test_a_query_is_checked_too(desk: Desk, query: dict[str, str], field: str) -> None:
    for path in ("/v1/rules", "/v1/policy"):
        assert desk.ask("GET", path, query=query).problem == (400, "invalid-field", field)


def test_a_change_may_be_bound_to_a_version(desk: Desk) -> None:
    other = {"rules": [{**RULE, "action": "decline"}]}

    def put(tag: str, body: object = RULES) -> Any:
        return desk.ask("PUT", "/v1/rules", body, headers={"If-Match": tag})

    assert put("*").problem == (412, "precondition-failed", "If-Match")
    assert put('"1"').problem == (412, "precondition-failed", "If-Match")
    assert put('"0"').body["version"] == 1
    assert put("*", other).body["version"] == 2
    assert put('"1"').problem == (412, "precondition-failed", "If-Match")
    for tag in ("2", "", '""', '"x"', "W/1"):
        assert put(tag).problem == (400, "invalid-field", "If-Match")
    assert desk.ask("GET", "/v1/rules").body["version"] == 2


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (MovedError("rules: moved"), 409, "changed-meanwhile"),
        (ThrottledError("settings: slow down"), 503, "unavailable"),
        (TooLargeError("rules: too large"), 413, "settings-too-large"),
    ],
)
def test_what_the_store_cannot_take_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, kind: str
) -> None:
    def refuse(*_given: object) -> None:
        raise error

    monkeypatch.setattr(desk.store, "put", refuse)
    for path, body in (("/v1/rules", RULES), ("/v1/policy", {"thresholds": THRESHOLDS})):
        reply = desk.ask("PUT", path, body)
        assert reply.problem == (status, kind, None)
        assert ("Retry-After" in reply.headers) == (status == 503)


@pytest.mark.parametrize("error", [ThrottledError("slow down"), EndpointConnectionError(endpoint_url="x")])
def test_a_store_that_is_away_is_told_as_such(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_given: object, **_named: object) -> None:
        raise error

    for name in ("get", "versions"):
        monkeypatch.setattr(desk.store, name, refuse)
    for method, path in desk.calls:
        body = {"field": "card", "action": "none"} if "{name}" in path else {"rules": []}
        body = {} if path.endswith("entries") else {"costs": {}} if path == "/v1/policy" else body
        reply = desk.ask(method, path.replace("{name}", "some"), body if method in ("PUT", "POST") else None)
        assert reply.problem == (503, "unavailable", None)
        assert reply.headers["Retry-After"] == "1"


def test_until_a_merchant_has_a_policy_the_platforms_counts(desk: Desk) -> None:
    assert desk.ask("GET", "/v1/policy").body == {
        "version": 0,
        "changed_at": None,
        "changed_by": None,
        "own": False,
        "policy": "p1",
        "thresholds": {"challenge": 0.2, "review": 0.5, "decline": 0.8},
        "costs": None,
        "unscored_limit": 5_000,
        "most_declined": None,
        "most_reviewed": None,
        "pass_through": None,
    }


def test_a_policy_is_the_merchants_own_until_it_is_given_up(desk: Desk) -> None:
    put = desk.ask("PUT", "/v1/policy", {"thresholds": THRESHOLDS, "most_declined": 0.05})
    assert (put.status, put.headers["ETag"]) == (200, '"1"')
    assert (put.body["own"], put.body["policy"], put.body["thresholds"]) == (True, "own-1", THRESHOLDS)
    assert put.body["most_declined"] == 0.05
    stored = desk.store.get("acme", StoredPolicy)
    assert stored is not None
    assert stored.policy == Policy(version="own-1", thresholds=Thresholds(**THRESHOLDS), most_declined=0.05)
    again = desk.ask("PUT", "/v1/policy", {"thresholds": THRESHOLDS, "most_declined": 0.05})
    assert again.body == put.body
    gone = desk.ask("DELETE", "/v1/policy")
    assert (gone.body["version"], gone.body["own"], gone.body["policy"]) == (2, False, POLICY.version)
    assert desk.ask("DELETE", "/v1/policy").body == gone.body
    assert desk.ask("GET", "/v1/policy", query={"version": "1"}).body == put.body
    costs = desk.ask("PUT", "/v1/policy", {"costs": {"review_cost": 250}}).body
    assert (costs["version"], costs["policy"], costs["thresholds"]) == (3, "own-3", None)
    assert costs["costs"]["review_cost"] == 250
    assert [each["version"] for each in desk.ask("GET", "/v1/policy/versions").body["versions"]] == [3, 2, 1]


def test_giving_up_what_never_was_changes_nothing(desk: Desk) -> None:
    assert desk.ask("DELETE", "/v1/policy").body["version"] == 0
    assert desk.ask("GET", "/v1/policy/versions").body == {"versions": [], "before": None}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, None),
        ({"thresholds": THRESHOLDS, "costs": {}}, None),
        ({"thresholds": {**THRESHOLDS, "review": 0.95}}, "thresholds"),
        ({"thresholds": THRESHOLDS, "most_declined": 1.5}, "most_declined"),
        ({"thresholds": THRESHOLDS, "unscored_limit": -1}, "unscored_limit"),
        ({"thresholds": THRESHOLDS, "version": "9"}, "version"),
        ({"costs": {"review_cots": 1}}, "costs.review_cots"),
    ],
)
def test_what_is_no_policy_is_refused(desk: Desk, sent: object, field: str | None) -> None:
    assert desk.ask("PUT", "/v1/policy", sent).problem == (400, "invalid-field", field)
    assert desk.ask("GET", "/v1/policy").body["own"] is False


def test_other_methods_are_refused_with_those_that_there_are(desk: Desk) -> None:
    reply = desk.ask("POST", "/v1/policy", {})
    assert reply.problem == (405, "method-not-allowed", None)
    assert reply.headers["Allow"] == "DELETE, GET, PUT"


def test_the_function_serves_what_these_tests_ask(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, logged: io.StringIO, desk: Desk
) -> None:
    fresh = load("manage_settings")
    assert set(fresh.CALLS) == set(desk.calls)
    served = AppConfigData(Serving(policy=POLICY))
    monkeypatch.setattr(clients, "appconfigdata", lambda: served)
    create_table(clients.dynamodb(), "settings")
    trail = audit_table(clients.dynamodb())
    clients.secretsmanager().create_secret(Name="token-key", SecretString="k" * 64)

    def ask(method: str, path: str, body: object = None) -> Any:
        return read(fresh.handler(asking(method, path, body), Context()))

    assert ask("GET", "/v1/policy").body["policy"] == POLICY.version
    assert ask("PUT", "/v1/rules", RULES).body["version"] == 1
    assert ask("PUT", "/v1/lists/stolen", {"field": "card", "action": "block"}).body["version"] == 1
    added = ask("POST", "/v1/lists/stolen/entries", {"add": [{"value": "a-card-that-was-stolen", "note": "seen"}]})
    assert added.body == {"added": 1, "removed": 0, "unchanged": 0}
    (entry,) = ask("GET", "/v1/lists/stolen").body["entries"]
    assert entry["value"].startswith("card_")
    assert "a-card-that-was-stolen" not in logged.getvalue()
    assert json.dumps(entry).count("a-card-that-was-stolen") == 0
    entries = told(trail)
    assert [each.kind for each in entries] == ["rules", "lists", "entries"]
    context = lambda_event("label_request")["requestContext"]
    assert {each.who for each in entries} == {f"key:{context['authorizer']['key_id']}"}
    assert list(entries[-1].after) == [entry["value"]], "as a token"
    assert {each.correlation_id for each in entries} == {context["requestId"]}

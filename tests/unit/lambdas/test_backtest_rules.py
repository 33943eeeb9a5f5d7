"""POST /v1/rules/backtest over a lake in memory that runs the real SQL."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.backtest import Draft
from fraud.decision import Decision, decision_row, label_row
from fraud.events import Label, LabelKind, Transaction
from fraud.features import STANDARD
from fraud.lists import ListDefinition, StoredLists
from fraud.policy import Action, Policy, Thresholds
from fraud.rules import Rule, StoredRules
from fraud.rules.check import check_rules
from fraud.serving import Serving
from lambdas.backtest_rules.models import MOST_DECISIONS
from lambdas.backtest_rules.past import _PRIME, PastDecisions, Window, count_of, part_of
from lambdas.backtest_rules.trying import Trial
from runtime import clients
from runtime.athena import Athena, TooSlowError, quoted
from runtime.http import answered, unavailable
from runtime.stores.decisions import MemoryDecisionStore
from runtime.stores.documents import StoredPolicy
from runtime.stores.settings import MemorySettingsStore
from tests.tables import create_table
from tests.unit.lambdas import deciding
from tests.unit.lambdas.lake import AthenaClient
from tests.unit.lambdas.settings_desk import Reply, asking, read
from tests.unit.lambdas.support import POLICY, AppConfigData, Context

NOW = deciding.NOW + 60_000
HOUR = 3_600_000
FEATURE = 'count(card, "24h")'
ABROAD = {"id": "abroad", "when": 'issuer_country == "US"', "action": "decline"}


def decision(
    name: str,
    *,
    merchant: str = "acme",
    at: int = deciding.NOW,
    taken: Action = "approve",
    score: float | None = 0.1,
    features: dict[str, float] | None = None,
    lists: tuple[str, ...] = (),
    **changes: Any,
) -> dict[str, Any]:
    """A decision's row as the lake keeps it."""
    transaction = Transaction(
        transaction_id=name,
        merchant_id=merchant,
        event_time=at,
        currency="EUR",
        card="card_1",
        customer="customer_1",
        **{"amount": 1_000, "issuer_country": "FR", **changes},
    )
    made = Decision(
        transaction_id=name,
        decision=taken,
        score=score,
        reasons=(),
        lists=lists,
        signals={},
        model=None,
        policy="p",
        degraded=score is None,
        evaluated_at=at,
    )
    vector = [(features or {}).get(each, float("nan")) for each in STANDARD.names]
    row = decision_row(transaction, made, features=STANDARD, vector=vector, raw_score=score, recorded_at=at + 5)
    return {**row, "day": "2026-01-01"}


def label(row: dict[str, Any], kind: LabelKind, *, days: int = 3) -> dict[str, Any]:
    transaction = msgspec.convert(row, Transaction)
    told = Label(transaction=transaction, kind=kind, known_at=transaction.event_time + days * 24 * HOUR)
    return {**label_row(told, told.known_at), "day": "2026-01-04"}


@dataclass
class Bench:
    """The call, over a lake and settings in memory."""

    client: AthenaClient = field(default_factory=AthenaClient)
    store: MemorySettingsStore = field(default_factory=MemorySettingsStore)
    now: float = 0.0

    def ask(self, body: object = None, *, merchant_id: str = "acme") -> Reply:
        trial = Trial(
            store=self.store,
            lake=Athena(self.client, "payments", "payments", lambda: self.now, self._sleep),
            features=STANDARD,
            default=lambda: POLICY,
            clock=lambda: NOW,
            patience=24.0,
            replays=False,
        )
        event = asking("POST", "/v1/rules/backtest", body or {}, merchant_id=merchant_id)
        return read(answered(event, {("POST", "/v1/rules/backtest"): trial.ask}))

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def bench() -> Bench:
    return Bench()


def rules(*given: dict[str, Any], mode: str = "first_match") -> dict[str, Any]:
    return {"rules": {"rules": list(given), "mode": mode}}


def test_a_draft_is_tried_on_the_merchants_own_decisions_each_once(bench: Bench) -> None:
    ours = [decision("a", issuer_country="US"), decision("b"), decision("c", at=deciding.NOW + 5)]
    theirs = decision("a", merchant="other", issuer_country="US")
    bench.client.decisions = [*ours, theirs, ours[0], ours[0]]
    reply = bench.ask(rules(ABROAD))
    assert reply.status == 200
    told = reply.body["report"]
    assert (reply.body["found"], reply.body["share"], told["decisions"], told["changed"]) == (3, 1.0, 3, 1)
    (change,) = told["changes"]
    assert (change["from"], change["to"], change["examples"]) == ("approve", "decline", ["a"])
    assert change["payments"]["all"] == {"count": 1, "amount": 1_000}


def test_the_latest_verdict_counts_and_another_merchants_does_not(bench: Bench) -> None:
    rows = [decision(name, issuer_country="US") for name in ("fraud", "cleared", "silent")]
    elsewhere = decision("silent", merchant="other")
    bench.client.decisions = rows
    bench.client.labels = [
        label(rows[0], "chargeback"),
        label(rows[1], "confirmed_genuine", days=9),
        label(rows[1], "confirmed_fraud", days=2),
        label(elsewhere, "chargeback"),
    ]
    told = bench.ask(rules(ABROAD)).body["report"]
    matched = told["rules"][0]["matched"]["EUR"]
    assert [matched[each]["count"] for each in ("frauds", "genuine", "unknown")] == [1, 1, 1]
    assert told["labelled"] == 2
    assert told["rules"][0]["precision"]["value"] == 0.5


def test_rules_see_the_features_scores_and_lists_of_the_decision(bench: Bench) -> None:
    lists = (
        ListDefinition(name="vip", field="customer", action="allow"),
        ListDefinition(name="noted", field="ip", action="none"),
    )
    bench.store.put("acme", StoredLists(version=1, lists=lists, changed_at=1, changed_by="key:k"))
    bench.client.decisions = [
        decision("busy", features={"card_count_24h": 9.0, "card_count_1h": 2.0}),
        decision("quiet", features={"card_count_24h": 1.0}),
        decision("unknown"),
        decision("noted", lists=("noted",)),
        decision("vip", lists=("vip", "noted"), features={"card_count_24h": 9.0}),
        decision("risky", score=0.7, taken="review"),
    ]
    told = bench.ask(
        rules(
            {"id": "busy", "when": f"{FEATURE} > 5", "action": "decline"},
            {"id": "noted", "when": '"noted" in lists', "action": "challenge"},
            {"id": "risky", "when": "score > 0.6", "action": "decline"},
        )
    ).body["report"]
    changes = {(each["from"], each["to"]): each["examples"] for each in told["changes"]}
    assert changes == {
        ("approve", "challenge"): ["noted"],
        ("approve", "decline"): ["busy"],
        ("review", "decline"): ["risky"],
    }
    query = bench.client.queries[-1]
    assert "card_count_24h" in query
    assert "card_count_1h" not in query
    assert "issuer_country" not in query


def test_what_is_left_out_is_what_the_merchant_has(bench: Bench) -> None:
    bench.client.decisions = [
        decision("a", issuer_country="US", score=0.6, taken="review"),
        decision("b", score=0.6),
    ]
    assert bench.ask().body["report"]["changes"][0]["examples"] == ["b"]  # the platform's policy reviews it
    own = Policy(version="own-1", thresholds=Thresholds(challenge=0.5, review=0.9, decline=0.9))
    bench.store.put("acme", StoredPolicy(version=1, policy=own, changed_at=1, changed_by="key:k"))
    stored = check_rules([msgspec.convert(ABROAD, Rule)], STANDARD)
    kept = StoredRules(version=1, mode="first_match", rules=stored, changed_at=1, changed_by="key:k")
    bench.store.put("acme", kept)
    changes = {tuple(each["examples"]): each["to"] for each in bench.ask().body["report"]["changes"]}
    assert changes == {("a",): "decline", ("b",): "challenge"}
    strict = {"policy": {"thresholds": {"challenge": 0.0, "review": 0.0, "decline": 0.5}}}
    assert bench.ask(strict | rules()).body["report"]["changes"][0]["to"] == "decline"


@pytest.mark.parametrize(
    ("body", "kind", "where"),
    [
        ({"since": "2025-09-01T00:00:00Z", "until": "2025-12-31T00:00:00Z"}, "invalid-field", "since"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "invalid-field", "since"),
        ({"since": "2027-01-01T00:00:00Z"}, "invalid-field", "since"),
        ({"until": "2026-01-01T00:00:00"}, "invalid-field", "until"),
        ({"until": "0001-01-02T00:00:00Z"}, "invalid-field", "until"),
        ({"until": "9999-12-31T23:00:00-05:00", "since": "9999-12-01T00:00:00Z"}, "invalid-field", "until"),
        ({"until": "1970-01-05T00:00:00Z"}, "invalid-field", "until"),
        ({"hours": 3}, "invalid-field", "hours"),
        (rules({**ABROAD, "when": 'issuer_countr == "US"'}), "invalid-rule", "rules.rules[0].when"),
        (rules(ABROAD, ABROAD), "invalid-rule", "rules.rules[1].id"),
        (rules({**ABROAD, "when": '"vip" in lists'}), "invalid-rule", "rules.rules[0].when"),
        ({"policy": {}}, "invalid-field", "policy"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_its_field(
    bench: Bench, body: object, kind: str, where: str | None
) -> None:
    reply = bench.ask(body)
    assert reply.problem == (400, kind, where)


def test_a_merchant_without_decisions_is_told_so(bench: Bench) -> None:
    bench.client.decisions = [decision("a", merchant="other"), decision("old", at=NOW - 31 * 24 * HOUR)]
    assert bench.ask().problem == (404, "no-decisions", None)


def test_a_query_that_takes_too_long_is_stopped(bench: Bench) -> None:
    bench.client.slow = True
    assert bench.ask().problem == (503, "backtest-too-slow", None)
    assert bench.client.stopped == ["0"]
    assert bench.now <= 24


def test_rows_that_come_too_slowly_are_not_waited_for() -> None:
    ticks = iter(range(100))
    client = AthenaClient(decisions=[decision(f"d{number}") for number in range(50)])
    lake = Athena(client, "w", "d", lambda: next(ticks))
    with pytest.raises(TooSlowError):
        list(lake.rows("SELECT event_id FROM decisions", until=3))


@pytest.mark.parametrize("text", ["a'b", "a b", "a\\b", 'a"b', "a;b", "a\nb", "ä", "a%b", "a--b'", "a/*"])
def test_no_text_leaves_its_quotes(text: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        quoted(text)
    with pytest.raises(ValueError, match="letters, digits"):
        count_of(Window(text, 0, 1))


@given(st.text(max_size=20))
def test_what_is_quoted_is_one_literal(text: str) -> None:
    try:
        literal = quoted(text)
    except ValueError:
        return
    assert literal[1:-1] == text
    assert not {"'", "\\"} & set(text)


def test_where_payments_have_no_times_of_their_own_other_days_are_left_unread() -> None:
    live = Window("acme", deciding.NOW, deciding.NOW + 24 * HOUR)
    assert "day >= '2026-01-01' AND day <= '2026-01-04'" in live.condition
    assert live.label_condition.endswith("day >= '2026-01-01'")
    replayed = Window("acme", deciding.NOW, deciding.NOW + 24 * HOUR, replays=True)
    assert "day" not in replayed.condition + replayed.label_condition


@pytest.mark.parametrize("step", [1, 1_000, 60_000, 86_400_000])
def test_a_part_is_spread_over_regular_times_and_always_the_same(step: int) -> None:
    rows = [decision(f"d{number}", at=deciding.NOW + number * step) for number in range(2_000)]
    client = AthenaClient(decisions=rows, page=5_000)
    window = Window("acme", deciding.NOW, deciding.NOW + 2_000 * step, replays=True)
    past = PastDecisions(window, Draft(POLICY), STANDARD.names)
    part = part_of(2_000, 500)
    assert part is not None
    lake = Athena(client, "w", "d", lambda: 0.0)
    first, again = (
        [each.transaction.transaction_id for each in past.read(lake.rows(past.sql(part), until=1))] for _ in "12"
    )
    assert first == again
    assert 400 < len(first) < 560
    places = [int(name[1:]) for name in first]
    assert all(70 < sum(low <= each < low + 500 for each in places) < 175 for low in range(0, 2_000, 500))


def test_all_are_judged_up_to_the_limit_and_then_a_part() -> None:
    assert part_of(MOST_DECISIONS, MOST_DECISIONS) is None
    part = part_of(2 * MOST_DECISIONS, MOST_DECISIONS)
    assert part is not None
    assert 0.48 < part / _PRIME < 0.5


def test_a_row_that_holds_no_decision_is_told_and_left_out() -> None:
    window = Window("acme", 0, 1)
    past = PastDecisions(window, Draft(POLICY), STANDARD.names)
    good: list[str | None] = ["e", "t", "5", "100", "EUR", "approve", None, None]
    told: list[int] = []
    rows = [
        good,
        ["f", "t", None, "1", "EUR", "approve", None, None],
        ["g", "t", "5", "1", "EUR", "ban", None, None],
    ]
    found = list(past.read(rows, lambda: told.append(1)))
    assert len(found) == 1
    assert len(told) == 2


def test_the_function_serves_it(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client = AthenaClient(decisions=[decision("a")])
    monkeypatch.setattr(clients, "athena", lambda: client)
    monkeypatch.setattr(clients, "appconfigdata", lambda: AppConfigData(Serving(policy=POLICY)))
    fresh = load("backtest_rules")
    create_table(clients.dynamodb(), "settings")
    body = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    reply = read(fresh.handler(asking("POST", "/v1/rules/backtest", body), Context()))
    assert (reply.status, reply.body["found"]) == (200, 1)
    assert reply.body["since"] == "2026-01-01T00:00:00+00:00"
    client.broken = "SYNTAX_ERROR: of ours"
    reply = read(fresh.handler(asking("POST", "/v1/rules/backtest", body), Context()))
    assert reply.problem == (503, "unavailable", None)
    assert reply.headers["Retry-After"] == unavailable().headers["Retry-After"]
    assert "SYNTAX" not in json.dumps(reply.body)


def _of_scorer() -> Iterator[dict[str, Any]]:
    ledger = MemoryDecisionStore()
    scorer = deciding.scorer(deciding.history(), ledger, model=deciding.served())
    for number in range(40):
        sent = deciding.body(transaction_id=f"s{number}", amount=100 + number**3)
        deciding.decide(scorer, sent, at=deciding.NOW + number * 1_000)
        yield {**deciding.row(ledger, f"acme/s{number}"), "day": "2026-01-01"}


def test_what_served_decides_the_same_again(bench: Bench) -> None:
    bench.client.decisions = list(_of_scorer())
    report = bench.ask().body["report"]
    assert (report["decisions"], report["changed"], report["degraded"]) == (40, 0, 0)

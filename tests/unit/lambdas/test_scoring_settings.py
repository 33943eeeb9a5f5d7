"""What a merchant sets, in its decisions: rules, lists and policy, and how soon a change counts."""

import json
from collections.abc import Iterable, Sequence

import pytest

from fraud.features import STANDARD, Key
from fraud.lists import ListDefinition, StoredLists
from fraud.policy import Policy, Thresholds
from fraud.rules import Rule, StoredRules
from fraud.rules.check import check_rules
from fraud.rules.documents import Mode
from lambdas.score_transaction.scoring import Scorer
from lambdas.score_transaction.settings import MOST_MERCHANTS, SettingsCache
from runtime.api import parse
from runtime.contract.requests import DecisionRequest
from runtime.stores.batches import ThrottledError
from runtime.stores.decisions import MemoryDecisionStore
from runtime.stores.documents import Entry, StoredPolicy, document_keys
from runtime.stores.features import MemoryFeatureStore, Versioned
from runtime.stores.settings import MemorySettingsStore
from tests.unit.lambdas.deciding import MILD, NOW, STRICT, TOKENS, body, decide, history, row, scorer, served

LISTS = ("blocked", "vip", "watched")


class Set:
    """A merchant's settings, and the clock by which they are kept."""

    def __init__(self) -> None:
        self.store = MemorySettingsStore()
        self.now = 100.0
        self.versions: dict[type, int] = {}

    def rules(self, *rules: Rule, mode: Mode = "first_match", merchant: str = "acme") -> None:
        checked = check_rules(rules, STANDARD, LISTS)
        document = StoredRules(
            version=self._next(StoredRules), mode=mode, rules=checked, changed_at=1, changed_by="key:k"
        )
        self.store.put(merchant, document)

    def policy(self, policy: Policy | None, merchant: str = "acme") -> None:
        self.store.put(
            merchant,
            StoredPolicy(version=self._next(StoredPolicy), policy=policy, changed_at=1, changed_by="key:k"),
        )

    def lists(self, *lists: ListDefinition) -> None:
        self.store.put(
            "acme", StoredLists(version=self._next(StoredLists), lists=lists, changed_at=1, changed_by="key:k")
        )

    def entry(self, name: str, field: str, *, expires_at: int = 0, merchant: str = "acme") -> None:
        """Put what the request of these tests has in a field on a list."""
        sent = TOKENS.apply(parse(body(), DecisionRequest).transaction(merchant, NOW))
        entry = Entry(value=getattr(sent, field), added_at=1, added_by="key:k", expires_at=expires_at)
        self.store.change_entries(merchant, name, field, now=NOW, by="key:k1", add=[entry])

    def scorer(self, ledger: MemoryDecisionStore | None = None, policy: Policy = MILD) -> Scorer:
        return scorer(
            history(), ledger, model=served(), settings=self.store, policy=policy, monotonic=lambda: self.now
        )

    def _next(self, kind: type) -> int:
        self.versions[kind] = self.versions.get(kind, 0) + 1
        return self.versions[kind]


@pytest.fixture
def given() -> Set:
    return Set()


def rule(name: str, when: str, action: str = "decline", **more: object) -> Rule:
    return Rule(id=name, when=when, action=action, **more)  # type: ignore[arg-type]  # as a merchant writes them


def answer(made: Scorer, name: str = "order-1001", **changes: object) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(decide(made, body(transaction_id=name, **changes)).answer)
    return decoded


def test_a_rule_decides_instead_of_the_policy_and_is_named(given: Set) -> None:
    given.rules(rule("busy", 'count(card, "7d") > 3 && amount > 100'), rule("never", "amount < 0"))
    ledger = MemoryDecisionStore()
    told = answer(given.scorer(ledger))
    assert (told["decision"], told["rules"], told["policy"]) == ("decline", ["busy"], "mild")
    kept = row(ledger)
    assert (kept["rules"], kept["rules_version"], kept["decision"]) == (["busy"], "1", "decline")
    assert told["reasons"]  # whoever is refused is told why the score is what it is


def test_a_rule_after_the_policy_sees_what_would_be_done(given: Set) -> None:
    given.rules(rule("spare", 'decision == "decline" && amount < 100000', "challenge", stage="after"))
    told = answer(given.scorer(policy=STRICT))
    assert (told["decision"], told["rules"]) == ("challenge", ["spare"])
    assert answer(given.scorer(policy=MILD))["rules"] == []


def test_all_matches_tells_all_and_takes_the_strictest(given: Set) -> None:
    given.rules(
        rule("a", "amount > 0", "challenge"),
        rule("b", "amount > 1", "review"),
        rule("c", "score < 0.0"),
        mode="all_matches",
    )
    told = answer(given.scorer())
    assert (told["decision"], told["rules"]) == ("review", ["a", "b"])


@pytest.mark.parametrize(
    ("action", "policy", "decision"),
    [
        ("block", MILD, "decline"),
        ("allow", STRICT, "approve"),
        ("review", MILD, "review"),
        ("none", MILD, "approve"),
    ],
)
def test_a_list_decides_before_rules_and_policy(given: Set, action: str, policy: Policy, decision: str) -> None:
    given.lists(ListDefinition(name="blocked", field="card", action=action))  # type: ignore[arg-type]  # a Literal
    given.entry("blocked", "card")
    ledger = MemoryDecisionStore()
    told = answer(given.scorer(ledger, policy=policy))
    assert (told["decision"], told["lists"]) == (decision, ["blocked"])
    assert row(ledger)["lists"] == ["blocked"]


def test_an_entry_ends_and_another_card_is_not_on_the_list(given: Set) -> None:
    given.lists(ListDefinition(name="blocked", field="card", action="block"))
    given.entry("blocked", "card", expires_at=NOW)
    made = given.scorer()
    assert answer(made)["lists"] == []
    assert decide(made, body(transaction_id="before"), at=NOW - 1).answer.count('"blocked"') == 1
    assert answer(made, "other", card={"token": "tok-other"})["lists"] == []


def test_rules_can_ask_for_lists(given: Set) -> None:
    given.lists(ListDefinition(name="vip", field="customer", action="none"))
    given.entry("vip", "customer")
    given.rules(rule("not-vip", '!("vip" in lists)'), rule("vip", '"vip" in lists', "review"))
    assert answer(given.scorer())["rules"] == ["vip"]


def test_nothing_of_another_merchant_counts(given: Set) -> None:
    given.rules(rule("all", "amount > 0"), merchant="other")
    given.policy(STRICT, merchant="other")
    given.lists(ListDefinition(name="blocked", field="card", action="block"))
    given.entry("blocked", "card", merchant="other")
    told = answer(given.scorer())
    assert (told["decision"], told["rules"], told["lists"], told["policy"]) == ("approve", [], [], "mild")


def test_a_merchants_own_policy_counts_until_it_goes_back(given: Set) -> None:
    given.policy(STRICT)
    made = given.scorer()
    assert (answer(made)["decision"], answer(made, "again")["policy"]) == ("decline", "strict")
    given.policy(None)
    given.now += 60
    assert answer(made, "later")["policy"] == "mild"


def test_a_change_counts_after_the_interval_and_not_before(given: Set) -> None:
    made = given.scorer()
    assert answer(made, "first")["rules"] == []
    given.rules(rule("all", "amount > 0"))
    given.now += 59.9
    assert answer(made, "still")["rules"] == []
    given.now += 0.1
    assert answer(made, "then")["rules"] == ["all"]


def test_a_new_list_counts_after_the_interval(given: Set) -> None:
    made = given.scorer()
    answer(made, "first")
    given.lists(ListDefinition(name="blocked", field="email", action="block"))
    given.entry("blocked", "email")
    assert answer(made, "still")["lists"] == []
    given.now += 60
    assert answer(made, "then")["lists"] == ["blocked"]
    given.now += 1
    assert answer(made, "on")["lists"] == ["blocked"]  # looked up although the documents were not read again


def test_a_document_that_cannot_be_read_leaves_what_counted_before(given: Set) -> None:
    given.rules(rule("all", "amount > 0"))
    failures: list[Exception] = []
    made = scorer(
        history(),
        model=served(),
        settings=given.store,
        policy=MILD,
        monotonic=lambda: given.now,
        failed=failures.append,
    )
    assert answer(made, "first")["rules"] == ["all"]
    for item in given.store.items(document_keys("acme")):
        item["document"]["S"] = "{"
    given.now += 60
    assert answer(made, "then")["rules"] == ["all"]
    assert [type(each).__name__ for each in failures] == ["SettingsError"]
    assert "{" not in str(failures[0])


def test_a_rule_that_fails_is_counted_and_decides_nothing(given: Set) -> None:
    given.rules(rule("broken", "100 / (amount - 4999) > 1"))
    outcome = decide(given.scorer())
    assert (outcome.failed_rules, outcome.action) == (1, "approve")


def test_the_bound_on_declines_goes_on_from_one_reading_to_the_next(given: Set) -> None:
    every = Thresholds(challenge=0.0, review=0.0, decline=0.0)
    given.policy(Policy(version="bounded", thresholds=every, most_declined=0.1))
    made = given.scorer()
    actions = []
    for number in range(60):
        given.now += 7  # the documents are read again nine times
        actions.append(answer(made, f"t{number}")["decision"])
    assert 4 <= actions.count("decline") <= 1 + 0.1 * 60
    assert set(actions) == {"decline", "review"}


def test_the_platforms_bounds_hold_for_each_merchant_too() -> None:
    every = Thresholds(challenge=0.0, review=0.0, decline=0.0)
    made = scorer(history(), model=served(), policy=Policy(version="p", thresholds=every, most_declined=0.1))
    for merchant in ("acme", "other"):
        actions = [decide(made, body(transaction_id=f"t{n}"), merchant=merchant).action for n in range(40)]
        assert 4 <= actions.count("decline") <= 1 + 0.1 * 40


def test_a_repeat_neither_spends_nor_earns_what_the_bounds_allow() -> None:
    every = Thresholds(challenge=0.0, review=0.0, decline=0.0)
    made = scorer(history(), model=served(), policy=Policy(version="p", thresholds=every, most_declined=0.1))
    assert decide(made, body(transaction_id="first")).action == "decline"
    for _ in range(50):
        assert decide(made, body(transaction_id="first")).repeated
    assert decide(made, body(transaction_id="second")).action == "review"


def test_lists_that_could_not_be_looked_up_are_not_known_to_be_empty(given: Set) -> None:
    class Away(MemoryFeatureStore):
        away = False

        def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
            if self.away:
                raise ThrottledError("slow down")
            return super().read(keys, generation=generation)

    given.lists(ListDefinition(name="vip", field="card", action="none"))
    given.rules(rule("a-stranger", '!("vip" in lists)'), rule("b-anybody", "amount > 0", "challenge"))
    store, told = Away(), list[Exception]()
    made = scorer(store, model=served(), settings=given.store, failed=told.append)
    assert answer(made, "there")["rules"] == ["a-stranger"]
    store.away = True
    assert answer(made, "away")["rules"] == ["b-anybody"]


def test_the_settings_of_few_merchants_are_kept() -> None:
    store, cache = MemorySettingsStore(), SettingsCache(60, lambda error: pytest.fail(repr(error)))

    def asked(merchants: Iterable[int]) -> list[int]:
        return [
            number
            for number in merchants
            if cache.take(f"m{number}", document_keys(f"m{number}"), store.items(()), since=4.0, now=5.0)
            and cache.last(f"m{number}").read_at == 5.0
        ]

    assert len(asked(range(MOST_MERCHANTS + 10))) == MOST_MERCHANTS + 10
    assert cache.last("m0").read_at == 0.0  # forgotten: read again with its next decision
    assert cache.last(f"m{MOST_MERCHANTS + 9}").read_at == 5.0

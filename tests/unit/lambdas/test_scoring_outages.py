"""A store that is slow, broken or away: decisions go on, marked as degraded, and nothing waits for it twice."""

import json
import math
from collections.abc import Callable, Sequence

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from fraud.codec import CorruptStateError
from fraud.features import STANDARD, Key
from fraud.features.definitions import RowFeature
from fraud.rules import Rule, StoredRules
from fraud.rules.check import check_rules
from lambdas.score_transaction.scoring import Scorer
from runtime.booster import BoosterError
from runtime.http import Problem
from runtime.stores.batches import ThrottledError, UnprocessedError
from runtime.stores.decisions import MemoryDecisionStore, Record
from runtime.stores.features import MemoryFeatureStore, Versioned
from runtime.stores.settings import MemorySettingsStore
from tests.unit.lambdas.deciding import MILD, body, decide, history, row, scorer, served

UNREACHED = EndpointConnectionError(endpoint_url="https://dynamodb.invalid")
# How a connection shows that Lambda ended while the process slept.
DEAD_LINE = ConnectionClosedError(endpoint_url="https://dynamodb.invalid")
INSIDE = ClientError(
    {
        "Error": {"Code": "InternalServerError", "Message": "repeat it"},
        "ResponseMetadata": {
            "HTTPStatusCode": 500,
            "RequestId": "r",
            "HostId": "",
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        },
    },
    "BatchGetItem",
)
TIMEOUT = ReadTimeoutError(endpoint_url="https://dynamodb.invalid")


class Store(MemoryFeatureStore):
    """Fails as it is told, and counts how often it was asked; each call takes some seconds of a clock."""

    def __init__(self, takes: float = 0.0) -> None:
        super().__init__()
        self.asked = 0
        self.keys: Sequence[Key] = ()
        self.now = 50.0
        self.takes = takes
        self.fails: Callable[[], Exception | None] = lambda: None

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        self.asked += 1
        self.keys = keys
        self.now += self.takes
        failure = self.fails()
        if failure is not None:
            raise failure
        return super().read(keys, generation=generation)


def scorer_of(store: Store, told: list[Exception], **more: object) -> Scorer:
    return scorer(store, failed=told.append, monotonic=lambda: store.now, model=served(), **more)  # type: ignore[arg-type]  # passed on


def degraded(made: Scorer, name: str) -> bool:
    return decide(made, body(transaction_id=name)).degraded


@pytest.mark.parametrize("failure", [UNREACHED, DEAD_LINE, INSIDE], ids=lambda each: type(each).__name__)
def test_one_call_that_failed_of_itself_is_no_outage(failure: Exception) -> None:
    store, told = Store(takes=0.01), []
    store.fails = lambda: failure if store.asked == 1 else None
    assert not degraded(scorer_of(store, told), "t1")
    assert (store.asked, told) == (2, [])


def test_what_took_its_time_to_fail_is_not_tried_again() -> None:
    store: Store = Store(takes=0.15)
    told: list[Exception] = []
    store.fails = lambda: TIMEOUT
    assert degraded(scorer_of(store, told), "t1")
    assert (store.asked, told) == (1, [TIMEOUT])


def test_after_three_failures_nobody_waits_until_a_try_goes_well() -> None:
    store: Store = Store(takes=0.15)
    told: list[Exception] = []
    made = scorer_of(store, told)
    store.fails = lambda: TIMEOUT if store.asked <= 4 else None
    assert [degraded(made, f"t{number}") for number in range(10)] == [True] * 10
    assert store.asked == 3
    store.now += 2.0
    assert degraded(made, "tries")  # the fourth call fails too
    assert degraded(made, "waits")
    assert store.asked == 4
    store.now += 2.0
    assert not degraded(made, "works")
    assert not degraded(made, "goes-on")
    assert store.asked == 6


def test_a_process_that_slept_tries_again_though_its_own_clock_stood_still() -> None:
    store, told, slept = Store(), [], [0.0]
    made = scorer(store, failed=told.append, model=served(), wall=lambda: slept[0])
    store.fails = lambda: TIMEOUT
    assert [degraded(made, f"t{number}") for number in range(5)] == [True] * 5
    assert store.asked == 3
    store.fails = lambda: None
    slept[0] = 2.0
    assert not degraded(made, "awake")


@pytest.mark.parametrize(
    "failure", [CorruptStateError("fails its checksum"), UnprocessedError("keys stayed unread")]
)
def test_what_is_wrong_with_some_keys_does_not_open_the_breaker(failure: Exception) -> None:
    store, told = Store(), []
    store.fails = lambda: failure
    made = scorer_of(store, told)
    for number in range(5):
        assert degraded(made, f"t{number}")
    assert store.asked == 5


def test_rules_decide_on_what_is_known_of_the_payment_itself() -> None:
    settings, ledger = MemorySettingsStore(), MemoryDecisionStore()
    rules = check_rules(
        [
            Rule(id="velocity", when='count(card, "7d") < 1', action="decline"),
            Rule(id="scored", when="score < 0.5", action="decline"),
            Rule(id="degraded", when="degraded && amount_is_round < 1.0 && amount > 4000", action="challenge"),
        ],
        STANDARD,
    )
    settings.put("acme", StoredRules(version=1, mode="first_match", rules=rules, changed_at=1, changed_by="key:k"))
    store, told = Store(), []
    made = scorer_of(store, told, settings=settings, policy=MILD, ledger=ledger)
    decide(made, body(transaction_id="reads-the-rules"))
    store.fails = lambda: TIMEOUT
    answer = json.loads(decide(made).answer)
    # With no history, "never used before" is not known to be true: only row-level features are.
    assert (answer["decision"], answer["rules"], answer["degraded"]) == ("challenge", ["degraded"], True)
    features = row(ledger)["features"]
    assert isinstance(features, dict)
    assert features.keys() <= {each.name for each in STANDARD.features if isinstance(each, RowFeature)}
    assert not any(math.isnan(value) for value in features.values())


def test_a_model_that_fails_is_done_without() -> None:
    class Broken:
        def predict(self, row: Sequence[float]) -> float:
            raise BoosterError(f"out of memory over {len(row)} columns")

    model = served()
    object.__setattr__(model, "booster", Broken())
    told: list[Exception] = []
    answer = json.loads(decide(scorer(history(), model=model, failed=told.append)).answer)
    assert (answer["degraded"], answer["model"], answer["reasons"][0]["code"]) == (True, None, "MODEL_UNAVAILABLE")
    assert [type(each) for each in told] == [BoosterError]


class Ledger(MemoryDecisionStore):
    """Loses what is sent, or the answer to it."""

    def __init__(self, *, keeps: bool) -> None:
        super().__init__()
        self.keeps, self.fails = keeps, True

    def put(self, record: Record) -> Record | None:
        kept = super().put(record) if self.keeps or not self.fails else None
        if self.fails:
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "PutItem")
        return kept


@pytest.mark.parametrize("keeps", [True, False])
def test_without_the_ledger_there_is_no_decision_and_a_retry_works(keeps: bool) -> None:
    ledger = Ledger(keeps=keeps)
    told: list[Exception] = []
    made = scorer(history(), ledger, model=served(), failed=told.append)
    with pytest.raises(Problem) as refused:
        decide(made)
    assert (refused.value.status, refused.value.body["type"]) == (503, "/problems/unavailable")
    assert refused.value.headers == {"Retry-After": "1"}
    assert len(told) == 1
    ledger.fails = False
    again = decide(made)
    assert again.repeated == keeps  # what was written although the answer was lost is what counts
    assert len(ledger.records) == 1
    assert decide(made).answer == again.answer == next(iter(ledger.records.values())).answer


def test_health_asks_the_store_as_a_decision_would() -> None:
    store: Store = Store()
    told: list[Exception] = []
    made = scorer_of(store, told)
    assert made.reachable("acme")
    assert store.keys  # a read of no key would ask the table of features nothing
    store.fails = lambda: TIMEOUT
    assert not made.reachable("acme")
    assert told == [TIMEOUT]


def test_throttling_is_not_answered_by_asking_at_once_again() -> None:
    store: Store = Store()
    told: list[Exception] = []
    store.fails = lambda: ThrottledError("slow down")
    assert degraded(scorer_of(store, told), "t1")
    assert store.asked == 1

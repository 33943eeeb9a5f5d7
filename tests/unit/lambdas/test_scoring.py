"""One decision for one transaction: whatever fails, whoever asks again, and however many ask at once."""

import json
import math
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import xgboost as xgb
from botocore.exceptions import ClientError, ReadTimeoutError

from fraud.calibration import calibrate
from fraud.codec import CorruptStateError
from fraud.decision import event_of
from fraud.features import STANDARD, Key
from lambdas.score_transaction.scoring import Outcome
from runtime.api import parse
from runtime.contract.requests import DecisionRequest
from runtime.http import Problem
from runtime.stores.batches import ThrottledError, UnprocessedError
from runtime.stores.decisions import MemoryDecisionStore
from runtime.stores.features import MemoryFeatureStore, Versioned
from runtime.stores.generations import Generation, Generations
from tests.unit.lambdas.deciding import (
    MILD,
    NOW,
    SENT,
    STRICT,
    TOKENS,
    body,
    decide,
    history,
    row,
    scorer,
    served,
)
from tests.unit.lambdas.support import POLICY, booster


def test_the_same_request_is_answered_with_the_same_bytes() -> None:
    ledger = MemoryDecisionStore()
    made = scorer(ledger=ledger, model=served())
    first = decide(made)
    again = decide(made, at=NOW + 3_600_000)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.answer == first.answer
    assert len(ledger.records) == 1


def test_another_spelling_of_the_same_json_is_the_same_request() -> None:
    made = scorer()
    first = decide(made)
    spelled = json.dumps(dict(reversed(SENT.items())), indent=3).encode()
    assert decide(made, spelled).answer == first.answer


def test_a_repeat_is_answered_from_the_ledger_even_after_the_model_changed() -> None:
    ledger = MemoryDecisionStore()
    first = decide(scorer(ledger=ledger))
    assert decide(scorer(history(), ledger, model=served())).answer == first.answer


@pytest.mark.parametrize("change", [{"amount": 5_000}, {"metadata": {}}, {"customer": {"id": "someone"}}])
def test_a_used_id_with_another_body_is_a_conflict(change: dict[str, object]) -> None:
    ledger = MemoryDecisionStore()
    made = scorer(ledger=ledger)
    decide(made)
    before = dict(ledger.records)
    with pytest.raises(Problem) as refused:
        decide(made, body(**change))
    assert (refused.value.status, refused.value.body["field"]) == (409, "transaction_id")
    assert ledger.records == before


def test_two_merchants_may_use_the_same_id() -> None:
    ledger = MemoryDecisionStore()
    made = scorer(ledger=ledger)
    assert not decide(made).repeated
    assert not decide(made, body(amount=1), merchant="other").repeated
    assert {name for name, _ in ledger.records} == {"acme/order-1001", "other/order-1001"}


def test_racing_requests_with_one_id_get_one_decision() -> None:
    ledger = MemoryDecisionStore()
    barrier = threading.Barrier(16)
    outcomes: list[Outcome] = []

    class Together(MemoryFeatureStore):
        def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
            barrier.wait(timeout=20)  # nobody writes before everybody has read
            return super().read(keys, generation=generation)

    def ask(number: int) -> None:
        # Each one is received at a moment of its own, so that two decisions would differ.
        outcomes.append(decide(scorer(Together(), ledger), at=NOW + number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(outcomes) == 16
    assert len({outcome.answer for outcome in outcomes}) == 1
    assert sum(not outcome.repeated for outcome in outcomes) == 1
    assert len(ledger.records) == 1


FAILURES = [
    UnprocessedError("keys stayed unread"),
    ThrottledError("reads are throttled"),
    ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}}, "any"),
    ReadTimeoutError(endpoint_url="https://dynamodb.invalid"),
    CorruptStateError("fails its checksum"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize(("amount", "action"), [(5_000, "approve"), (5_001, "review")])
def test_without_state_the_policy_decides_alone(failure: Exception, amount: int, action: str) -> None:
    class Broken(MemoryFeatureStore):
        def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
            assert keys
            assert generation is None
            raise failure

    told: list[Exception] = []
    ledger = MemoryDecisionStore()
    outcome = decide(scorer(Broken(), ledger, model=served(), failed=told.append), body(amount=amount))
    answer = json.loads(outcome.answer)
    assert outcome.degraded
    assert (answer["degraded"], answer["score"], answer["model"]) == (True, None, None)
    assert (answer["decision"], answer["signals"]) == (action, {})
    assert [reason["code"] for reason in answer["reasons"]] == ["STATE_UNAVAILABLE"]
    assert told == [failure]
    assert (row(ledger)["degraded"], row(ledger)["raw_score"]) == (True, None)


@pytest.mark.parametrize(("amount", "action"), [(5_000, "approve"), (5_001, "review")])
def test_without_a_model_the_policy_decides_alone(amount: int, action: str) -> None:
    answer = json.loads(decide(scorer(history()), body(amount=amount)).answer)
    assert (answer["degraded"], answer["score"], answer["model"]) == (True, None, None)
    assert answer["decision"] == action
    assert [reason["code"] for reason in answer["reasons"]] == ["MODEL_UNAVAILABLE"]
    assert answer["signals"]["card_merchant_count_24h"] > 0  # what is known of the card is still told


def test_a_failure_that_is_no_outage_is_not_hidden() -> None:
    class Bug(MemoryFeatureStore):
        def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
            raise TypeError(f"a bug with {len(keys)} keys of generation {generation}")

    with pytest.raises(TypeError):
        decide(scorer(Bug()))


def test_the_score_is_xgboosts_calibrated_and_the_vector_is_the_feature_sets() -> None:
    states, ledger, model = history(), MemoryDecisionStore(), served()
    answer = json.loads(decide(scorer(states, ledger, model=model)).answer)
    kept = row(ledger)
    transaction = event_of(kept).transaction
    read = {key: versioned.state for key, versioned in states.read(STANDARD.keys_read(transaction)).items()}
    vector = STANDARD.vector(transaction, read)
    known = {name: value for name, value in zip(STANDARD.names, vector, strict=True) if not math.isnan(value)}
    assert kept["features"] == known
    assert known["card_count_7d"] > 3  # the history was found: this is no vector of nothing
    data = xgb.DMatrix(np.array([vector], dtype=np.float32), feature_names=list(STANDARD.names))
    raw = float(booster().predict(data)[0])
    assert kept["raw_score"] == raw
    assert answer["score"] == kept["score"] == calibrate(raw, model.manifest.calibration)
    assert answer["decision"] == POLICY.decide(transaction, answer["score"])
    assert answer["model"] == {"name": "paywarden", "version": "run-1"}
    assert (answer["degraded"], answer["evaluated_at"]) == (False, NOW)
    assert (kept["recorded_at"], kept["model_version"], kept["policy_version"]) == (NOW + 7, "run-1", "p1")


def test_reasons_are_the_weightiest_contributions_of_xgboost() -> None:
    ledger = MemoryDecisionStore()
    answer = json.loads(decide(scorer(history(), ledger, model=served(), policy=STRICT)).answer)
    features = row(ledger)["features"]
    assert isinstance(features, dict)
    values = np.array([[features.get(name, math.nan) for name in STANDARD.names]], dtype=np.float32)
    data = xgb.DMatrix(values, feature_names=list(STANDARD.names))
    shares = booster().predict(data, pred_contribs=True)[0][:-1]
    weights: dict[str, float] = {}
    for feature, share in zip(STANDARD.features, shares, strict=True):
        weights[feature.reason.code] = weights.get(feature.reason.code, 0.0) + float(share)
    raises = sum(weights.values()) > 0
    ranked = sorted(weights, key=lambda code: -abs(weights[code]))
    pushing = [code for code in ranked if (weights[code] > 0) == raises and weights[code]]
    assert len(pushing) > 5
    assert [reason["code"] for reason in answer["reasons"]] == pushing[:5]
    assert {reason["direction"] for reason in answer["reasons"]} == {"raises" if raises else "lowers"}
    assert all(reason["text"] and reason["customer_text"] for reason in answer["reasons"])


def test_an_approval_is_not_explained_before_somebody_asks() -> None:
    answer = json.loads(decide(scorer(history(), model=served(), policy=MILD)).answer)
    assert (answer["decision"], answer["reasons"], answer["degraded"]) == ("approve", [], False)


def test_an_answer_shows_only_what_may_be_shown() -> None:
    answer = json.loads(decide(scorer(history(), model=served())).answer)
    shown = {feature.name for feature in STANDARD.features if feature.shown}
    assert answer["signals"].keys() == shown == {"card_merchant_count_24h", "customer_count_24h"}


def test_the_event_is_read_back_as_it_was_decided_and_holds_tokens_only() -> None:
    ledger = MemoryDecisionStore()
    decide(scorer(ledger=ledger))
    transaction = event_of(row(ledger)).transaction
    assert transaction.card == TOKENS.token("card", SENT["card"]["token"])
    assert transaction.email == TOKENS.token("mail", "planted.person@example.com")
    assert (transaction.event_time, transaction.amount, transaction.shipping_country) == (NOW, 4_999, "BE")
    [record] = ledger.records.values()
    personal = (
        SENT["card"]["token"],
        SENT["customer"]["id"],
        SENT["customer"]["email"],
        SENT["device"]["id"],
        SENT["ip"],
        SENT["billing"]["postcode"],
        SENT["metadata"]["basket"],
    )
    for value in personal:
        assert value.lower() not in f"{record.row}{record.answer}".lower()


def test_a_decision_reads_the_generation_that_serves() -> None:
    store = history()
    made, keys = (
        scorer(store),
        STANDARD.keys_read(TOKENS.apply(parse(body(), DecisionRequest).transaction("acme", NOW))),
    )
    first = json.loads(decide(made).answer)["signals"]
    found = store.read(keys)
    only = {
        key: Versioned(each.state) for key, each in found.items() if key.entity in ("card_merchant", "customer")
    }
    store.commit([], only, expires_at=1, generation=2)
    store.change(Generations(), Generations(serving=Generation(number=3), latest=3))
    empty = json.loads(decide(made, body(transaction_id="order-1002")).answer)["signals"]
    now, _ = store.look(())
    store.change(now, Generations(serving=Generation(number=2), latest=3))
    second = json.loads(decide(made, body(transaction_id="order-1003")).answer)["signals"]
    assert first["card_merchant_count_24h"] > 0 == empty["card_merchant_count_24h"]
    assert second == first


def test_time_in_stores_is_told_apart_from_our_own() -> None:
    made = scorer()
    assert made.timer.store == 0
    decide(made)
    assert 0 < made.timer.store < 5

"""One deployment, from a merchant's call to a model that serves: what the README promises."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from fraud.features import STANDARD
from ops import merchants
from ops.client import Api
from ops.deployment import Deployment
from ops.history import import_history
from ops.inputs import MAPPINGS, World, decision_body, label_body, load_mapping
from ops.lake import query
from ops.retraining import RetrainingError, Run, retrain
from runtime.bundles import BundleStore
from runtime.stores.decisions import DECISION, DynamoDecisionStore
from tests.waiting import until

from .conftest import ROOT, serving_champion, wait_folded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HANDBOOK = ROOT.parent / "shared" / "data" / "handbook" / "transactions_visible.parquet"


def body(transaction_id: str, *, card: str = "tok-e2e", amount: int = 4_200) -> dict[str, object]:
    return {
        "transaction_id": transaction_id,
        "amount": amount,
        "currency": "EUR",
        "card": {"token": card},
        "customer": {"id": f"customer-of-{card}"},
    }


def test_who_has_no_key_gets_a_problem_and_no_decision(deployment: Deployment) -> None:
    stranger = Api(deployment.api_url, {"nobody": "pw_000000000000_wrong"})
    reply = stranger.post("nobody", "/v1/decisions", body("t-stranger"))
    assert reply.status in (401, 403)
    assert reply.json()["status"] == reply.status


def test_a_key_that_is_ended_is_refused_at_once_though_its_answer_was_kept(deployment: Deployment) -> None:
    def status(key: merchants.NewKey) -> int:
        api = Api(deployment.api_url, {"shop": key.secret})
        try:
            # Refused by scoring: who is asked here is the authorizer, whose answers the API keeps for a minute.
            return api.post("shop", "/v1/decisions", {}).status
        finally:
            api.close()

    def now() -> int:
        return time.time_ns() // 1_000_000

    older = merchants.add(deployment, "shop-keys", at=now())
    assert status(older) == 400
    newer = merchants.rotate(deployment, "shop-keys", at=now(), grace=60_000)
    assert [status(key) for key in (older, newer)] == [400, 400]
    assert merchants.disable(deployment, "shop-keys", at=now(), key_id=older.key_id).kept_answers == ""
    assert [status(key) for key in (older, newer)] == [401, 400]
    merchants.disable(deployment, "shop-keys", at=now())
    assert status(newer) == 401
    merchants.enable(deployment, "shop-keys", at=now())
    assert [status(key) for key in (older, newer)] == [401, 400]
    newest = merchants.rotate(deployment, "shop-keys", at=now(), grace=0)
    assert [status(key) for key in (newer, newest)] == [401, 400]


def test_the_same_transaction_twice_gets_the_same_bytes(api: Api) -> None:
    first = api.post("aurora", "/v1/decisions", body("t-twice"))
    again = api.post("aurora", "/v1/decisions", body("t-twice"))
    assert first.status == again.status == 200
    assert first.body == again.body


def test_the_same_id_with_another_body_is_refused(api: Api) -> None:
    assert api.post("aurora", "/v1/decisions", body("t-reused")).status == 200
    reply = api.post("aurora", "/v1/decisions", body("t-reused", amount=4_201))
    assert reply.status == 409
    assert reply.json()["field"] == "transaction_id"


def test_the_same_id_of_another_merchant_is_another_transaction(api: Api) -> None:
    assert api.post("aurora", "/v1/decisions", body("t-shared")).status == 200
    assert api.post("meridian", "/v1/decisions", body("t-shared", amount=1)).status == 200


def test_racing_requests_with_one_id_make_one_decision(api: Api, deployment: Deployment) -> None:
    # No more than four: each may have to wait for a process of its own.
    with ThreadPoolExecutor(4) as pool:
        replies = list(
            pool.map(lambda _: api.post("aurora", "/v1/decisions", body("t-race", card="tok-race")), range(4))
        )
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    stored = ledger.get("aurora/t-race", DECISION)
    assert stored is not None
    assert stored.answer.encode() == replies[0].body
    wait_folded(deployment, "aurora/t-race")
    after = api.post("aurora", "/v1/decisions", body("t-after-race", card="tok-race"))
    assert after.json()["signals"]["card_merchant_count_24h"] == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"amount": "12"}, "amount"),
        ({"card": {}}, "card.token"),
        ({"colour": "red"}, "colour"),
        ({"metadata": {"note": "4111 1111 1111 1111"}}, "metadata.note"),
    ],
)
def test_a_bad_body_gets_a_400_that_names_the_field(api: Api, changed: dict[str, object], field: str) -> None:
    reply = api.post("aurora", "/v1/decisions", body("t-bad") | changed)
    assert reply.status == 400
    assert reply.json()["field"] == field
    assert b"4111" not in reply.body


def test_velocity_moves_and_labels_are_taken(api: Api, deployment: Deployment) -> None:
    seen = []
    for number in range(3):
        reply = api.post("meridian", "/v1/decisions", body(f"t-velocity-{number}", card="tok-velocity"))
        seen.append(reply.json()["signals"]["card_merchant_count_24h"])
        wait_folded(deployment, f"meridian/t-velocity-{number}")
    assert seen == [0, 1, 2]
    label = {"transaction_id": "t-velocity-0", "label": "chargeback"}
    assert api.post("meridian", "/v1/labels", label).status == 202
    wait_folded(deployment, "meridian/t-velocity-0#fraud")
    assert api.post("aurora", "/v1/labels", label).status == 404


def test_outcomes_move_the_features_of_the_next_payment_and_reach_the_lake(
    api: Api, deployment: Deployment
) -> None:
    names = [f"t-declined-{number}" for number in range(2)]
    for name in names:
        assert api.post("aurora", "/v1/decisions", body(name, card="tok-declined")).status == 200
        path = f"/v1/decisions/{name}/outcome"
        first = api.post("aurora", path, {"outcome": "declined"})
        assert first.status == 202, first.body
        assert api.post("aurora", path, {"outcome": "declined"}).body == first.body
        assert api.post("meridian", path, {"outcome": "declined"}).status == 404
    told = [f"aurora/{name}#declined" for name in names]
    wait_folded(deployment, *told)
    assert api.post("meridian", "/v1/decisions", body("t-after-declines", card="tok-declined")).status == 200
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    record = ledger.get("meridian/t-after-declines", DECISION)
    assert record is not None
    served = msgspec.json.decode(record.row)["features"]
    assert (served["card_declined_count_1h"], served["card_declined_rate_24h"]) == (2, 1)
    mine = "event_id LIKE 'aurora/t-declined-%'"
    sql = f"SELECT DISTINCT event_id, outcome FROM outcomes WHERE {mine} ORDER BY event_id"  # noqa: S608 - no input

    def all_rows() -> list[dict[str, str]] | None:
        found = query(deployment, sql)
        return found if len(found) >= len(told) else None

    rows = until(all_rows, within=60, pause=1, what="both outcomes in the lake")
    assert rows == [{"event_id": each, "outcome": "declined"} for each in told]


def test_a_message_that_holds_no_event_blocks_none_and_ends_as_a_dead_letter(
    api: Api, deployment: Deployment, impatient: str
) -> None:
    sqs = deployment.client("sqs")
    sqs.send_message(QueueUrl=impatient, MessageBody="no event")
    api.post("aurora", "/v1/decisions", body("t-neighbour"))
    wait_folded(deployment, "aurora/t-neighbour")
    dead = deployment["UpdateDeadLetterQueueUrl"]
    found = until(
        lambda: sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1).get("Messages"),
        within=90,
        pause=0,  # the queue waits itself
        what="a dead letter",
    )
    assert found[0]["Body"] == "no event"


def test_the_lake_answers_sql(api: Api, deployment: Deployment) -> None:
    api.post("aurora", "/v1/decisions", body("t-lake", amount=98_765))
    sql = "SELECT amount, features['amount'] AS served FROM decisions WHERE event_id = 'aurora/t-lake'"
    rows = until(lambda: query(deployment, sql), within=60, pause=1, what="the decision in the lake")
    assert int(rows[0]["amount"]) == 98_765
    assert float(rows[0]["served"]) == 98_765


def test_the_workflow_trains_and_its_model_serves(
    api: Api, deployment: Deployment, first_model: Run, world: World
) -> None:
    assert first_model.promoted, first_model.reason
    assert serving_champion(deployment) == first_model.version
    row = world.live[0]
    deadline = time.monotonic() + 30
    number = 0
    while True:
        number += 1
        sent = decision_body(row.transaction) | {"transaction_id": f"t-served-{number}"}
        reply = api.post("aurora", "/v1/decisions", sent, at=row.transaction.event_time)
        assert reply.status == 200, reply.body
        answer = reply.json()
        if answer["model"]:
            break
        assert time.monotonic() < deadline, "the promoted model never served"
        time.sleep(0.5)
    assert answer["model"]["version"] == first_model.version
    assert 0 < answer["score"] < 1
    told = api.get("aurora", f"/v1/decisions/t-served-{number}").json()
    assert told["decision"] == answer
    assert told["reasons"]  # of an approval too, worked out by the model that scored
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    record = ledger.get(f"aurora/t-served-{number}", DECISION)
    assert record is not None
    served = msgspec.json.decode(record.row)
    model = BundleStore(deployment.client("s3"), deployment["ModelsBucket"]).load(
        first_model.version, STANDARD.names
    )
    vector = [served["features"].get(name, float("nan")) for name in STANDARD.names]
    assert model.score(model.row(STANDARD.names, vector)) == (served["raw_score"], served["score"])


def test_a_run_that_asks_for_what_is_unknown_says_so(deployment: Deployment, first_model: Run) -> None:
    del first_model
    with pytest.raises(RetrainingError, match="as_of"):
        retrain(deployment, "typo", options={"as_off": 1}, timeout=60)


def test_an_import_can_be_repeated_and_not_replaced(
    deployment: Deployment, first_model: Run, world: World
) -> None:
    del first_model
    again = import_history(deployment, "before", world.history, clock=1, sleep=time.sleep)
    assert again.states == 0
    assert again.unchanged > 0


def test_the_handbook_is_sent_through_its_mapping(deployment: Deployment, keys: dict[str, str]) -> None:
    if not HANDBOOK.exists():
        pytest.skip(f"the benchmark data is not beside this clone: {HANDBOOK}")
    assert load_mapping(MAPPINGS / "handbook.toml")
    command = [
        Path(sys.executable).with_name("paywarden"), "send", HANDBOOK, "--mapping", "handbook", "--limit", "150",
        "--port", str(deployment.port),
    ]  # fmt: skip
    done = subprocess.run(
        command, env={"PAYWARDEN_KEY": keys["aurora"]}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "150 decisions" in done.stderr
    sql = "SELECT count(DISTINCT event_id) AS n FROM decisions WHERE transaction_id LIKE 'handbook-%'"
    until(lambda: int(query(deployment, sql)[0]["n"]) >= 150, within=60, pause=1, what="150 decisions in the lake")


def test_a_label_body_is_what_the_api_takes(api: Api, world: World) -> None:
    row = next(row for row in world.live if row.label is not None)
    assert row.label is not None
    merchant = row.transaction.merchant_id
    sent = decision_body(row.transaction) | {"transaction_id": "t-label"}
    assert api.post(merchant, "/v1/decisions", sent, at=row.transaction.event_time).status == 200
    label = label_body(row.label) | {"transaction_id": "t-label"}
    assert api.post(merchant, "/v1/labels", label, at=row.label.known_at).status == 202

"""A person is erased: nothing that the deployment holds makes their tokens any more, and others keep theirs."""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import urllib3
from typer.testing import CliRunner

from fraud.features import STANDARD
from fraud.lists import StoredLists
from fraud.tokens import IDENTIFIERS, Keyring, Tokeniser
from ops.cli import app
from ops.deployment import Deployment
from ops.persons.traces import keys_of
from ops.tokens import Secret
from runtime.stores.decisions import DECISION, DynamoDecisionStore, Record
from tests.load.told import sealing
from tests.planted import plant

from .conftest import wait_folded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MERCHANT = "shop-0"

type Person = dict[str, str]


class Shop:
    """A merchant who sends payments, and reads what was made of them."""

    def __init__(self, deployment: Deployment, merchant: str, key: str) -> None:
        self._deployment, self._key, self.merchant = deployment, key, merchant
        self._pool = urllib3.PoolManager()
        self._ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])

    def pays(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The row that was written of a payment."""
        self.call("POST", "/v1/decisions", body)
        row: dict[str, Any] = json.loads(self.kept(body).row)
        return row

    def kept(self, body: Mapping[str, Any]) -> Record:
        record = self._ledger.get(f"{self.merchant}/{body['transaction_id']}", DECISION)
        assert record is not None
        return record

    def call(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        reply = self._pool.request(method, f"{self._deployment.api_url}{path}", json=body, headers=headers)
        assert reply.status == 200, reply.data

    def lists(self) -> set[str]:
        store = self._deployment.settings()
        stored = store.get(self.merchant, StoredLists)
        assert stored is not None
        (key,) = (each.key for each in stored.lists if each.name == "erased-people")
        return {each.value for each in store.entries(self.merchant, key, now=0, limit=50)[0]}

    def close(self) -> None:
        self._pool.clear()


@pytest.fixture
def shop(deployment: Deployment, keys: dict[str, str]) -> Iterator[Shop]:
    merchant = MERCHANT if MERCHANT in keys else next(iter(keys))
    made = Shop(deployment, merchant, keys[merchant])
    yield made
    made.close()


def somebody(name: str) -> Person:
    made = {field: f"{name}-{field}-{uuid.uuid4().hex[:8]}" for field in ("card", "customer", "device")}
    made["email"] = f"{name}.{uuid.uuid4().hex[:8]}@example.com"
    for field, value in made.items():
        plant(f"the {field} of {name}", value)
    return made


def payment_of(person: Person) -> dict[str, Any]:
    return {
        "transaction_id": f"erasure-{uuid.uuid4().hex[:12]}",
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": person["card"]},
        "customer": {"id": person["customer"], "email": person["email"]},
        "device": {"id": person["device"]},
    }


def tokens_of(row: Mapping[str, Any]) -> dict[str, str]:
    return {field: row[field] for field in IDENTIFIERS if row[field]}


def all_that_makes_tokens(deployment: Deployment) -> Iterator[Tokeniser]:
    """From every version of the secret, and every version of every object beside it."""
    secret = Secret.of(deployment)
    listed = secret.client.list_secret_version_ids(SecretId=secret.secret_id, IncludeDeprecated=True)
    for version in listed["Versions"]:
        text = secret.client.get_secret_value(SecretId=secret.secret_id, VersionId=version["VersionId"])
        yield secret.tokeniser(Keyring.parse(text["SecretString"]))


def can_be_tried(deployment: Deployment, shop: Shop, body: Mapping[str, Any]) -> bool:
    """Whether somebody who has the keys and the very body can tell that the ledger's digest is of it."""
    sent = json.dumps(body).encode()
    digests = {sealing(each)(shop.merchant, sent) for each in all_that_makes_tokens(deployment)}
    return shop.kept(body).digest in digests


def test_a_person_is_erased_and_nobody_else(deployment: Deployment, shop: Shop) -> None:
    person, stranger = somebody("erased"), somebody("kept")
    shop.call("PUT", "/v1/lists/erased-people", {"field": "email", "action": "none"})
    added = [{"value": each["email"]} for each in (person, stranger)]
    shop.call("POST", "/v1/lists/erased-people/entries", {"add": added})
    sent = [payment_of(each) for each in (person, stranger, person, stranger)]
    rows = [shop.pays(each) for each in sent]
    hers, others = tokens_of(rows[0]), tokens_of(rows[1])
    assert tokens_of(rows[2]) == hers
    states, theirs = (keys_of(STANDARD, each.values(), [shop.merchant]) for each in (hers, others))
    # A state is there from its first payment on; what is asked below counts both.
    paid = {f"{shop.merchant}/{each['transaction_id']}" for each in rows}
    wait_folded(deployment, *paid, within=60)
    assert deployment.features().read([*states, *theirs]).keys() == {*states, *theirs}
    assert shop.pays(payment_of(person))["features"]["card_count_7d"] == 2
    assert shop.lists() == {hers["email"], others["email"]}
    assert [can_be_tried(deployment, shop, each) for each in sent[:2]] == [True, True]

    lines = [{"field": field, "value": person[field]} for field in ("card", "device", "email")]
    lines.append({"field": "customer", "value": person["customer"], "merchant": shop.merchant})
    done = CliRunner().invoke(
        app,
        ["erase", "person", "-", "--reason", "request 17", "--yes", "--port", str(deployment.port)],
        input="\n".join(map(json.dumps, lines)),
    )
    assert done.exit_code == 0, done.output
    assert "4 tokens are gone" in " ".join(done.output.split())

    made = list(all_that_makes_tokens(deployment))
    assert made
    values = [(IDENTIFIERS[field], person[field]) for field in ("card", "device", "email")]
    values.append(("cust", f"{shop.merchant}\0{person['customer']}"))
    for each in made:
        assert set(each.tokens(values)).isdisjoint(hers.values())
    assert [can_be_tried(deployment, shop, body) for body in sent[:2]] == [False, True]
    bucket = deployment.client("s3").list_object_versions(Bucket=deployment["TokenKeysBucket"])
    assert [each["Key"] for each in bucket["Versions"]] == [f"trees/{made[0].keyring.trees}"]
    assert deployment.features().read(states) == {}
    assert shop.lists() == {others["email"]}

    again, other = shop.pays(payment_of(person)), shop.pays(payment_of(stranger))
    assert set(tokens_of(again).values()).isdisjoint(hers.values())
    assert again["features"]["card_count_7d"] == 0
    assert tokens_of(other) == others
    assert other["features"]["card_count_7d"] == 2

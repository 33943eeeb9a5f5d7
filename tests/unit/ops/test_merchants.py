"""Keys for merchants: shown once, kept as a hash, counted where the API counts."""

from typing import Any

import pytest

from fraud.events import Transaction
from infra.environments import Environment, lookup
from ops.deployment import DeploymentError
from ops.inputs import Row
from ops.merchants import MerchantIdError, add, as_merchant, merchant_of
from runtime.stores.merchants import Credential, MemoryMerchantStore


class Deployment:
    """What onboarding needs of a deployment; API Gateway notes what it is asked for."""

    def __init__(self, environment: str) -> None:
        self.environment: Environment = lookup(environment)
        self.store = MemoryMerchantStore()
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getitem__(self, name: str) -> str:
        return {"UsagePlan": "plan-1"}[name]

    def merchants(self) -> MemoryMerchantStore:
        return self.store

    def client(self, service: str) -> Any:
        assert service == "apigateway"
        return self

    def create_api_key(self, **asked: Any) -> dict[str, str]:
        self.calls.append(("create_api_key", asked))
        return {"id": "key-1"}

    def create_usage_plan_key(self, **asked: Any) -> None:
        self.calls.append(("create_usage_plan_key", asked))


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_a_new_key_opens_its_merchants_door_and_is_stored_nowhere(environment: str) -> None:
    deployment: Any = Deployment(environment)
    key = add(deployment, "shop-1")
    assert merchant_of(deployment, key.secret) == "shop-1"
    secret = key.secret.split("_", 2)[2]
    (stored,) = deployment.store.all()
    assert (stored.key_id, stored.merchant_id, stored.active) == (key.key_id, "shop-1", True)
    assert secret not in repr(stored)
    assert secret not in repr(deployment.calls)


def test_traffic_is_counted_by_a_value_that_opens_nothing() -> None:
    deployment: Any = Deployment("prod")
    key = add(deployment, "shop-1")
    (first, made), (second, joined) = deployment.calls
    assert (first, second) == ("create_api_key", "create_usage_plan_key")
    assert joined == {"usagePlanId": "plan-1", "keyId": "key-1", "keyType": "API_KEY"}
    assert made["value"] == deployment.store.get(key.key_id).usage_key
    with pytest.raises(DeploymentError):
        merchant_of(deployment, made["value"])


def test_where_nothing_counts_no_api_key_is_made() -> None:
    deployment: Any = Deployment("local")
    key = add(deployment, "shop-1")
    assert deployment.calls == []
    assert deployment.store.get(key.key_id).usage_key == ""


def test_a_merchant_may_have_several_keys_and_each_is_new() -> None:
    deployment: Any = Deployment("local")
    keys = [add(deployment, "shop-1") for _ in range(20)]
    assert len({key.secret for key in keys}) == len({key.key_id for key in keys}) == 20
    assert {merchant_of(deployment, key.secret) for key in keys} == {"shop-1"}


def test_what_opens_nothing_is_told_how_to_get_a_key() -> None:
    deployment: Any = Deployment("local")
    key = add(deployment, "shop-1")
    other = add(deployment, "shop-2")
    halves = key.secret.split("_", 2)
    stored: Credential = deployment.store.get(other.key_id)
    retired = Credential("gone", stored.merchant_id, stored.secret_hash, active=False)
    deployment.store.add(retired)
    for wrong in (
        "",
        "pw",
        key.secret[:-1],
        key.secret + "x",
        f"pw_{other.key_id}_{halves[2]}",
        f"pw_gone_{other.secret.split('_', 2)[2]}",
        f"sk_{halves[1]}_{halves[2]}",
    ):
        with pytest.raises(DeploymentError, match="paywarden merchants add"):
            merchant_of(deployment, wrong)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a#b", "shop\n", "[red]", "x" * 65, "é"])
def test_a_name_that_no_merchant_can_have_makes_no_key(name: str) -> None:
    deployment: Any = Deployment("prod")
    with pytest.raises(MerchantIdError, match="letters, digits"):
        add(deployment, name)
    assert deployment.store.all() == []
    assert deployment.calls == []


def test_a_row_is_sent_as_the_merchant_whose_key_is_given() -> None:
    payment = Transaction(
        transaction_id="t", merchant_id="a", event_time=1, amount=2, currency="EUR", card="c", customer="u"
    )
    row = Row(payment, is_fraud=True, known_at=5, kind="chargeback")
    changed = as_merchant(row, "b")
    assert changed.transaction.event_id == "b/t"
    assert changed.label is not None
    assert changed.label.transaction.merchant_id == "b"
    assert row.transaction.merchant_id == "a"

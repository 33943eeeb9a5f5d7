"""The life of merchants' keys: shown once, kept as a hash, rotated without a gap, ended for certain."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fraud.events import Transaction
from fraud.windows import DAY, HOUR
from infra.environment import Environment
from infra.environments import lookup
from ops.deployment import DeploymentError
from ops.inputs import Row
from ops.merchants import (
    MerchantError,
    MerchantIdError,
    NewKey,
    add,
    as_merchant,
    disable,
    enable,
    join,
    merchant_of,
    move,
    rotate,
)
from ops.merchants.usage import SETTLES
from runtime.keys import KeyHash
from runtime.stores.merchants import Account, Credential, MemoryMerchantStore
from tests.unit.ops.gateway import Gateway

NOW = 1_767_000_000_000
RESOURCES = {"UsagePlanStandard": "plan-s", "UsagePlanHigh": "plan-h", "ApiId": "api", "ApiStage": "live"}


class Deployment:
    """What the commands need of a deployment."""

    def __init__(self, environment: str) -> None:
        self.environment: Environment = lookup(environment)
        self.store = MemoryMerchantStore()
        self.gateway = Gateway()
        self.gateway.now = NOW

    def __getitem__(self, name: str) -> str:
        return RESOURCES[name]

    def merchants(self) -> MemoryMerchantStore:
        return self.store

    def key_hash(self) -> KeyHash:
        return KeyHash(b"p" * 32)

    def client(self, service: str) -> Any:
        assert service == "apigateway"
        return self.gateway.client()


@pytest.fixture
def prod() -> Any:
    return Deployment("prod")


@pytest.fixture
def local() -> Any:
    return Deployment("local")


def admitted(deployment: Any, key: NewKey, *, at: int) -> bool:
    try:
        return merchant_of(deployment, key.secret, at=at) == key.merchant_id
    except DeploymentError:
        return False


def counted(deployment: Any, merchant_id: str) -> str:
    """The id of the API key that a merchant's traffic is counted by."""
    value = deployment.store.account(merchant_id).usage_key
    (found,) = (key["id"] for key in deployment.gateway.keys.values() if key["value"] == value)
    return str(found)


def moved(deployment: Any, plan: str, *, at: int) -> Account:
    """The account of shop-1 once API Gateway had the time to learn of its API key in the plan."""
    for deployment.gateway.now in (at, at + SETTLES - 1):
        with pytest.raises(MerchantError, match="Run this again in 30 minutes"):
            move(deployment, "shop-1", plan, at=deployment.gateway.now)
    return move(deployment, "shop-1", plan, at=at + SETTLES).account


def account(deployment: Any) -> Account:
    found: Account = deployment.store.account("shop-1")
    return found


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_a_new_key_opens_its_merchants_door_and_is_stored_nowhere(environment: str) -> None:
    deployment: Any = Deployment(environment)
    key = add(deployment, "shop-1", at=NOW)
    assert merchant_of(deployment, key.secret, at=NOW) == "shop-1"
    secret = key.secret.split("_", 2)[2]
    assert len(secret) == 43
    (stored,) = account(deployment).keys
    assert (stored.key_id, stored.merchant_id, stored.created_at) == (key.key_id, "shop-1", NOW)
    assert secret not in repr(stored)
    assert secret not in repr(deployment.gateway.keys)


def test_a_merchant_is_added_once(prod: Any) -> None:
    key = add(prod, "shop-1", at=NOW)
    with pytest.raises(MerchantError, match="paywarden merchants rotate shop-1"):
        add(prod, "shop-1", at=NOW + 1)
    assert admitted(prod, key, at=NOW + 1)
    assert len(account(prod).keys) == len(prod.gateway.keys) == 1


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a#b", "shop\n", "[red]", "x" * 65, "é"])
def test_a_name_that_no_merchant_can_have_makes_no_key(prod: Any, name: str) -> None:
    with pytest.raises(MerchantIdError, match="letters, digits"):
        add(prod, name, at=NOW)
    assert prod.store.accounts() == []
    assert prod.gateway.keys == {}


def test_an_unknown_plan_makes_no_merchant(prod: Any) -> None:
    with pytest.raises(MerchantError, match="give one of: standard, high"):
        add(prod, "shop-1", at=NOW, plan="gold")
    assert prod.store.accounts() == []
    assert prod.gateway.keys == {}


def test_what_opens_nothing_is_told_how_to_get_a_key(local: Any) -> None:
    key, other = add(local, "shop-1", at=NOW), add(local, "shop-2", at=NOW)
    halves = key.secret.split("_", 2)
    for wrong in ("", "pw", key.secret[:-1], key.secret + "x", f"pw_{other.key_id}_{halves[2]}"):
        with pytest.raises(DeploymentError, match="paywarden merchants add"):
            merchant_of(local, wrong, at=NOW)


def test_traffic_is_counted_by_a_value_that_opens_nothing_and_that_both_keys_share(prod: Any) -> None:
    first = add(prod, "shop-1", at=NOW)
    rotate(prod, "shop-1", at=NOW + 1, grace=DAY)
    ((key_id, api_key),) = prod.gateway.keys.items()
    assert prod.gateway.plans == {"plan-s": {key_id}}
    assert {key.usage_key for key in account(prod).keys} == {api_key["value"], account(prod).usage_key}
    assert api_key["value"] not in first.secret
    with pytest.raises(DeploymentError):
        merchant_of(prod, api_key["value"], at=NOW)


def test_where_nothing_counts_no_api_key_is_made(local: Any) -> None:
    add(local, "shop-1", at=NOW, plan="high")
    move(local, "shop-1", "standard", at=NOW)
    disable(local, "shop-1", at=NOW + 1)
    enable(local, "shop-1", at=NOW + 2)
    assert local.gateway.keys == {}
    assert account(local).keys[0].usage_key == ""


@pytest.mark.parametrize("fails", ["CreateApiKey", "GetUsagePlanKey", "CreateUsagePlanKey"])
def test_a_second_run_mends_what_a_first_one_left(prod: Any, fails: str) -> None:
    prod.gateway.failing = {fails}
    with pytest.raises(ClientError):
        add(prod, "shop-1", at=NOW)
    assert prod.store.accounts() == []
    prod.gateway.failing = set()
    key = add(prod, "shop-1", at=NOW)
    assert admitted(prod, key, at=NOW)
    (api_key,) = prod.gateway.keys.values()
    assert prod.gateway.plans == {"plan-s": {api_key["id"]}}
    assert account(prod).usage_key == api_key["value"]


def test_a_merchant_whose_name_begins_like_anothers_is_counted_apart(prod: Any) -> None:
    add(prod, "shop-1-standard", at=NOW)
    add(prod, "shop-1", at=NOW)
    assert len({key["value"] for key in prod.gateway.keys.values()}) == 2
    disable(prod, "shop-1", at=NOW)
    assert [key["enabled"] for key in prod.gateway.keys.values()] == [True, False]


def test_a_rotation_leaves_no_moment_without_a_key(prod: Any) -> None:
    older = add(prod, "shop-1", at=NOW)
    newer = rotate(prod, "shop-1", at=NOW + HOUR, grace=DAY)
    end = NOW + HOUR + DAY
    assert [admitted(prod, older, at=at) for at in (NOW + HOUR, end - 1, end)] == [True, True, False]
    assert admitted(prod, newer, at=NOW + HOUR)
    assert admitted(prod, newer, at=end + 365 * DAY)
    assert prod.gateway.flushed == [], "nothing was ended yet"


def test_a_third_live_key_is_refused_with_the_remedy(prod: Any) -> None:
    older = add(prod, "shop-1", at=NOW)
    newer = rotate(prod, "shop-1", at=NOW, grace=DAY)
    with pytest.raises(MerchantError, match=f"merchants disable shop-1 --key {older.key_id}") as refused:
        rotate(prod, "shop-1", at=NOW + 1, grace=DAY)
    assert newer.key_id in str(refused.value)
    assert len(account(prod).keys) == 2
    disable(prod, "shop-1", at=NOW + 2, key_id=older.key_id)
    assert admitted(prod, rotate(prod, "shop-1", at=NOW + 3, grace=DAY), at=NOW + 3)
    assert admitted(prod, newer, at=NOW + 3)
    third = rotate(prod, "shop-1", at=NOW + 4 + DAY, grace=DAY)
    assert admitted(prod, third, at=NOW + 4 + DAY), "the graces before are over"


def test_a_rotation_for_now_ends_every_older_key(prod: Any) -> None:
    keys = [add(prod, "shop-1", at=NOW), rotate(prod, "shop-1", at=NOW, grace=DAY)]
    newest = rotate(prod, "shop-1", at=NOW + 5, grace=0)
    assert [admitted(prod, key, at=NOW + 5) for key in (*keys, newest)] == [False, False, True]
    assert prod.gateway.flushed == [("api", "live")]


def test_who_is_late_gets_a_longer_grace_with_another_new_key(prod: Any) -> None:
    older = add(prod, "shop-1", at=NOW)
    newer = rotate(prod, "shop-1", at=NOW, grace=HOUR)
    disable(prod, "shop-1", at=NOW + 1, key_id=newer.key_id)
    newest = rotate(prod, "shop-1", at=NOW + 2, grace=DAY)
    end = NOW + 2 + DAY
    assert [admitted(prod, older, at=at) for at in (end - 1, end)] == [True, False]
    assert [admitted(prod, key, at=end) for key in (newer, newest)] == [False, True]


def test_a_disabled_merchant_is_out_and_comes_back_with_the_same_keys(prod: Any) -> None:
    keys = [add(prod, "shop-1", at=NOW), rotate(prod, "shop-1", at=NOW, grace=DAY)]
    assert disable(prod, "shop-1", at=NOW + 1).changed
    assert [admitted(prod, key, at=NOW + 2) for key in keys] == [False, False]
    assert [key["enabled"] for key in prod.gateway.keys.values()] == [False]
    assert prod.gateway.flushed == [("api", "live")]
    with pytest.raises(MerchantError, match="merchants enable shop-1"):
        rotate(prod, "shop-1", at=NOW + 3, grace=0)
    assert enable(prod, "shop-1", at=NOW + 4).changed
    assert [admitted(prod, key, at=NOW + 5) for key in keys] == [True, True]
    assert not admitted(prod, keys[0], at=NOW + DAY), "its grace went on"
    assert [key["enabled"] for key in prod.gateway.keys.values()] == [True]


def test_repeating_a_command_changes_nothing_and_mends_what_failed(prod: Any) -> None:
    add(prod, "shop-1", at=NOW)
    prod.gateway.failing = {"UpdateApiKey"}
    with pytest.raises(ClientError):
        disable(prod, "shop-1", at=NOW + 1)
    assert account(prod).live_keys(NOW + 1) == (), "the keys are ended first"
    prod.gateway.failing = set()
    before = account(prod)
    assert not disable(prod, "shop-1", at=NOW + 2).changed
    assert account(prod) == before
    assert [key["enabled"] for key in prod.gateway.keys.values()] == [False]
    assert prod.gateway.flushed == [("api", "live")]
    assert enable(prod, "shop-1", at=NOW + 3).changed
    assert not enable(prod, "shop-1", at=NOW + 4).changed
    assert moved(prod, "high", at=NOW + 5).plan == "high"
    assert not move(prod, "shop-1", "high", at=NOW + HOUR).changed


def test_a_key_that_was_disabled_alone_does_not_come_back_with_its_merchant(prod: Any) -> None:
    leaked = add(prod, "shop-1", at=NOW)
    good = rotate(prod, "shop-1", at=NOW, grace=DAY)
    disable(prod, "shop-1", at=NOW + 1, key_id=leaked.key_id)
    disable(prod, "shop-1", at=NOW + 2)
    enable(prod, "shop-1", at=NOW + 3)
    assert [admitted(prod, key, at=NOW + 4) for key in (leaked, good)] == [False, True]
    assert enable(prod, "shop-1", at=NOW + 5, key_id=leaked.key_id).changed
    assert admitted(prod, leaked, at=NOW + 6)


def test_a_key_that_is_named_while_its_merchant_is_disabled_stays_ended_too(prod: Any) -> None:
    leaked = add(prod, "shop-1", at=NOW)
    disable(prod, "shop-1", at=NOW + 1)
    assert disable(prod, "shop-1", at=NOW + 2, key_id=leaked.key_id).changed
    enable(prod, "shop-1", at=NOW + 3)
    assert not admitted(prod, leaked, at=NOW + 4)


def test_enabling_brings_back_no_third_key_and_none_whose_time_is_over(prod: Any) -> None:
    first = add(prod, "shop-1", at=NOW)
    disable(prod, "shop-1", at=NOW + 1, key_id=first.key_id)
    second = rotate(prod, "shop-1", at=NOW + 2, grace=DAY)
    rotate(prod, "shop-1", at=NOW + 3, grace=DAY)
    with pytest.raises(MerchantError, match="more than 2 live keys"):
        enable(prod, "shop-1", at=NOW + 4, key_id=first.key_id)
    later = NOW + 3 + DAY
    with pytest.raises(MerchantError, match="has expired"):
        enable(prod, "shop-1", at=later, key_id=second.key_id)
    assert enable(prod, "shop-1", at=later, key_id=first.key_id).changed


def test_a_merchant_moves_between_plans_without_a_moment_in_none(prod: Any) -> None:
    add(prod, "shop-1", at=NOW)
    newer = rotate(prod, "shop-1", at=NOW, grace=DAY)
    before = account(prod).usage_key
    after = moved(prod, "high", at=NOW + 1)
    assert after == account(prod)
    assert {(key.plan, key.usage_key) for key in after.keys} == {("high", after.usage_key)}
    assert after.usage_key != before
    # What API Gateway still keeps names the API key of before: it goes on counting.
    by_value = {key["value"]: key for key in prod.gateway.keys.values()}
    assert by_value[before]["enabled"]
    assert by_value[before]["id"] in prod.gateway.plans["plan-s"]
    assert by_value[after.usage_key]["id"] in prod.gateway.plans["plan-h"]
    assert admitted(prod, newer, at=NOW + 2)
    move(prod, "shop-1", "standard", at=NOW + HOUR)
    assert account(prod).usage_key == before
    assert len(prod.gateway.keys) == 2


def test_nobody_is_moved_to_an_api_key_that_api_gateway_may_refuse(prod: Any) -> None:
    add(prod, "shop-1", at=NOW)
    before, soon = account(prod), NOW + SETTLES - 1
    for at in (NOW, soon):
        with pytest.raises(MerchantError, match="stays in the plan standard for now"):
            move(prod, "shop-1", "high", at=at)
    assert account(prod) == before
    assert prod.gateway.flushed == []
    assert {len(keys) for keys in prod.gateway.plans.values()} == {1}, "it is being learned already"
    # Whatever else makes an old one fresh.
    (_, api_key) = prod.gateway.keys.values()
    api_key["enabled"] = False
    moved(prod, "high", at=NOW + HOUR)
    move(prod, "shop-1", "standard", at=NOW + 2 * HOUR)
    # The API was made anew: the second run finds the API key in its plan, and old but for what the first one did.
    prod.gateway.plans["plan-h"].clear()
    moved(prod, "high", at=NOW + 3 * HOUR)


def test_who_is_refused_anyhow_is_moved_at_once(prod: Any) -> None:
    key = add(prod, "shop-1", at=NOW)
    disable(prod, "shop-1", at=NOW, key_id=key.key_id)
    assert move(prod, "shop-1", "high", at=NOW).changed
    enable(prod, "shop-1", at=NOW, key_id=key.key_id)
    # Somebody deleted its API key: each minute is one without payments.
    prod.gateway.keys.clear()
    prod.gateway.plans.clear()
    assert move(prod, "shop-1", "high", at=NOW).changed
    assert counted(prod, "shop-1") in prod.gateway.plans["plan-h"]


def test_a_move_does_not_let_a_disabled_merchant_in(prod: Any) -> None:
    key = add(prod, "shop-1", at=NOW)
    disable(prod, "shop-1", at=NOW + 1)
    move(prod, "shop-1", "high", at=NOW + 2)
    assert not admitted(prod, key, at=NOW + 3)
    assert {each["enabled"] for each in prod.gateway.keys.values()} == {False}


def test_all_merchants_join_the_plans_of_an_api_that_was_made_anew(prod: Any) -> None:
    for name, plan in (("shop-1", "standard"), ("shop-2", "high"), ("shop-3", "high")):
        add(prod, name, at=NOW, plan=plan)
    disable(prod, "shop-3", at=NOW + 1)
    accounts, before = list(prod.store.accounts()), dict(prod.gateway.plans)
    prod.gateway.plans.clear()
    assert [each.changed for each in join(prod, at=NOW + 2)] == [False, False]
    assert prod.gateway.plans == {"plan-s": before["plan-s"], "plan-h": {counted(prod, "shop-2")}}
    enable(prod, "shop-3", at=NOW + 3)
    assert prod.gateway.plans == before
    join(prod, at=NOW + 4)
    assert prod.gateway.plans == before
    assert list(prod.store.accounts())[:2] == accounts[:2]


def test_a_merchant_that_cannot_join_is_named_and_holds_up_no_other(prod: Any) -> None:
    for name in ("shop-1", "shop-2", "shop-3"):
        add(prod, name, at=NOW)
    gone = replace(prod.store.account("shop-2"), plan="gone", version=2)
    prod.store.save(gone, action="move")
    prod.gateway.plans.clear()
    with pytest.raises(MerchantError, match=r"2 merchants are in their plans, and 1 are not: shop-2: .*'gone'"):
        join(prod, at=NOW + 1)
    assert prod.gateway.plans == {"plan-s": {counted(prod, "shop-1"), counted(prod, "shop-3")}}
    assert len(prod.gateway.flushed) == 1


def test_a_move_while_others_join_is_not_undone(prod: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add(prod, "shop-1", at=NOW, plan="high")
    add(prod, "shop-2", at=NOW)
    before = prod.store.accounts()
    moved(prod, "standard", at=NOW + HOUR)
    monkeypatch.setattr(prod.store, "accounts", lambda: before)
    assert [each.account.plan for each in join(prod, at=NOW + 2 * HOUR)] == ["standard", "standard"]


def test_answers_that_could_not_be_dropped_are_told_and_are_no_failure(prod: Any) -> None:
    key = add(prod, "shop-1", at=NOW)
    prod.gateway.failing = {"FlushStageAuthorizersCache"}
    change = disable(prod, "shop-1", at=NOW + 1)
    assert "FlushStageAuthorizersCache" in change.kept_answers
    assert not admitted(prod, key, at=NOW + 1)


@pytest.mark.parametrize(
    "command",
    [
        lambda deployment: rotate(deployment, "shop-9", at=NOW, grace=DAY),
        lambda deployment: disable(deployment, "shop-9", at=NOW),
        lambda deployment: enable(deployment, "shop-9", at=NOW),
        lambda deployment: move(deployment, "shop-9", "high", at=NOW),
    ],
)
def test_a_merchant_that_there_is_not_is_told(prod: Any, command: Any) -> None:
    with pytest.raises(MerchantError, match=r"no merchant 'shop-9'.*merchants list"):
        command(prod)
    assert prod.gateway.keys == {}


def test_a_key_that_the_merchant_has_not_is_told_without_repeating_it(prod: Any) -> None:
    key, other = add(prod, "shop-1", at=NOW), add(prod, "shop-2", at=NOW)
    for given in (key.secret, other.key_id):
        with pytest.raises(MerchantError, match=f"--key: .* give one of: {key.key_id}$") as refused:
            disable(prod, "shop-1", at=NOW, key_id=given)
        assert given not in str(refused.value)
    assert admitted(prod, other, at=NOW)


def test_of_two_commands_at_once_one_is_told_to_look_again(prod: Any) -> None:
    class Racing(MemoryMerchantStore):
        """Somebody else is quicker by a moment."""

        def save(self, account: Account, *changed: Credential, action: str = "change") -> None:
            quicker = replace(account, keys=account.keys[:1], plan="high")
            super().save(quicker)
            super().save(account, *changed, action=action)

    key = add(prod, "shop-1", at=NOW)
    store = Racing()
    MemoryMerchantStore.save(store, prod.store.account("shop-1"), *prod.store.account("shop-1").keys)
    prod.store = store
    with pytest.raises(MerchantError, match="look, and try again"):
        rotate(prod, "shop-1", at=NOW, grace=DAY)
    assert [each.key_id for each in account(prod).keys] == [key.key_id]


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

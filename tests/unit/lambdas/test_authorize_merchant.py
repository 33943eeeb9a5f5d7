"""Who is let in, and what for."""

import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from runtime.keys import KeyHash, written_key
from runtime.stores.merchants import Account, Credential, MemoryMerchantStore
from tests.unit.lambdas.support import ENVIRONMENT, REGION, Context, lambda_event

PEPPER = "a pepper for the tests, 32 bytes or more"
NOW = 1_767_000_000_000
SECRETS = {name: (name * 43)[:43] for name in ("plain", "counted", "other")}
IDS = {"plain": "00000000000a", "counted": "00000000000b", "other": "00000000000c"}


def credential(name: str, merchant_id: str = "acme") -> Credential:
    secret_hash = KeyHash(PEPPER.encode()).of(IDS[name], SECRETS[name])
    return Credential(IDS[name], merchant_id, secret_hash, plan="standard", created_at=NOW - 1_000)


def key(name: str, *, other_half: str = "") -> str:
    return written_key(IDS[name], SECRETS[other_half or name])


@pytest.fixture
def function(load: Any, aws: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    del aws
    secrets = boto3.client("secretsmanager", region_name=REGION)
    secrets.create_secret(Name=ENVIRONMENT["KEY_SECRET"], SecretString=PEPPER)
    module: ModuleType = load("authorize_merchant")
    monkeypatch.setattr(module, "store", MemoryMerchantStore())
    monkeypatch.setattr(module, "now", lambda: NOW)
    onboard(
        module, "acme", credential("plain"), replace(credential("counted"), usage_key="a usage key", plan="high")
    )
    onboard(module, "rival", credential("other", "rival"))
    return module


def onboard(function: ModuleType, merchant_id: str, *keys: Credential) -> None:
    function.store.save(Account(merchant_id, "standard", "", NOW, NOW, keys=keys), *keys)


def change(function: ModuleType, changed: Credential) -> None:
    account = function.store.account(changed.merchant_id)
    function.store.save(replace(account, version=account.version + 1), changed)


def call(
    function: ModuleType, headers: dict[str, str] | None, *, path: str = "POST/v1/decisions"
) -> dict[str, Any]:
    event = lambda_event("authorizer_request")
    event["headers"] = headers
    event["methodArn"] = f"arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/live/{path}"
    answer: dict[str, Any] = function.handler(event, Context())
    return answer


def refused(function: ModuleType, headers: dict[str, str] | None) -> bool:
    # API Gateway answers 401 for exactly this message and 500 for any other failure.
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        call(function, headers)
    return True


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key(name)}"}


def test_a_live_key_is_its_merchants(function: ModuleType) -> None:
    answer = call(function, bearer("plain"))
    assert answer["principalId"] == "acme"
    assert answer["context"] == {"merchant_id": "acme", "key_id": IDS["plain"], "plan": "standard"}


@pytest.mark.parametrize("path", ["POST/v1/decisions", "POST/v1/labels"])
def test_the_policy_covers_the_whole_stage_because_it_is_cached(function: ModuleType, path: str) -> None:
    assert call(function, bearer("plain"), path=path)["policyDocument"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Action": "execute-api:Invoke",
                "Effect": "Allow",
                "Resource": "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/live/*/*",
            }
        ],
    }


def test_traffic_is_counted_only_where_a_usage_key_is_stored(function: ModuleType) -> None:
    assert "usageIdentifierKey" not in call(function, bearer("plain"))
    counted = call(function, bearer("counted"))
    assert counted["usageIdentifierKey"] == "a usage key"
    assert counted["context"]["plan"] == "high"


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "Authorization"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("gap", [" ", "  "])
def test_case_and_spacing_do_not_matter(function: ModuleType, name: str, scheme: str, gap: str) -> None:
    assert call(function, {name: f"{scheme}{gap}{key('plain')}"})["principalId"] == "acme"


@pytest.mark.parametrize(
    "changes",
    [{"disabled_at": NOW - 1}, {"expires_at": NOW}, {"expires_at": NOW - 86_400_000}],
    ids=["disabled", "its grace is over now", "its grace is long over"],
)
def test_a_key_that_was_ended_is_unauthorized(function: ModuleType, changes: dict[str, Any]) -> None:
    change(function, replace(credential("plain"), **changes))
    assert refused(function, bearer("plain"))
    assert call(function, bearer("counted"))["principalId"] == "acme"


def test_both_keys_are_live_until_the_grace_of_the_older_is_over(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(function, replace(credential("plain"), expires_at=NOW + 1))
    assert call(function, bearer("plain"))["principalId"] == "acme"
    assert call(function, bearer("counted"))["principalId"] == "acme"
    monkeypatch.setattr(function, "now", lambda: NOW + 1)
    assert refused(function, bearer("plain"))
    assert call(function, bearer("counted"))["principalId"] == "acme"


PLAIN = key("plain")


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {key('plain', other_half='other')}",
        f"Bearer {key('plain', other_half='counted')}",
        f"Bearer {key('other', other_half='plain')}",
        f"Bearer {written_key('00000000000f', SECRETS['plain'])}",
        f"Bearer {PLAIN}x",
        f"Bearer {PLAIN[:-1]}",
        f"Bearer {PLAIN.upper()}",
        f"Bearer {PLAIN} {PLAIN}",
        f"Bearer {PLAIN},Bearer {PLAIN}",
        f"Bearer\t{PLAIN}",
        f"Bearer\u00a0{PLAIN}",
        f"Bearer {PLAIN}\n",
        f"Bearer {PLAIN[:-1]}\u0455",
        f"Bearer pw_{IDS['plain']}_{KeyHash(PEPPER.encode()).of(IDS['plain'], SECRETS['plain'])}",
        f"Bearer pw_merchant#acme_{SECRETS['plain']}",
        f"Basic {PLAIN}",
        PLAIN,
        "Bearer pw__",
        "Bearer",
        "Bearer ",
        "",
        "Bearer \u00e9\u00e8",
        "Bearer " + "_" * 5_000,
        f"Bearer pw_{'a' * 3_000}_{SECRETS['plain']}",
        f"Bearer {PLAIN}{'a' * 10_000}",
    ],
)
def test_any_other_value_is_unauthorized(function: ModuleType, value: str) -> None:
    assert refused(function, {"Authorization": value})


@pytest.mark.parametrize("headers", [None, {}, {"X-Api-Key": f"Bearer {PLAIN}"}, {"X-Api-Key": "a usage key"}])
def test_no_header_is_unauthorized(function: ModuleType, headers: dict[str, str] | None) -> None:
    assert refused(function, headers)


def test_what_is_no_key_is_refused_before_the_table_is_asked(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DynamoDB refuses keys of more than 2,048 bytes with an error, which would be a 500 instead of a 401.
    class Strict(MemoryMerchantStore):
        def get(self, key_id: str) -> Credential | None:
            raise AssertionError(f"the table was asked for {key_id}")

    monkeypatch.setattr(function, "store", Strict())
    assert refused(function, {"Authorization": f"Bearer pw_{'a' * 3_000}_{SECRETS['plain']}"})


class Down(MemoryMerchantStore):
    """A table that does not answer."""

    def get(self, key_id: str) -> Credential | None:
        del key_id
        raise ConnectionError("no table")


def failures(capsys: pytest.CaptureFixture[str]) -> int:
    """How many failures the call put into the metrics."""
    told = capsys.readouterr().out
    return int(sum(json.loads(told)["AuthorizerFailed"])) if told else 0


def test_a_failure_is_counted_and_told_to_api_gateway_as_one(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(function, "store", Down())
    with pytest.raises(ConnectionError, match="no table"):
        call(function, bearer("plain"))
    assert failures(capsys) == 1


def test_a_secret_that_cannot_be_read_is_a_failure_and_tried_again(
    load: Any, aws: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del aws
    function: ModuleType = load("authorize_merchant")
    monkeypatch.setattr(function, "store", MemoryMerchantStore())
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        call(function, bearer("plain"))
    assert failures(capsys) == 1
    secrets = boto3.client("secretsmanager", region_name=REGION)
    secrets.create_secret(Name=ENVIRONMENT["KEY_SECRET"], SecretString=PEPPER)
    assert refused(function, bearer("plain"))
    secrets.delete_secret(SecretId=ENVIRONMENT["KEY_SECRET"], ForceDeleteWithoutRecovery=True)
    assert refused(function, bearer("plain"))
    assert failures(capsys) == 0


def test_strangers_and_merchants_are_not_counted_as_failures(
    function: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(function, {"Authorization": "Bearer pw_wrong"})
    assert call(function, bearer("plain"))["principalId"] == "acme"
    assert failures(capsys) == 0

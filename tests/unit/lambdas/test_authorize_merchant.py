"""Who is let in, and what for."""

from types import ModuleType
from typing import Any

import pytest

from runtime.stores.merchants import Credential, MemoryMerchantStore, secret_hash
from tests.unit.lambdas.support import Context, lambda_event

SECRET = "w0rd_with_underscores-and.dots"  # noqa: S105 - opens nothing


def credential(key_id: str, *, active: bool = True, usage_key: str = "") -> Credential:
    return Credential(
        key_id=key_id, merchant_id="acme", secret_hash=secret_hash(SECRET), active=active, usage_key=usage_key
    )


@pytest.fixture
def function(load: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = load("authorize_merchant")
    store = MemoryMerchantStore()
    store.add(credential("plain"))
    store.add(credential("counted", usage_key="a usage key"))
    store.add(credential("retired", active=False))
    monkeypatch.setattr(module, "store", store)
    return module


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


def test_a_valid_key_is_its_merchants(function: ModuleType) -> None:
    answer = call(function, {"Authorization": f"Bearer pw_plain_{SECRET}"})
    assert answer["principalId"] == "acme"
    assert answer["context"] == {"merchant_id": "acme", "key_id": "plain"}


@pytest.mark.parametrize("path", ["POST/v1/decisions", "POST/v1/labels"])
def test_the_policy_covers_the_whole_stage_because_it_is_cached(function: ModuleType, path: str) -> None:
    answer = call(function, {"Authorization": f"Bearer pw_plain_{SECRET}"}, path=path)
    assert answer["policyDocument"] == {
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
    assert "usageIdentifierKey" not in call(function, {"Authorization": f"Bearer pw_plain_{SECRET}"})
    counted = call(function, {"Authorization": f"Bearer pw_counted_{SECRET}"})
    assert counted["usageIdentifierKey"] == "a usage key"


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "Authorization"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_case_of_the_header_and_its_scheme_do_not_matter(function: ModuleType, name: str, scheme: str) -> None:
    assert call(function, {name: f"{scheme} pw_plain_{SECRET}"})["principalId"] == "acme"


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer pw_plain_{SECRET}x",
        f"Bearer pw_plain_{SECRET[:-1]}",
        f"Bearer pw_plain_{SECRET.upper()}",
        f"Bearer pw_unknown_{SECRET}",
        f"Bearer pw_retired_{SECRET}",
        f"Basic pw_plain_{SECRET}",
        f"pw_plain_{SECRET}",
        "Bearer pw_plain_",
        "Bearer pw_plain",
        f"Bearer pw__{SECRET}",
        f"Bearer xx_plain_{SECRET}",
        "Bearer",
        "Bearer ",
        "",
        "Bearer \u00e9\u00e8",
        "Bearer pw_plain_\u00e9",
        f"Bearer pw_plain_{secret_hash(SECRET)}",
        "Bearer " + "_" * 5_000,
    ],
)
def test_any_other_value_is_unauthorized(function: ModuleType, value: str) -> None:
    assert refused(function, {"Authorization": value})


@pytest.mark.parametrize("headers", [None, {}, {"X-Api-Key": f"Bearer pw_plain_{SECRET}"}])
def test_no_header_is_unauthorized(function: ModuleType, headers: dict[str, str] | None) -> None:
    assert refused(function, headers)


def test_a_key_id_longer_than_any_key_is_refused_before_the_table_is_asked(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DynamoDB refuses keys of more than 2,048 bytes with an error, which would be a 500 instead of a 401.
    class Strict(MemoryMerchantStore):
        def get(self, key_id: str) -> Credential | None:
            assert len(key_id.encode()) <= 2_048
            return super().get(key_id)

    monkeypatch.setattr(function, "store", Strict())
    assert refused(function, {"Authorization": f"Bearer pw_{'a' * 3_000}_{SECRET}"})

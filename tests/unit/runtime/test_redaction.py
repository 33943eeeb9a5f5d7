"""The second line of defence: what reaches the log all the same is taken out of it."""

import io
import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from runtime.redaction import redacted, serialised

CARD = "55" + "0" * 13 + "4"  # as a card scheme publishes it for tests
KEY = "pw_0a1b2c3d4e5f_not-a-secret-of-anybody-just-for-this-test_"
EMAIL = "someone.else@example.org"
PHONE = "+4930123456"
SECRETS = (CARD, KEY, EMAIL, PHONE)


def line(**told: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(serialised(told))
    return found


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", ["*", "refused: *!", '{"a": "*"}', "x=*;", "<*>", "one\n*\ntwo"])
def test_secrets_are_taken_out_of_texts_and_the_rest_stays(secret: str, form: str) -> None:
    before, after = form.split("*")
    told = redacted(form.replace("*", secret))
    assert told.startswith(f"{before}[")
    assert told.endswith(f"]{after}")
    assert secret not in told


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_taken_out_wherever_they_are(secret: str) -> None:
    told = serialised(
        {
            "message": {"deep": [{secret: 1}, (secret,)]},
            "exception": f"Traceback\nValueError: {secret}",
            "keys": {secret},
            "object": ValueError(secret),
            secret: "as a name",
            "field": secret,
        }
    )
    assert secret not in told
    assert json.loads(told)["message"]["deep"][1][0].startswith("[")


def test_card_numbers_are_found_however_they_are_written() -> None:
    spaced = " ".join(CARD[start : start + 4] for start in range(0, 16, 4))
    assert line(message=f"paid with {spaced}", number=int(CARD), exact=float(CARD)) == {
        "message": "paid with [card number]",
        "number": "[card number]",
        "exact": "[card number]",
    }


def test_what_a_header_with_a_key_holds_is_gone() -> None:
    assert line(message="Authorization: Bearer abc.def") == {"message": "Authorization: Bearer [key]"}
    assert line(message=f"Authorization: bearer {KEY}") == {"message": "Authorization: Bearer [key]"}


@pytest.mark.parametrize(
    "value",
    [
        "decided",
        "arn:aws:dynamodb:eu-west-1:123456789012:table/decisions",
        "5d0f2f7e-93f1-4c57-9d2a-0c9c6f1e2a31",
        "2026-11-24 18:18:38,123+0000",
        "a + 12 = b",
        0,
        -3,
        2.5,
        float("inf"),
        1_767_261_600_005,
        None,
        True,
        [],
        {},
        10**30,
    ],
)
def test_what_is_ours_stays_as_it_is(value: object) -> None:
    assert redacted(value) == value


def test_times_of_powertools_own_stay_whatever_their_digits() -> None:
    for second in range(60):
        stamp = f"2026-11-24 23:18:{second:02},123+0000"
        assert line(timestamp=stamp, message="decided")["timestamp"] == stamp


@pytest.mark.parametrize(
    "path",
    ["amount", "card.token", "customer.phone", "decisions[12].card.token", "metadata", "Paywarden-Replay-Time"],
)
def test_fields_of_the_contract_are_named(path: str) -> None:
    assert line(field=path) == {"field": path}


@pytest.mark.parametrize(
    "path", ["jane@example.com", "device-5", "metadata.jane", "Jane", "a b", "x" * 25, 12, ["a"]]
)
def test_what_a_merchant_named_is_not(path: object) -> None:
    assert line(field=path) == {"field": "[name]"}


def test_nothing_nests_so_deep_that_it_is_missed() -> None:
    nested: Any = CARD
    for _ in range(40):
        nested = [nested]
    assert CARD not in serialised({"message": nested})


def test_the_logger_of_every_function_does_it() -> None:
    stream = io.StringIO()
    logger = Logger(service="redaction", stream=stream, json_serializer=serialised)
    logger.append_keys(correlation_id=CARD)
    try:
        raise ValueError(f"no such customer: {EMAIL}")
    except ValueError:
        logger.exception("failed for %s", PHONE, extra={"asked": {"key": KEY}})
    told = stream.getvalue()
    assert not [secret for secret in SECRETS if secret in told]
    found = json.loads(told)
    assert (found["message"], found["asked"], found["correlation_id"]) == (
        "failed for [phone]",
        {"key": "[key]"},
        "[card number]",
    )
    assert "no such customer: [email]" in found["exception"]


def test_the_functions_own_logger_has_it() -> None:
    from runtime.telemetry import logger

    formatter: Any = logger.registered_formatter
    assert formatter.json_serializer is serialised

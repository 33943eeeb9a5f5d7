"""Ids and codes are what they look like: no line break at their end, no digits of another script."""

from typing import Any

import msgspec
import pytest

from runtime.api import REPLAY_HEADER, DecisionRequest, LabelRequest, parse, receipt_time
from runtime.http import Problem


def body(**changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": "t1",
        "amount": 1,
        "currency": "EUR",
        "card": {"token": "tok_1"},
        "customer": {"id": "c1"},
    } | changes


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"transaction_id": "t1\n"}, "transaction_id"),
        ({"transaction_id": "t١"}, "transaction_id"),
        ({"currency": "EUR\n"}, "currency"),
        ({"card": {"token": "t", "bin": "411111\n"}}, "card.bin"),
        ({"card": {"token": "t", "bin": "٤١١١١١"}}, "card.bin"),
        ({"card": {"token": "t", "issuer_country": "FR\n"}}, "card.issuer_country"),
        ({"customer": {"id": "c", "email": "a@example.com\n"}}, "customer.email"),
        ({"billing": {"country": "FR\n"}}, "billing.country"),
        ({"mcc": "5732\n"}, "mcc"),
        ({"mcc": "٥٧٣٢"}, "mcc"),
    ],
)
def test_a_line_break_or_a_digit_of_another_script_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        parse(msgspec.json.encode(body(**changes)), DecisionRequest)
    assert (refused.value.status, refused.value.body["field"]) == (400, field)


def test_the_same_texts_without_them_pass() -> None:
    request = body(
        transaction_id="T_1.a:b-c",
        card={"token": "t", "bin": "41111111", "issuer_country": "FR"},
        customer={"id": "c", "email": "a@example.com"},
        billing={"country": "FR"},
        mcc="5732",
    )
    assert parse(msgspec.json.encode(request), DecisionRequest).mcc == "5732"


def test_the_id_of_a_label_follows_the_same_rule() -> None:
    with pytest.raises(Problem):
        parse(b'{"transaction_id": "t1\\n", "label": "chargeback"}', LabelRequest)


@pytest.mark.parametrize(
    "text", ["", "1700000000000\n", " 1700000000000", "١٧٠٠٠٠٠٠٠٠٠٠٠", "1e12", "-1700000000000"]
)
def test_a_replay_time_is_written_in_plain_digits(text: str) -> None:
    with pytest.raises(Problem) as refused:
        receipt_time({REPLAY_HEADER: text}, 1, replay=True)
    assert refused.value.body["field"] == "Paywarden-Replay-Time"

"""What merchants send is in no log of a deployment: the fixture `deployment` reads them all at the end of the run.

Here are the requests that could make a function tell something, and the proof that its logs can be read at all.
"""

import time
from typing import Any

import pytest

from ops.client import Api
from ops.deployment import Deployment
from tests.e2e.conftest import function_logs
from tests.planted import CARD_NUMBER, CARD_TOKEN, CUSTOMER, DEVICE, EMAIL, IP, KEY, PHONE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def body(transaction_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "amount": 1,
        "currency": "EUR",
        "card": {"token": CARD_TOKEN},
        "customer": {"id": CUSTOMER, "email": EMAIL, "phone": PHONE},
        "device": {"id": DEVICE},
        "ip": IP,
        "metadata": {"note": f"{EMAIL} {PHONE}"},
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"note": " ".join(CARD_NUMBER)}},
        {"metadata": {CARD_NUMBER: EMAIL}},
        {"amount": float(CARD_NUMBER)},
        {"customer": {"id": CUSTOMER, "phone": CARD_NUMBER}},
        {EMAIL: DEVICE},
        {"customer": {"id": CUSTOMER, "email": [EMAIL]}},
        {"device": {"id": DEVICE, DEVICE: DEVICE}},
        {"currency": EMAIL},
        {"channel": CUSTOMER},
    ],
)
def test_a_refused_payment_leaves_no_trace_of_who_paid(api: Api, changes: dict[str, Any]) -> None:
    reply = api.post("aurora", "/v1/decisions", body("t-planted-refused", **changes))
    assert reply.status == 400
    assert CARD_NUMBER not in reply.body.decode()


def test_no_call_leaves_a_trace_of_who_paid(api: Api, deployment: Deployment) -> None:
    assert api.post("aurora", "/v1/decisions", body("t-planted")).status == 200
    assert api.post("aurora", "/v1/decisions", body("t-planted", amount=2)).status == 409
    assert api.post("aurora", f"/v1/decisions/{CARD_NUMBER}/outcome", {"outcome": "declined"}).status == 400
    assert api.post("aurora", "/v1/decisions/t-planted/outcome", {"outcome": EMAIL}).status == 400
    assert api.post("aurora", "/v1/decisions/t-planted/outcome", {"outcome": "declined"}).status == 202
    assert api.post("aurora", "/v1/labels", {"transaction_id": CARD_NUMBER, "label": "chargeback"}).status == 400
    assert api.post("aurora", "/v1/labels", {"transaction_id": "t-planted", "label": "chargeback"}).status == 202
    stranger = Api(deployment.api_url, {"nobody": KEY})
    assert stranger.post("nobody", "/v1/decisions", body("t-planted-stranger")).status in (401, 403)
    stranger.close()
    deadline = time.monotonic() + 60
    wanted = ("decided", "refused", "recorded", "relayed")
    while missing := [
        word for word in wanted if not any(f'"{word}"' in line for _, line in function_logs(deployment))
    ]:
        assert time.monotonic() < deadline, f"no function logged {missing}"
        time.sleep(1)

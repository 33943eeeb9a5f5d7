"""A draft tried on the decisions of a deployed platform: through the lake and back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ops.client import Api
from ops.deployment import Deployment
from ops.lake import query
from ops.merchants import add
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MERCHANT = "past-and-draft"
COUNTS = (
    ("SELECT count(DISTINCT event_id) AS n FROM decisions WHERE merchant_id = 'past-and-draft'", 8),
    ("SELECT count(DISTINCT event_id) AS n FROM labels WHERE merchant_id = 'past-and-draft'", 2),
)
RULES = {
    "rules": [{"id": "abroad", "when": 'issuer_country == "US" && amount >= 2000', "action": "decline"}],
    "mode": "first_match",
}


@pytest.fixture(scope="module")
def merchant(deployment: Deployment) -> Iterator[Api]:
    """A merchant of its own, with eight decisions in the lake, two of them labelled."""
    key = add(deployment, MERCHANT, at=time.time_ns() // 1_000_000).secret
    api = Api(deployment.api_url, {MERCHANT: key}, threads=2)
    for number in range(8):
        card = {"token": f"tok-past-{number}", "issuer_country": "US" if number % 2 else "FR"}
        sent = {"transaction_id": f"p-{number}", "amount": 1_000 * number, "currency": "EUR"}
        reply = api.post(MERCHANT, "/v1/decisions", {**sent, "card": card, "customer": {"id": "c"}})
        assert reply.status == 200, reply.body
    for name, kind in (("p-3", "chargeback"), ("p-5", "confirmed_genuine")):
        assert api.post(MERCHANT, "/v1/labels", {"transaction_id": name, "label": kind}).status == 202

    def all_there() -> bool:
        return all(int(query(deployment, sql)[0]["n"]) >= wanted for sql, wanted in COUNTS)

    until(all_there, within=90, pause=1, what="all rows in the lake")
    yield api
    api.close()


def test_a_draft_is_tried_on_what_was_decided(merchant: Api) -> None:
    reply = merchant.post(MERCHANT, "/v1/rules/backtest", {"rules": RULES})
    assert reply.status == 200, reply.body
    told = reply.json()
    report = told["report"]
    assert (told["found"], told["share"], report["decisions"], report["labelled"]) == (8, 1.0, 8, 2)
    (rule,) = report["rules"]
    matched = rule["matched"]["EUR"]
    assert matched["all"] == {"count": 3, "amount": 15_000}
    assert matched["frauds"] == {"count": 1, "amount": 3_000}
    assert rule["precision"]["value"] == 0.5
    declined = {name for each in report["changes"] if each["to"] == "decline" for name in each["examples"]}
    assert declined == {"p-3", "p-5", "p-7"}


def test_a_draft_that_cannot_be_kept_is_refused_with_its_place(merchant: Api) -> None:
    rule = {**RULES["rules"][0], "when": 'issuer_cuntry == "US"'}
    reply = merchant.post(MERCHANT, "/v1/rules/backtest", {"rules": {"rules": [rule]}})
    assert (reply.status, reply.json()["field"]) == (400, "rules.rules[0].when")


def test_the_command_says_the_same(merchant: Api, deployment: Deployment, tmp_path: Path) -> None:
    draft = tmp_path / "rules.json"
    draft.write_bytes(msgspec.json.encode(RULES))
    told = merchant.post(MERCHANT, "/v1/rules/backtest", {"rules": RULES}).json()
    command = [
        Path(sys.executable).with_name("paywarden"), "backtest-rules", draft, "--merchant", MERCHANT, "--json",
        "--port", str(deployment.port),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout)["report"] == told["report"]

"""One payment that was decided, and its ledger: what a report is about."""

import json

import msgspec

from fraud.events import Transaction
from runtime.stores.decisions import DECISION, MemoryDecisionStore, Record

PAID = 1_767_261_600_000  # 2026-01-01T10:00:00Z
PAYMENT = Transaction(
    transaction_id="order-1001",
    merchant_id="acme",
    event_time=PAID,
    amount=4_999,
    currency="EUR",
    card="card_a",
    customer="cust_a",
    email="mail_a",
    channel="app",
)


def decided() -> MemoryDecisionStore:
    """A ledger with the decision on the payment."""
    store = MemoryDecisionStore()
    row = {
        "event_id": PAYMENT.event_id,
        **msgspec.to_builtins(PAYMENT),
        "decision": "approve",
        "recorded_at": PAID,
    }
    store.put(Record(PAYMENT.event_id, DECISION, "0" * 64, "{}", json.dumps(row)))
    return store

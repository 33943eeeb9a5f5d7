"""Examples of calls: the tests make every request and check every answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EXAMPLES", "Example"]

_CHANGED: Mapping[str, Any] = {"changed_at": "2026-11-02T09:12:44.120000+00:00", "changed_by": "key:3f9a1c0b7e52"}
_PAYMENT: Mapping[str, Any] = {
    "transaction_id": "order-2101",
    "amount": 18990,
    "currency": "EUR",
    "card": {"token": "tok_8dK2vQ", "bin": "400012", "issuer_country": "FR"},
    "customer": {"id": "customer-77", "email": "ana@example.com"},
    "device": {"id": "device-5"},
    "ip": "198.51.100.23",
    "billing": {"country": "FR", "postcode": "75011"},
    "mcc": "5732",
}
_REASON: Mapping[str, Any] = {
    "code": "CARD_VELOCITY",
    "text": "How often this card was used of late",
    "customer_text": "The card was used unusually often",
    "direction": "raises",
}
_DECISION: Mapping[str, Any] = {
    "transaction_id": "order-2101",
    "decision": "challenge",
    "score": 0.37058120334148636,
    "reasons": [_REASON],
    "rules": [],
    "lists": [],
    "signals": {"customer_count_24h": 5.0, "card_merchant_count_24h": 5.0},
    "model": {"name": "paywarden", "version": "manual-20261124-074501"},
    "policy": "1",
    "degraded": False,
    "evaluated_at": 1795506369496,
}
_LABEL: Mapping[str, Any] = {
    "transaction_id": "order-2101",
    "label": "chargeback",
    "known_at": "2026-12-19T08:00:00+00:00",
    "source": "issuer",
    "confidence": 1.0,
}
_OUTCOME: Mapping[str, Any] = {
    "transaction_id": "order-2101",
    "outcome": "authorised",
    "received_at": "2026-11-24T07:46:12.310000+00:00",
}
_RULE: Mapping[str, Any] = {
    "id": "fast-card",
    "when": 'count(card, "1h") > 5 && amount > 20000',
    "action": "review",
    "description": "A card that is used in quick succession",
}
_THRESHOLDS: Mapping[str, Any] = {"challenge": 0.25, "review": 0.55, "decline": 0.9}
_POLICY: Mapping[str, Any] = {
    "own": True,
    "policy": "m3",
    "thresholds": _THRESHOLDS,
    "costs": None,
    "unscored_limit": 5000,
    "most_declined": 0.02,
    "most_reviewed": None,
    "pass_through": None,
}
_VERSIONS: Mapping[str, Any] = {"versions": [{"version": 3, **_CHANGED}], "before": None}
_LIST: Mapping[str, Any] = {
    "name": "known-fraudsters",
    "field": "email",
    "action": "block",
    "enabled": True,
    "description": "Confirmed by the fraud team",
}


def _figures(*totals: tuple[int, int]) -> dict[str, Any]:
    """All payments, the frauds, the genuine and the unknown ones, each with their amounts."""
    return {
        name: {"count": count, "amount": amount}
        for name, (count, amount) in zip(("all", "frauds", "genuine", "unknown"), totals, strict=True)
    }


_BEFORE = _figures((12840, 98204410), (46, 1093300), (4081, 30118020), (8713, 66993090))
_HELD = _figures((31, 871200), (8, 240110), (2, 58900), (21, 572190))
_AFTER = _figures((12809, 97333210), (38, 853190), (4079, 30059120), (8692, 66420900))


@dataclass(frozen=True)
class Example:
    """One call.

    Attributes
    ----------
    path : mapping of str to str
        What the path's parameters are.
    body : object
        What is sent; None without a body.
    answer : object
        What a successful answer looks like.
    """

    answer: Any
    body: Any = None
    path: Mapping[str, str] = field(default_factory=dict)


EXAMPLES: Mapping[str, Example] = {
    "decide": Example(body=_PAYMENT, answer=_DECISION),
    "decide_batch": Example(
        body={
            "decisions": [_PAYMENT, {"transaction_id": "order-2102", "amount": "12", "currency": "EUR"}],
        },
        answer={
            "results": [
                {"status": 200, "decision": _DECISION},
                {
                    "status": 400,
                    "problem": {
                        "type": "/problems/invalid-field",
                        "title": "Invalid field",
                        "status": 400,
                        "detail": "Expected `int`, got `str`.",
                        "field": "amount",
                        "request_id": "a65375b7-e13b-4158-be8e-4af6706098db",
                    },
                },
            ]
        },
    ),
    "read_decision": Example(
        path={"transaction_id": "order-2101"},
        answer={"decision": _DECISION, "reasons": [_REASON], "labels": [_LABEL], "outcomes": [_OUTCOME]},
    ),
    "record_outcome": Example(
        path={"transaction_id": "order-2101"}, body={"outcome": "authorised"}, answer=_OUTCOME
    ),
    "record_label": Example(
        body={"transaction_id": "order-2101", "label": "chargeback", "source": "issuer"},
        answer=_LABEL,
    ),
    "health": Example(
        answer={
            "status": "ok",
            "champion": "manual-20261124-074501",
            "policy": "1",
            "since": 1795506360114,
            "checks": {"model": "ok", "store": "ok"},
        }
    ),
    "read_rules": Example(
        answer={
            "version": 3,
            **_CHANGED,
            "mode": "first_match",
            "rules": [
                {
                    **_RULE,
                    "stage": "before",
                    "priority": 100,
                    "enabled": True,
                    "explained": "the number of payments of the card within 1 hour is above 5 and the amount is "
                    "above 20000",
                    "needs": ["amount", "card_count_1h"],
                }
            ],
        }
    ),
    "backtest_rules": Example(
        body={"rules": {"rules": [_RULE]}, "since": "2026-10-25T00:00:00Z"},
        answer={
            "since": "2026-10-25T00:00:00+00:00",
            "until": "2026-11-24T07:46:12.310000+00:00",
            "found": 12840,
            "share": 1.0,
            "report": {
                "decisions": 12840,
                "changed": 31,
                "labelled": 4127,
                "degraded": 12,
                "degraded_changed": 0,
                "currencies": {
                    "EUR": {"before": {"approve": _BEFORE}, "after": {"approve": _AFTER, "review": _HELD}}
                },
                "changes": [
                    {
                        "from": "approve",
                        "to": "review",
                        "currency": "EUR",
                        "payments": _HELD,
                        "examples": ["order-1744", "order-1802"],
                    }
                ],
                "rules": [
                    {
                        "id": "fast-card",
                        "matched": {"EUR": _HELD},
                        "precision": {"value": 0.8, "low": 0.49, "high": 0.943},
                        "failed": 0,
                    }
                ],
            },
        },
    ),
    "list_rule_versions": Example(answer=_VERSIONS),
    "read_policy": Example(answer={"version": 3, **_CHANGED, **_POLICY}),
    "change_policy": Example(
        body={"thresholds": _THRESHOLDS, "most_declined": 0.02}, answer={"version": 3, **_CHANGED, **_POLICY}
    ),
    "give_up_policy": Example(
        answer={"version": 4, **_CHANGED, **_POLICY, "own": False, "policy": "1", "most_declined": None}
    ),
    "list_policy_versions": Example(answer=_VERSIONS),
    "list_lists": Example(answer={"version": 3, **_CHANGED, "lists": [_LIST]}),
    "read_list": Example(
        path={"name": "known-fraudsters"},
        answer={
            "version": 3,
            **_CHANGED,
            **_LIST,
            "entries": [
                {
                    "value": "mail_0f6c2b7a51d94e08a3c4b6d7e8f90a1b",
                    "expires_at": "2027-11-02T00:00:00+00:00",
                    "note": "case 4411",
                    "added_at": "2026-11-02T09:12:44.120000+00:00",
                    "added_by": "key:3f9a1c0b7e52",
                }
            ],
            "cursor": None,
        },
    ),
    "change_list": Example(
        path={"name": "known-fraudsters"},
        body={"field": "email", "action": "block", "description": "Confirmed by the fraud team"},
        answer={"version": 3, **_CHANGED, **_LIST, "entries": [], "cursor": None},
    ),
    "remove_list": Example(path={"name": "known-fraudsters"}, answer={"version": 4, **_CHANGED, "lists": []}),
    "change_entries": Example(
        path={"name": "known-fraudsters"},
        body={
            "add": [{"value": "mallory@example.com", "expires_at": "2027-11-02T00:00:00Z", "note": "case 4411"}],
            "remove": ["trent@example.com"],
        },
        answer={"added": 1, "removed": 1, "unchanged": 0},
    ),
}
EXAMPLES = {
    **EXAMPLES,
    "change_rules": Example(body={"mode": "first_match", "rules": [_RULE]}, answer=EXAMPLES["read_rules"].answer),
}

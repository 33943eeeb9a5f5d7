"""What the fuzzer is told of the API that a schema cannot say. It loads this in its own environment."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import schemathesis

# Thirteen digits or more may pass the Luhn check by chance, and then a body that the schema allows is refused.
_DIGITS = re.compile(r"\d(?:[\W_]*\d){12,}")
_AHEAD = {
    "occurred_at": timedelta(0),
    "known_at": timedelta(seconds=30),
    "created_at": timedelta(days=-400),
    "expires_at": timedelta(days=30),
    "since": timedelta(days=-3),
    "until": timedelta(0),
}
_CONDITIONS = ("amount > 20000", 'count(card, "1h") > 5', 'currency in ["EUR", "USD"] && score > 0.5', "degraded")
_NUMBERS = count()
_THRESHOLDS = ("challenge", "review", "decline")


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Where a request is to be taken, give it what a schema cannot ask for; see `_adapted`."""
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return
    case.body = _adapted(case.body)
    if case.operation.path == "/v1/decisions" and isinstance(case.body, dict):
        # Most of the fuzzer's payments have the id of the example, and would only ever be told that it is taken.
        number = next(_NUMBERS)
        if number % 4:
            case.body["transaction_id"] = f"payment-{number}"
    for name, value in (case.headers or {}).items():
        # The fuzzer takes the quotes of an ETag for those of a text.
        if name.lower() == "if-match" and not value.startswith('"'):
            case.headers[name] = f'"{value}"'


@schemathesis.hook
def after_call(_context, case, response):
    """Note each answer, for the table at the end."""
    with Path("answers.txt").open("a", encoding="utf-8") as notes:
        notes.write(f"{case.operation.method.upper()} {case.operation.path}\t{response.status_code}\n")


def _adapted(value, name="", place=0):
    """Times near now, conditions that can be read, values once, thresholds in order, no chance card numbers.

    Whole numbers are written as such: to a schema 5.0 is one, but no amount is written like that.
    """
    if isinstance(value, dict):
        told = {key: _adapted(each, key, place) for key, each in value.items()}
        if name == "rules" and "id" in told:
            told["id"] = f"rule-{place}"
        if all(isinstance(told.get(each), int | float) for each in _THRESHOLDS):
            told |= dict(zip(_THRESHOLDS, sorted(told[each] for each in _THRESHOLDS), strict=True))
        if "add" in told or "remove" in told:
            told["add"], told["remove"] = (list(told.get(each, ()))[:20] for each in ("add", "remove"))
        return told
    if isinstance(value, list):
        return [_adapted(each, name, index) for index, each in enumerate(value)]
    if isinstance(value, str):
        if name in _AHEAD:
            return (datetime.now(UTC) + _AHEAD[name]).isoformat()
        if name == "when":
            return _CONDITIONS[len(value) % len(_CONDITIONS)]
        if name in ("value", "remove"):
            return f"{name}-{place}@example.com"
        return _DIGITS.sub("1", value)
    return int(value) if isinstance(value, float) and value.is_integer() else value

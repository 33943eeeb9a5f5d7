"""Taking out of log lines what may never be in them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fraud.cards import without_card_numbers

__all__ = ["redacted", "serialised"]

# Powertools' and Lambda's own: times and names of ours, in which digits stand side by side.
_OURS = frozenset(
    {
        *(
            "level",
            "location",
            "timestamp",
            "service",
            "sampling_rate",
            "cold_start",
            "xray_trace_id",
            "request_id",
        ),
        *("function_name", "function_memory_size", "function_arn", "function_request_id"),
    }
)
_FIELD = "field"
# API Gateway makes ids of requests for those who send none, and some of their digits read as a card number. A
# merchant's own id that does is refused.
_CORRELATION = ("correlation_id", "correlation_ids")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# A word that is in every text that the pattern is in, the pattern, and what to write in its place. Each pattern
# looks a bounded number of characters ahead from where it begins: long lines cost no more than they must.
_PATTERNS = (
    ("bearer", re.compile(r"\bBearer\s+[^\s\"']+", re.IGNORECASE), "Bearer [key]"),
    ("pw_", re.compile(r"\bpw_[0-9A-Za-z]{1,32}_[0-9A-Za-z_-]+"), "[key]"),
    ("@", re.compile(r"[^\s@\"'<>(),;:=!\\]{1,64}@[^\s@\"'<>(),;:=!\\]{1,255}"), "[email]"),
    ("+", re.compile(r"(?<![0-9A-Za-z+])\+[1-9][0-9]{6,14}(?![0-9])"), "[phone]"),
)

# A field's path as our own documents name it; below `metadata` the names are the merchant's.
_NAMED = re.compile(r"(?!metadata[.\[])(?:[a-z_]{1,24}|\[[0-9]{1,3}\])(?:\.[a-z_]{1,24}|\[[0-9]{1,3}\]){0,7}")
_HEADER = re.compile(r"Paywarden-[A-Z][A-Za-z-]{1,32}|If-Match|Content-Type|Content-Encoding")

_MOST_DEEP = 8


def serialised(line: Mapping[str, Any]) -> str:
    """A log line as JSON, without what may not be in it."""
    told = {name if name.isidentifier() else _text(name): _told(name, value) for name, value in line.items()}
    return json.dumps(told, default=_as_text, separators=(",", ":"), ensure_ascii=False)


def _told(name: str, value: Any) -> Any:
    if name in _OURS:
        return value
    if name in _CORRELATION:
        return [_id(each) for each in value] if isinstance(value, list) else _id(value)
    return _field(value) if name == _FIELD else redacted(value)


def _id(value: Any) -> Any:
    return value if isinstance(value, str) and _UUID.fullmatch(value) else redacted(value)


def redacted(value: Any, depth: int = 0) -> Any:
    """The same value, with a note in place of each card number, key, email and telephone number."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        text = str(int(value)) if abs(value) < 1e19 else ""
        # Times in milliseconds have 13 digits that begin with a 1, which no card number does.
        return value if text.startswith("1") or without_card_numbers(text) == text else "[card number]"
    if depth < _MOST_DEEP:
        if isinstance(value, Mapping):
            return {_text(str(name)): redacted(each, depth + 1) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [redacted(each, depth + 1) for each in value]
    return _as_text(value)


def _as_text(value: object) -> str:
    return _text(value if isinstance(value, str) else str(value))


def _text(text: str) -> str:
    small = text.lower()
    for word, pattern, note in _PATTERNS:
        if word in small:
            text = pattern.sub(note, text)
    return without_card_numbers(text)


def _field(value: object) -> object:
    """The path of a field at fault, if it is named as ours are: an unknown field may be named anything."""
    if value is None or (isinstance(value, str) and (_NAMED.fullmatch(value) or _HEADER.fullmatch(value))):
        return value
    return "[name]"

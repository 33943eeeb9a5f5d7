"""How Lambda reads a DynamoDB stream: order, retries, bisection, partial failures, and the way out.

The emulator delivers batches but knows none of the event source mapping's failure settings; what is written
here follows "How Lambda processes records from stream and queue-based event sources" of the Lambda guide.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Attempt", "Mapping", "Outcome", "Progress", "advance"]

Condition = Literal["RetryAttemptsExhausted", "MaxRecordAgeExceeded"]


@dataclass(frozen=True)
class Mapping:
    """Settings of an event source mapping that bear on failures; -1 means without limit, as on AWS."""

    bisect: bool
    partial: bool
    maximum_retries: int = -1
    maximum_age: float = -1

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Mapping":
        """Read the emulator's record of a mapping."""
        return cls(
            bisect=bool(record.get("BisectBatchOnFunctionError")),
            partial="ReportBatchItemFailures" in record.get("FunctionResponseTypes", []),
            maximum_retries=_or_unlimited(record.get("MaximumRetryAttempts")),
            maximum_age=_or_unlimited(record.get("MaximumRecordAgeInSeconds")),
        )


def _or_unlimited(value: Any) -> int:
    return -1 if value is None else int(value)


@dataclass(frozen=True)
class Attempt:
    """What an invocation did: which sequence numbers it reported, or that it raised.

    Attributes
    ----------
    failed
        The function raised, or answered something unreadable.
    reported
        Sequence numbers of ``batchItemFailures``; an empty string among them fails the whole batch.
    """

    failed: bool
    reported: frozenset[str] = frozenset()

    @classmethod
    def of(cls, result: dict[str, Any]) -> "Attempt":
        """Read the emulator's result of an invocation."""
        if result.get("error"):
            return cls(failed=True)
        try:
            body = result.get("body")
            answer = json.loads(body) if isinstance(body, str) and body else body
            failures = (answer or {}).get("batchItemFailures") or []
            return cls(failed=False, reported=frozenset(str(item["itemIdentifier"]) for item in failures))
        except (AttributeError, KeyError, TypeError, ValueError):
            # An identifier that is in no batch: with partial responses it fails the whole batch, as on AWS,
            # and without them the answer does not matter.
            return cls(failed=False, reported=frozenset({""}))


@dataclass
class Progress:
    """Where a mapping stands in its stream between two polls.

    Attributes
    ----------
    limits
        Sizes of the batches to take next, after a bisection; empty means the mapping's own batch size.
    retries
        Failed tries of the batch at the head of the stream.
    """

    limits: list[int] = field(default_factory=list)
    retries: int = 0


@dataclass(frozen=True)
class Outcome:
    """What to do after an invocation.

    Attributes
    ----------
    consumed
        Records at the head of the batch that are done with.
    discarded
        How many of those, at their end, were given up and go to the on-failure destination.
    condition
        Why they were given up.
    """

    consumed: int
    discarded: int = 0
    condition: Condition | None = None


def advance(
    mapping: Mapping, progress: Progress, attempt: Attempt, sequence: Sequence[str], oldest_age: float
) -> Outcome:
    """Decide what follows an invocation, and note in `progress` what the next poll must take.

    Parameters
    ----------
    sequence
        Sequence numbers of the batch, in stream order.
    oldest_age
        Seconds since the first record of the batch was written.
    """
    size = len(sequence)
    good = _checkpoint(mapping, attempt, sequence)
    if good == size:
        progress.retries = 0
        if progress.limits:
            progress.limits.pop(0)
        return Outcome(size)
    rest = size - good
    if good:
        # A checkpoint is progress: what is left is a batch of its own, with its tries ahead of it.
        progress.retries = 0
    gave_up = _gives_up(mapping, progress, oldest_age, bisectable=mapping.bisect and rest > 1)
    if gave_up:
        progress.retries = 0
        if progress.limits:
            progress.limits.pop(0)
        return Outcome(size, rest, gave_up)
    progress.retries += 1
    if progress.limits:
        progress.limits.pop(0)
    if mapping.bisect and rest > 1:
        half = rest // 2
        progress.limits[:0] = [half, rest - half]
        # Bisecting does not spend a retry.
        progress.retries -= 1
    else:
        progress.limits.insert(0, rest)
    return Outcome(good)


def _checkpoint(mapping: Mapping, attempt: Attempt, sequence: Sequence[str]) -> int:
    """Records at the head of the batch that succeeded: those before the lowest reported one."""
    if attempt.failed:
        return 0
    if not mapping.partial or not attempt.reported:
        return len(sequence)
    positions = [index for index, number in enumerate(sequence) if number in attempt.reported]
    # A number that is not of this batch (or none at all) fails the batch, as on AWS.
    return min(positions) if len(positions) == len(attempt.reported) else 0


def _gives_up(mapping: Mapping, progress: Progress, oldest_age: float, *, bisectable: bool) -> Condition | None:
    if 0 <= mapping.maximum_age < oldest_age:
        return "MaxRecordAgeExceeded"
    if not bisectable and 0 <= mapping.maximum_retries <= progress.retries:
        return "RetryAttemptsExhausted"
    return None

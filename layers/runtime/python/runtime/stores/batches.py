"""Reading many items of DynamoDB tables at once."""

import random
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["ThrottledError", "UnprocessedError", "batch_get", "is_throttling"]

_MOST_KEYS = 100
_MOST_ROUNDS = 4
_PAUSE = 0.005
"""Seconds before the second round, at most, and twice as many before each later one: a payment waits for them."""
_THROTTLING = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)


class ThrottledError(RuntimeError):
    """DynamoDB gives no more at the moment: wait longer than for a lost race, then try again."""


class UnprocessedError(ThrottledError):
    """DynamoDB left some keys unread round after round: it is throttling these."""


def is_throttling(error: ClientError) -> bool:
    """Whether an error of DynamoDB says that it was asked too much."""
    return error.response["Error"]["Code"] in _THROTTLING


def batch_get(client: "DynamoDBClient", wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Every item that exists under the given keys, by table and in no order: one call for up to 100 keys.

    Parameters
    ----------
    wanted : mapping of table to what DynamoDB calls KeysAndAttributes
        ``Keys``, each once, and options such as ``ConsistentRead``.

    Raises
    ------
    ThrottledError
        If DynamoDB throttles the call.
    UnprocessedError
        If some keys stay unread while others were read; a partial answer is never passed off as a whole one.
    """
    found: dict[str, list[Any]] = {table: [] for table in wanted}
    for chunk in _chunks(wanted):
        request: Any = chunk
        for tried in range(_MOST_ROUNDS):
            if tried:
                # What DynamoDB left unread because it was asked too much, it leaves again if asked at once.
                time.sleep(random.uniform(0.5, 1.0) * _PAUSE * 2 ** (tried - 1))  # noqa: S311 - spreads retries
            try:
                answer = client.batch_get_item(RequestItems=request)
            except ClientError as error:
                if not is_throttling(error):
                    raise
                # Where none of the keys that are left can be read, DynamoDB says no more than that.
                kind = UnprocessedError if tried else ThrottledError
                raise kind(f"{', '.join(wanted)}: reads are throttled ({error})") from error
            for table, items in answer["Responses"].items():
                found[table] += items
            request = answer.get("UnprocessedKeys")
            if not request:
                break
        else:
            raise UnprocessedError(f"{', '.join(wanted)}: keys stayed unread after {_MOST_ROUNDS} rounds")
    return found


def _chunks(wanted: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same wishes in calls of at most 100 keys."""
    chunk: dict[str, Any] = {}
    room = _MOST_KEYS
    for table, request in wanted.items():
        keys = request["Keys"]
        while keys:
            taken, keys = keys[:room], keys[room:]
            chunk[table] = {**request, "Keys": taken}
            room -= len(taken)
            if not room:
                yield chunk
                chunk, room = {}, _MOST_KEYS
    if chunk:
        yield chunk

"""Reading many items of a DynamoDB table at once."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["UnprocessedError", "batch_get"]

_MOST_KEYS = 100
_MOST_ROUNDS = 4


class UnprocessedError(RuntimeError):
    """DynamoDB left keys unread round after round: it is throttling."""


def batch_get(client: "DynamoDBClient", table: str, keys: list[dict[str, Any]], **options: Any) -> list[Any]:
    """Every item that exists under the given keys, in no order.

    Raises
    ------
    UnprocessedError
        If some keys stay unread; a partial answer is never passed off as a whole one.
    """
    found: list[Any] = []
    for start in range(0, len(keys), _MOST_KEYS):
        request: Any = {table: {"Keys": keys[start : start + _MOST_KEYS], **options}}
        for _ in range(_MOST_ROUNDS):
            answer = client.batch_get_item(RequestItems=request)
            found += answer["Responses"].get(table, [])
            request = answer.get("UnprocessedKeys")
            if not request:
                break
        else:
            raise UnprocessedError(f"table {table}: keys stayed unread after {_MOST_ROUNDS} rounds")
    return found

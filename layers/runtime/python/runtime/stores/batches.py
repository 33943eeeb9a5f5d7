"""Reading many items of a DynamoDB table at once."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["ThrottledError", "UnprocessedError", "batch_get", "is_throttling"]

_MOST_KEYS = 100
_MOST_ROUNDS = 4
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
    """DynamoDB left keys unread round after round: it is throttling."""


def is_throttling(error: ClientError) -> bool:
    """Whether an error of DynamoDB says that it was asked too much."""
    return error.response["Error"]["Code"] in _THROTTLING


def batch_get(client: "DynamoDBClient", table: str, keys: list[dict[str, Any]], **options: Any) -> list[Any]:
    """Every item that exists under the given keys, in no order.

    Raises
    ------
    ThrottledError
        If DynamoDB throttles the call.
    UnprocessedError
        If some keys stay unread; a partial answer is never passed off as a whole one.
    """
    found: list[Any] = []
    for start in range(0, len(keys), _MOST_KEYS):
        request: Any = {table: {"Keys": keys[start : start + _MOST_KEYS], **options}}
        for _ in range(_MOST_ROUNDS):
            try:
                answer = client.batch_get_item(RequestItems=request)
            except ClientError as error:
                if is_throttling(error):
                    raise ThrottledError(f"table {table}: reads are throttled ({error})") from error
                raise
            found += answer["Responses"].get(table, [])
            request = answer.get("UnprocessedKeys")
            if not request:
                break
        else:
            raise UnprocessedError(f"table {table}: keys stayed unread after {_MOST_ROUNDS} rounds")
    return found

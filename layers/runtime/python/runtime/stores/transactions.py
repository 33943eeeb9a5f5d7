"""Writing all or nothing, and telling apart why nothing was written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from runtime.stores.batches import ThrottledError, is_throttling

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["MOST_ITEMS", "ConflictError", "RefusedError", "transact"]

MOST_ITEMS = 100
"""How many items one DynamoDB transaction may carry."""

_RACES = ("TransactionCanceledException", "TransactionInProgressException", "ConditionalCheckFailedException")
_THROTTLED = ("ThrottlingError", "ProvisionedThroughputExceeded")
_REFUSED = ("ValidationError", "ItemCollectionSizeLimitExceeded")


class ConflictError(RuntimeError):
    """Someone else wrote one of the items first: read again and fold again."""


class RefusedError(ValueError):
    """DynamoDB will never take one of the items, however often it is asked."""


def transact(client: "DynamoDBClient", items: Sequence[Any]) -> None:
    """Write up to `MOST_ITEMS` items together, or nothing.

    Raises
    ------
    ConflictError
        If a condition did not hold or another transaction was under way.
    ThrottledError
        If the table or a key of it is asked for more than it gives.
    RefusedError
        If an item is too large, or the transaction breaks another rule of DynamoDB.
    """
    try:
        client.transact_write_items(TransactItems=items)
    except ClientError as error:
        raise _meaning(error) from error


def _meaning(error: ClientError) -> Exception:
    answer: Any = error.response
    code = answer["Error"]["Code"]
    reasons = {reason.get("Code", "None") for reason in answer.get("CancellationReasons", ())} - {"None"}
    if code == "ValidationException" or reasons.intersection(_REFUSED):
        return RefusedError(f"DynamoDB refuses an item for good, not for a race: {error}")
    if is_throttling(error) or reasons.intersection(_THROTTLED):
        return ThrottledError(f"DynamoDB throttles writes: {error}")
    # A cancellation without reasons (older stand-ins give none) is treated as what it nearly always is.
    return ConflictError(str(error)) if code in _RACES else error

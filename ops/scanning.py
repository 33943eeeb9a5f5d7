"""A whole table, read in segments side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

__all__ = ["SEGMENTS", "pages"]

SEGMENTS: Final = 8
"""Parts of a table that are read at once."""


def pages(
    client: Any, *, segments: Sequence[int] = range(SEGMENTS), total: int = SEGMENTS, **asked: Any
) -> Iterator[list[Any]]:
    """The items of a table, read consistently, a page of each segment at a time.

    Parameters
    ----------
    client
        Of DynamoDB.
    segments : sequence of int
        Those that are read, of `total`.
    asked
        What Scan takes besides, at least ``TableName``.
    """
    starts: dict[int, Any] = dict.fromkeys(segments)

    def page(place: tuple[int, Any]) -> Any:
        segment, start = place
        after = {"ExclusiveStartKey": start} if start else {}
        return client.scan(ConsistentRead=True, Segment=segment, TotalSegments=total, **asked, **after)

    with ThreadPoolExecutor(SEGMENTS) as pool:
        while starts:
            answers = list(pool.map(page, starts.items()))
            starts = {
                segment: answer["LastEvaluatedKey"]
                for segment, answer in zip(starts, answers, strict=True)
                if "LastEvaluatedKey" in answer
            }
            for answer in answers:
                yield answer["Items"]

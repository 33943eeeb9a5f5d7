"""Pages of a List operation."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["page"]


def page[Item](items: Sequence[Item], request: Mapping[str, Any]) -> tuple[Sequence[Item], dict[str, str]]:
    """The part of `items` that `request` asks for, and the ``NextToken`` if more follows."""
    start = int(request.get("NextToken", "0"))
    stop = start + request.get("MaxResults", 100)
    return items[start:stop], {"NextToken": str(stop)} if stop < len(items) else {}

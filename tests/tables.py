"""The tables of the platform as the data stack declares them, for tests."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["KEYS", "create_table"]

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "features": ("key",),
    "decisions": ("id", "kind"),
    "merchants": ("key_id",),
    "settings": ("id", "part"),
    "releases": ("id", "part"),
    "audit": ("subject", "id"),
}
"""By kind of table, the names of its key."""


def create_table(client: Any, kind: str, name: str | None = None, **more: Any) -> str:
    """An empty table of some kind, which it is called after unless it is given a name.

    Parameters
    ----------
    **more
        Of the call to DynamoDB.
    """
    name = name or kind
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in KEYS[kind]],
        KeySchema=[
            {"AttributeName": key, "KeyType": part}
            for key, part in zip(KEYS[kind], ("HASH", "RANGE"), strict=False)
        ],
        **more,
    )
    return name

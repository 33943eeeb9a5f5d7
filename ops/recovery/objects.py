"""A bucket as it was: every change is a version, and the one that counted then becomes the newest again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

__all__ = ["Change", "changes", "set_back"]

_SOURCE = "restored-from"
"""Of the metadata of what was set back: the version that it is a copy of.

Its ETag does not tell, which is another for the same bytes where they are encrypted or were copied in parts.
"""
_KEPT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")
"""What an object has beside its metadata that a copy loses which is given metadata of its own."""


@dataclass(frozen=True, slots=True)
class Change:
    """An object that is other than it was.

    Attributes
    ----------
    what : {"deleted", "overwritten", "added"}
        What was done to it since. What was added stays.
    version : str
        The version that counted then; empty if there was none.
    latest : str
        The version or delete marker that counts now.
    """

    key: str
    what: Literal["deleted", "overwritten", "added"]
    version: str
    latest: str
    size: int


def changes(client: Any, bucket: str, prefix: str, at: datetime) -> Iterator[Change]:
    """What became of a bucket's objects since a moment, to the second, in the order of their keys."""
    for key, several in groupby(_versions(client, bucket, prefix), key=lambda each: each["Key"]):
        versions = list(several)
        now = next(each for each in versions if each["IsLatest"])
        then = max(
            (each for each in versions if each["LastModified"] <= at),
            # Of one second the listing tells the order: the newest comes first.
            key=lambda each: (each["LastModified"], -versions.index(each)),
            default=None,
        )
        if then is None or then["deleted"]:
            if not now["deleted"]:
                yield Change(key, "added", "", now["VersionId"], now["Size"])
        elif then is not now:
            what: Literal["deleted", "overwritten"] = "deleted" if now["deleted"] else "overwritten"
            if what == "overwritten" and (
                now["ETag"] == then["ETag"] or _source(client, bucket, key, now) == then["VersionId"]
            ):
                continue
            yield Change(key, what, then["VersionId"], now["VersionId"], then["Size"])


def set_back(
    client: Any, bucket: str, change: Change, *, progress: Callable[[int], None] = lambda _: None
) -> bool:
    """Make the version of then the newest; False if somebody changed the object meanwhile.

    The versions between stay, so that this can be undone in the same way.
    """
    listed = client.list_object_versions(Bucket=bucket, Prefix=change.key)
    latest = [
        each["VersionId"]
        for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ()))
        if each["Key"] == change.key and each["IsLatest"]
    ]
    if latest != [change.latest]:
        return False
    source = {"Bucket": bucket, "Key": change.key, "VersionId": change.version}
    then = client.head_object(**source)
    told = {
        "MetadataDirective": "REPLACE",
        "Metadata": {**then["Metadata"], _SOURCE: change.version},
        **{name: then[name] for name in _KEPT if name in then},
    }
    # The managed copy takes objects of any size, in parts where one call would be too much.
    client.copy(source, bucket, change.key, ExtraArgs=told)
    progress(change.size)
    return True


def _source(client: Any, bucket: str, key: str, version: dict[str, Any]) -> str:
    """The version that this one is a copy of; empty if it is none."""
    told = client.head_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    source: str = told["Metadata"].get(_SOURCE, "")
    return source


def _versions(client: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Every version and delete marker: by key, the newest of each first, as S3 lists them."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        found = [{**each, "deleted": False} for each in page.get("Versions", ())]
        found += [{**each, "deleted": True, "Size": 0, "ETag": ""} for each in page.get("DeleteMarkers", ())]
        # A page tells versions and markers apart; together they are in the order of their keys and times.
        yield from sorted(
            found, key=lambda each: (each["Key"], -each["LastModified"].timestamp(), not each["IsLatest"])
        )

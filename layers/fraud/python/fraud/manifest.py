"""Which objects of the lake a job reads: days of its parts, and the manifest that names their objects.

The lake has a folder for each day of delivery, ``decisions/day=2026-01-31/``. A row is delivered when it was
recorded or later, so the days of a time can be told; where events bring times of their own (`replay_time`), they
cannot, and all days are read.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict

from fraud.windows import DAY

__all__ = ["DELIVERED", "MANIFEST_FILE", "Days", "Listing", "manifest"]

MANIFEST_FILE = "ManifestFile"
"""The type of an input that is given as a manifest, in SageMaker's words."""

DELIVERED = 2 * DAY
"""A row is in the lake by then, in ms after it was recorded; until then Firehose would try again."""


class Listing(TypedDict):
    """What S3 is asked to list, in its words."""

    Prefix: str
    StartAfter: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Days:
    """Days of one part of the lake, both ends included.

    Attributes
    ----------
    part : str
        A folder of the lake, such as ``decisions``.
    first, last : str
        ISO dates, UTC; empty for no bound. Without both, objects outside any day belong to it as well.
    """

    part: str
    first: str = ""
    last: str = ""

    @classmethod
    def of(cls, part: str, since: int, until: int) -> "Days":
        """Those that hold what was recorded at since <= time < until, in ms since the epoch, UTC.

        A row takes longer to the lake than clocks of one region differ, so that no day before has to be looked at.
        """
        return cls(part, _date(since), _date(until - 1 + DELIVERED))

    @property
    def folder(self) -> str:
        """The prefix that keys are relative to in a manifest."""
        return f"{self.part}/"

    @property
    def listing(self) -> Listing:
        """What to list; keys come in order, so that the listing may end where `is_over` is true."""
        if not self.first and not self.last:
            return {"Prefix": self.folder}
        prefix = f"{self.folder}day="
        return {"Prefix": prefix, "StartAfter": f"{prefix}{self.first}"} if self.first else {"Prefix": prefix}

    def is_over(self, key: str) -> bool:
        """Whether a key lies behind the last day, as all later ones do."""
        return bool(self.last) and key.removeprefix(f"{self.folder}day=")[: len(self.last)] > self.last


def manifest(bucket: str, folder: str, keys: Iterable[str]) -> bytes:
    """The document that names the objects of an input, as SageMaker reads it: a prefix, and keys below it.

    Parameters
    ----------
    folder : str
        Ends with a slash; every key begins with it.

    Raises
    ------
    ValueError
        If there is no key, which SageMaker refuses, or one lies elsewhere.
    """
    document: list[Any] = [{"prefix": f"s3://{bucket}/{folder}"}]
    for key in keys:
        if not key.startswith(folder) or key == folder:
            raise ValueError(f"key {key!r} does not lie below {folder!r}; a manifest has one prefix")
        document.append(key.removeprefix(folder))
    if len(document) == 1:
        raise ValueError(f"no object lies in {folder!r}; leave the input out")
    return json.dumps(document, separators=(",", ":")).encode()


def _date(time: int) -> str:
    return datetime.fromtimestamp(time / 1_000, UTC).date().isoformat()

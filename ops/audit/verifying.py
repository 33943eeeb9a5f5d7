"""The trail held against its locked copies: what is missing, what differs, and what was altered on the way.

Texts are compared, to the byte; what an entry says is looked at only to know whether it is one.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from ops.audit.reading import Recorded, read
from ops.deployment import Deployment

__all__ = ["ON_ITS_WAY", "Verdict", "keep", "verify"]

ON_ITS_WAY: Final = 15 * 60_000
"""How long a copy may take, in ms: it takes seconds, and longer only if something is wrong."""

STREAM: Final = 24 * 3_600_000
"""How long the table's stream has what was written, in ms: a copy that is made later is one of the table."""

LATE: Final = "late"
"""What the copies that `keep` makes are marked with: S3's metadata, which is locked with them."""

_THREADS: Final = 16


@dataclass
class Verdict:
    """What was found.

    Attributes
    ----------
    entries : int
        Of the table.
    unkept : list of Recorded
        Those that can be read and have no copy, however young.
    lost : list of str
        Keys of copies whose entry is not in the table.
    different : list of str
        Keys of copies that say something else than the table; and of items that cannot be read, copied or not.
    covered : list of str
        Keys of copies that somebody wrote over, or put a delete marker on; the first version is what counts.
    altered : list of str
        Keys of what `keep_audit` saw of changes in the table.
    late : list of str
        Keys of copies that were made from the table and not from its stream: of what was done to the entry before
        that, they tell nothing.
    """

    entries: int = 0
    unkept: list[Recorded] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def overdue(self, now: int) -> list[Recorded]:
        """Those that should have a copy by now, in ms since the epoch."""
        return [each for each in self.unkept if each.at + ON_ITS_WAY < now]

    @property
    def tampered(self) -> bool:
        """Whether somebody changed the trail, whatever for."""
        return bool(self.lost or self.different or self.covered or self.altered)


def verify(deployment: Deployment, *, progress: Callable[[int], None] = lambda _done: None) -> Verdict:
    """Compare every entry with its copy, and every copy with its entry."""
    s3, bucket = deployment.client("s3"), deployment["AuditBucket"]
    # Copies first: an entry that is written meanwhile is only one without a copy.
    first, covered = _first_versions(_versions(s3, bucket, "entries/"))
    verdict = Verdict(covered=covered, altered=sorted({each["Key"] for each in _versions(s3, bucket, "altered/")}))
    recorded = {each.key: each for each in read(deployment)}
    verdict.entries = len(recorded)
    readable = {key: each for key, each in recorded.items() if each.entry is not None}
    verdict.unkept = [each for key, each in readable.items() if key not in first]
    verdict.different = sorted(recorded.keys() - readable.keys())
    verdict.lost = sorted(first.keys() - recorded.keys())

    def compared(key: str) -> tuple[Recorded, bool, bool]:
        found, each = s3.get_object(Bucket=bucket, Key=key, VersionId=first[key]), recorded[key]
        made = found["LastModified"].timestamp() * 1_000
        late = LATE in found["Metadata"] or made > each.at + STREAM
        return each, found["Body"].read() == each.text.encode(), late

    with ThreadPoolExecutor(_THREADS) as pool:
        for done, (each, same, late) in enumerate(pool.map(compared, sorted(first.keys() & readable.keys()))):
            if not same:
                verdict.different.append(each.key)
            if late:
                verdict.late.append(each.key)
            progress(done + 1)
    return verdict


def keep(deployment: Deployment, entries: Sequence[Recorded]) -> int:
    """Copy entries that have no copy, as they are in the table by now; return how many still had none."""
    s3, bucket = deployment.client("s3"), deployment["AuditBucket"]
    return sum(_kept(s3, bucket, each) for each in entries)


def _kept(s3: Any, bucket: str, recorded: Recorded) -> bool:
    try:
        s3.put_object(
            Bucket=bucket,
            Key=recorded.key,
            Body=recorded.text.encode(),
            ContentType="application/json",
            Metadata={LATE: "from the table"},
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        return False
    return True


def _versions(s3: Any, bucket: str, prefix: str) -> Iterator[Any]:
    """Versions and delete markers, those of a key from the newest on."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Versions", ())
        yield from ({**each, "Deleted": True} for each in page.get("DeleteMarkers", ()))


def _first_versions(versions: Iterator[Any]) -> tuple[dict[str, str], list[str]]:
    """The first version of each key, and the keys that have anything beside it."""
    first: dict[str, str] = {}
    covered: set[str] = set()
    for each in versions:
        key = each["Key"]
        if "Deleted" in each:
            covered.add(key)
            continue
        if key in first:
            covered.add(key)
        first[key] = each["VersionId"]  # The oldest comes last.
    return first, sorted(covered)

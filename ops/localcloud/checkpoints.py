"""A training job's checkpoint folder, kept in step with its place in S3 while the program runs."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.localcloud.objects import fetch_objects, list_objects, split_uri
from ops.localcloud.staging import local_path

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Checkpoints"]

_DEFAULT_PATH = "/opt/ml/checkpoints"


class Checkpoints:
    """Restores what is in S3 and uploads what has changed; a job without ``CheckpointConfig`` has none.

    As on AWS all hosts share one place, and a file removed here stays there.
    """

    def __init__(self, s3: "S3Client", request: Mapping[str, Any], roots: Sequence[Path]) -> None:
        config = request.get("CheckpointConfig")
        self._s3, self._uri = s3, config["S3Uri"] if config else ""
        path = config.get("LocalPath", _DEFAULT_PATH) if config else _DEFAULT_PATH
        self._folders = [local_path(root, path) for root in roots] if config else []
        self._seen: dict[Path, tuple[int, int]] = {}

    def restore(self) -> None:
        """Bring every file home, to every host."""
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            fetch_objects(self._s3, self._uri, list_objects(self._s3, self._uri), folder)
            self._seen |= dict(_stamps(folder))

    def save(self) -> None:
        """Upload the files that are new or changed since the last time."""
        bucket, prefix = split_uri(self._uri) if self._folders else ("", "")
        for folder in self._folders:
            for path, stamp in _stamps(folder):
                if self._seen.get(path) == stamp:
                    continue
                key = "/".join(part for part in (prefix.rstrip("/"), path.relative_to(folder).as_posix()) if part)
                # A program that replaces its file by another may do so at this moment.
                with contextlib.suppress(FileNotFoundError):
                    self._s3.upload_file(str(path), bucket, key)
                    self._seen[path] = stamp


def _stamps(folder: Path) -> list[tuple[Path, tuple[int, int]]]:
    found = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if path.is_file():
                found.append((path, (status.st_mtime_ns, status.st_size)))
    return found

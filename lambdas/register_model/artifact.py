"""The files of a training run's artifact."""

import io
import tarfile

from fraud.bundle import CorruptBundleError
from runtime.bundles import MANIFEST, MODEL

__all__ = ["MOST_BYTES", "unpack"]

MOST_BYTES = 256 * 2**20
_MOST_FILES = 16


def unpack(artifact: bytes) -> dict[str, bytes]:
    """The files of a model.tar.gz, read in memory: nothing of it is ever extracted to a path.

    Folders, links and whatever lies in a folder are passed over: a bundle is flat.

    Raises
    ------
    CorruptBundleError
        If the model or its manifest is not among them, there are more of them than a bundle has, or one is larger
        than any model may be.
    """
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if not member.isfile() or "/" in name:
                continue
            if member.size > MOST_BYTES:
                raise CorruptBundleError(f"{name} has {member.size} bytes; a model has at most {MOST_BYTES}")
            content = archive.extractfile(member)
            if content is not None:
                files[name] = content.read()
            if len(files) > _MOST_FILES:
                raise CorruptBundleError(f"model.tar.gz has more than {_MOST_FILES} files; a bundle has a few")
    missing = {MODEL, MANIFEST} - files.keys()
    if missing:
        raise CorruptBundleError(f"model.tar.gz lacks {', '.join(sorted(missing))}")
    return files

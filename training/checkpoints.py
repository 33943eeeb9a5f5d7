"""What a training leaves behind while it runs, so that one that was interrupted does not begin again."""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ["Checkpoint", "Checkpoints", "History", "fingerprint"]

type History = dict[str, list[float]]

_DIGEST_BYTES = 32


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A training after some of its rounds.

    Attributes
    ----------
    fingerprint : str
        Of the data and parameters; only the same training may go on from here.
    history : dict of str to list of float
        Each metric on the validation part, after every round.
    model : bytes
        The trees so far.
    """

    fingerprint: str
    history: History
    model: bytes


class Checkpoints:
    """The folder of a job's checkpoints.

    A file is a SHA-256 and what it was made of, so that a torn file is known by itself. It gets its name only when
    all of it is on the disk.

    Parameters
    ----------
    keep : int
        How many remain; older ones of the same training are removed.
    """

    def __init__(self, folder: Path, fingerprint: str, *, keep: int) -> None:
        self._folder, self._fingerprint, self._keep = folder, fingerprint, keep

    def save(self, history: History, model: bytes) -> Path:
        """Write one, and remove the oldest."""
        body = msgspec.msgpack.encode(
            Checkpoint(fingerprint=self._fingerprint, history=history, model=bytes(model))
        )
        rounds = len(next(iter(history.values()), []))
        path = self._folder / f"{self._prefix}-{rounds:06d}.checkpoint"
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("wb") as file:
            file.write(hashlib.sha256(body).digest() + body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        for old in sorted(self._folder.glob(f"{self._prefix}-*.checkpoint"))[: -self._keep]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The one with the most rounds that is whole and of this training; what is not says so in the log."""
        if not self._folder.is_dir():
            return None
        for path in sorted(self._folder.glob("*.checkpoint"), key=_rounds, reverse=True):
            found = self._read(path)
            if found is not None:
                return found
        return None

    @property
    def _prefix(self) -> str:
        return self._fingerprint[:12]

    def _read(self, path: Path) -> Checkpoint | None:
        content = path.read_bytes()
        body = content[_DIGEST_BYTES:]
        found, why = None, ""
        if hashlib.sha256(body).digest() != content[:_DIGEST_BYTES]:
            why = "is torn or damaged"
        else:
            try:
                found = msgspec.msgpack.decode(body, type=Checkpoint)
            except msgspec.DecodeError:
                why = "was written by another version of this program"
        if found is not None and found.fingerprint != self._fingerprint:
            found, why = None, "belongs to other data or parameters"
        if why:
            sys.stderr.write(f"checkpoint {path.name} {why}; it is left alone\n")
        return found


def fingerprint(parts: Mapping[str, object]) -> str:
    """Digest of all that decides what the trees become, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _rounds(path: Path) -> tuple[str, str]:
    return path.stem.rpartition("-")[2], path.name

"""Models as the program writes and reads them: a booster, its manifest, and scores from both."""

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import xgboost as xgb

from fraud.bundle import CorruptBundleError, Manifest, digest, verify
from training.arrays import Scores
from training.calibrate import apply_calibration
from training.contract import ProgramError

__all__ = ["MANIFEST_FILE", "MODEL_FILE", "Model", "read_archive", "read_bundle", "write_bundle"]

MODEL_FILE = "model.ubj"
MANIFEST_FILE = "manifest.json"
# What registration accepts; a larger file is not a model of ours.
_LARGEST_MEMBER = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Model:
    """A verified bundle in memory."""

    manifest: Manifest
    booster: xgb.Booster

    def score(self, vectors: Scores, names: Sequence[str]) -> Scores:
        """Calibrated probability of fraud of every row.

        Columns are found by name; a feature that the rows do not have is missing (nan).

        Parameters
        ----------
        vectors : array of float64, shape (rows, len(names))
        """
        aligned = self.aligned(vectors, names)
        matrix = xgb.DMatrix(aligned, missing=np.nan, feature_names=list(self.manifest.features))
        return apply_calibration(self.booster.predict(matrix).astype(np.float64), self.manifest.calibration)

    def aligned(self, vectors: Scores, names: Sequence[str]) -> Scores:
        """The model's columns of vectors that have others, found by name; nan where they have no such column."""
        place = {name: column for column, name in enumerate(names)}
        empty = np.full(len(vectors), np.nan)
        return np.column_stack(
            [vectors[:, place[name]] if name in place else empty for name in self.manifest.features]
        )

    def missing(self, names: Sequence[str]) -> list[str]:
        """Features of the model that rows with these columns do not have."""
        return sorted(set(self.manifest.features) - set(names))


def write_bundle(
    folder: Path, booster: xgb.Booster, manifest: Manifest, *, others: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write model.ubj, the other files and manifest.json; returns the manifest with the digests filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {MODEL_FILE: bytes(booster.save_raw("ubj")), **(others or {})}
    complete = msgspec.structs.replace(
        manifest, files={name: digest(content) for name, content in contents.items()}
    )
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(complete), indent=2) + b"\n")
    return complete


def read_archive(folder: Path) -> Model:
    """Read the one model.tar.gz under a folder.

    Only the two files of a bundle are read, into memory: nothing that an archive says about paths, links or
    modes has any effect.

    Raises
    ------
    ProgramError
        There is not exactly one archive, or it is not a complete, intact bundle.
    """
    archives = sorted(folder.rglob("model.tar.gz"))
    if len(archives) != 1:
        raise ProgramError(
            f"{len(archives)} files named model.tar.gz lie under {folder}; "
            "give this job the output of one training job."
        )
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archives[0], "r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name not in (MODEL_FILE, MANIFEST_FILE) or not member.isfile():
                    continue
                if member.size > _LARGEST_MEMBER:
                    raise ProgramError(
                        f"{name} in {archives[0]} is {member.size} bytes, which no model of ours is."
                    )
                stream = archive.extractfile(member)
                found[name] = stream.read() if stream is not None else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ProgramError(f"{archives[0]} is not a readable archive ({error}); train again.") from error
    return _model(found, str(archives[0]))


def read_bundle(folder: Path) -> Model | None:
    """Read a registered bundle; None if the folder is absent or empty, as it is before the first model.

    Raises
    ------
    ProgramError
        The bundle is not complete and intact.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    found = {
        name: (folder / name).read_bytes() for name in (MODEL_FILE, MANIFEST_FILE) if (folder / name).is_file()
    }
    return _model(found, str(folder))


def _model(found: dict[str, bytes], where: str) -> Model:
    for name in (MODEL_FILE, MANIFEST_FILE):
        if name not in found:
            raise ProgramError(f"{where} holds no {name}; a bundle is made of {MODEL_FILE} and {MANIFEST_FILE}.")
    try:
        manifest = msgspec.json.decode(found[MANIFEST_FILE], type=Manifest)
        verify(manifest, MODEL_FILE, found[MODEL_FILE])
    except (msgspec.DecodeError, CorruptBundleError) as error:
        raise ProgramError(f"{where} cannot be trusted: {error}.") from error
    booster = xgb.Booster()
    booster.load_model(bytearray(found[MODEL_FILE]))
    if booster.feature_names != list(manifest.features):
        raise ProgramError(f"The columns of {MODEL_FILE} in {where} are not those of its manifest; train again.")
    return Model(manifest, booster)

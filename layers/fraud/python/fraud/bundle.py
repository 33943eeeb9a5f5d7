"""The manifest of a model bundle: what training writes, serving loads and anyone can audit."""

import hashlib

import msgspec

from fraud.calibration import Calibration
from fraud.features.definitions import Reason

__all__ = ["CorruptBundleError", "Lineage", "Manifest", "digest", "verify"]


class CorruptBundleError(ValueError):
    """A bundle is not what its manifest says; it must not be served."""


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model came from."""

    run_id: str
    dataset: str
    parameters: dict[str, str]
    code_version: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An immutable bundle's contents.

    Attributes
    ----------
    created_at : int
        Milliseconds since the epoch, UTC.
    features : tuple of str
        The model's columns, in order.
    feature_set : str
        The version of the feature set whose definitions the columns have.
    files : dict of str to str
        File name to SHA-256, in hexadecimal.
    xgboost : str
        The version of XGBoost that wrote the model; empty in bundles from before it was noted.
    reasons : dict of str to Reason
        Feature name to what it tells of a score, as the definitions had it when the model was trained.
    """

    version: str
    name: str = "paywarden"
    created_at: int
    features: tuple[str, ...]
    feature_set: str
    calibration: Calibration
    metrics: dict[str, float]
    lineage: Lineage
    files: dict[str, str]
    xgboost: str = ""
    reasons: dict[str, Reason] = {}


def digest(content: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def verify(manifest: Manifest, name: str, content: bytes) -> None:
    """Check a file of a bundle against its manifest.

    Raises
    ------
    CorruptBundleError
        If the manifest does not list the file, or lists another digest.
    """
    expected = manifest.files.get(name)
    if expected is None:
        raise CorruptBundleError(f"bundle {manifest.version}: its manifest lists no file {name!r}")
    if digest(content) != expected:
        raise CorruptBundleError(
            f"bundle {manifest.version}: {name} does not have the digest in its manifest; register the model again"
        )

"""Model bundles in S3: immutable, verified, ready to score."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from fraud.bundle import CorruptBundleError, Manifest, digest, verify
from fraud.calibration import calibrate
from fraud.serving import Serving
from runtime.booster import Booster, library_version
from runtime.ubjson import is_whole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["BundleStore", "Live", "ServedModel"]

MODEL = "model.ubj"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that is ready to score."""

    manifest: Manifest
    booster: Booster

    def row(self, names: Sequence[str], vector: Sequence[float]) -> list[float]:
        """The model's columns, picked from a vector by name."""
        values = dict(zip(names, vector, strict=True))
        return [values[name] for name in self.manifest.features]

    def score(self, row: Sequence[float]) -> tuple[float, float]:
        """The raw and the calibrated probability of fraud."""
        raw = self.booster.predict(row)
        return raw, calibrate(raw, self.manifest.calibration)

    def contributions(self, row: Sequence[float]) -> dict[str, float]:
        """Exact SHAP values in log-odds, by feature name."""
        return dict(zip(self.manifest.features, self.booster.contributions(row), strict=False))


@dataclass(frozen=True, slots=True)
class Live:
    """A serving document and its models, ready to score: what one payment is decided by, from first to last.

    Attributes
    ----------
    models : mapping of version to ServedModel
        All that could be loaded of those that the document names.
    """

    serving: Serving
    models: Mapping[str, ServedModel]

    def model_for(self, event_id: str) -> ServedModel | None:
        """The model that decides on a payment; None if there is none yet, so that it is decided without.

        The champion steps in for a canary that is not there, which happens at a cold start only.
        """
        routed, champion = self.serving.routed(event_id), self.serving.champion
        return self.models.get(routed or "") or self.models.get(champion or "")

    def shadows(self, event_id: str) -> tuple[ServedModel, ...]:
        """All other models: they score the same vector, so that they can be compared on every payment."""
        deciding = self.model_for(event_id)
        return tuple(model for model in self.models.values() if model is not deciding)


class BundleStore:
    """Bundles under ``bundles/<version>/``, written once."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def manifest(self, version: str) -> Manifest:
        """The manifest of a bundle.

        Raises
        ------
        CorruptBundleError
            If there is none, it cannot be read, or it is that of another version.
        """
        content = self._get(version, MANIFEST)
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except msgspec.MsgspecError as error:
            raise CorruptBundleError(f"bundle {version}: manifest.json: {error}") from error
        if manifest.version != version:
            raise CorruptBundleError(
                f"bundle {version}: its manifest is that of bundle {manifest.version}; register the run again"
            )
        return manifest

    def load(self, version: str, names: Sequence[str]) -> ServedModel:
        """Fetch and verify a bundle, and make its model ready.

        Parameters
        ----------
        names : sequence of str
            The features that serving computes; the model may use no other.

        Raises
        ------
        CorruptBundleError
            If the manifest is that of another version, a digest is wrong, the model wants a feature that serving
            does not have, its columns are others than the manifest's, or a newer XGBoost wrote it than the one
            that serves.
        BoosterError
            If XGBoost cannot read the model, or not score with it.
        """
        manifest = self.manifest(version)
        unknown = sorted(set(manifest.features) - set(names))
        if unknown:
            raise CorruptBundleError(f"bundle {version}: serving has no feature {', '.join(unknown)}")
        _check_library(manifest)
        model = self._get(version, MODEL)
        verify(manifest, MODEL, model)
        booster = Booster(model, len(manifest.features))
        if booster.names and booster.names != manifest.features:
            raise CorruptBundleError(
                f"bundle {version}: the columns of {MODEL} are not those of its manifest; train again"
            )
        return ServedModel(manifest, booster)

    def check(self, version: str) -> Manifest:
        """Compare every file of a bundle with its manifest; return that.

        Raises
        ------
        CorruptBundleError
            If there is none, or a file is missing or has another digest.
        """
        manifest = self.manifest(version)
        for name in manifest.files:
            verify(manifest, name, self._get(version, name))
        return manifest

    def versions(self) -> list[str]:
        """All versions that there are, in alphabetical order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix="bundles/", Delimiter="/"
        )
        prefixes = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return [prefix.removeprefix("bundles/").rstrip("/") for prefix in prefixes]

    def add(self, manifest: Manifest, model: bytes, others: Mapping[str, bytes] | None = None) -> None:
        """Write a bundle; writing the same one again changes nothing.

        Parameters
        ----------
        others : mapping of str to bytes, optional
            Further files that the manifest lists, by name, such as the profile of the data.

        Raises
        ------
        CorruptBundleError
            If a file is not the manifest's or one is missing, the model is not whole, or another bundle has this
            version already.
        """
        files = {**(others or {}), MODEL: model}
        missing = sorted(manifest.files.keys() - files.keys())
        if missing:
            raise CorruptBundleError(
                f"bundle {manifest.version}: {', '.join(missing)} of its manifest is not there"
            )
        for name, content in files.items():
            verify(manifest, name, content)
        if not is_whole(model):
            raise CorruptBundleError(
                f"bundle {manifest.version}: {MODEL} is not a whole UBJSON document; train again"
            )
        # The manifest comes last: a bundle without one is not there, so a crash leaves nothing half done.
        for name, content in files.items():
            self._put_once(manifest.version, name, content)
        self._put_once(manifest.version, MANIFEST, msgspec.json.encode(manifest, order="deterministic"))

    def _key(self, version: str, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", version):
            raise CorruptBundleError(f"{version!r} is no bundle version")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise CorruptBundleError(f"bundle {version}: {name!r} is no name of a file")
        return f"bundles/{version}/{name}"

    def _get(self, version: str, name: str) -> bytes:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._key(version, name))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise CorruptBundleError(f"bundle {version}: there is no {name}") from error
            raise

    def _put_once(self, version: str, name: str, content: bytes) -> None:
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=self._key(version, name), Body=content, IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
                raise
            if digest(self._get(version, name)) != digest(content):
                raise CorruptBundleError(
                    f"bundle {version} exists with another {name}; bundles never change"
                ) from error


def _check_library(manifest: Manifest) -> None:
    """Refuse what a newer XGBoost wrote: an older one may read it and score differently, without a word."""
    if not manifest.xgboost:
        return
    try:
        wrote = tuple(int(part) for part in manifest.xgboost.split(".")[:2])
    except ValueError:
        raise CorruptBundleError(f"bundle {manifest.version}: its manifest's xgboost is no version") from None
    if wrote > library_version()[:2]:
        serves = ".".join(map(str, library_version()))
        raise CorruptBundleError(
            f"bundle {manifest.version}: XGBoost {manifest.xgboost} wrote it, but {serves} serves; raise "
            "xgboost-cpu in requirements/vendor.in, or train with the version that serves"
        )

"""The image of the container program."""

import shutil
import tempfile
from pathlib import Path

from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct

from infra.layers.build import ROOT
from infra.layers.bundle import MissingBundleError, copy_python, digest_tree, normalise

__all__ = ["image_context", "training_image"]

# All that the image is made of, at the places that the Dockerfile copies from.
_PACKAGES = ("training", "layers/fraud/python/fraud")
_FILES = ("training/Dockerfile", "requirements/training-image.txt")


def image_context(*, root: Path = ROOT) -> Path:
    """A folder with what the Dockerfile needs and nothing else, so that nothing else changes the image's name.

    Raises
    ------
    MissingBundleError
        If one of the parts is not there.
    """
    target = root / "build" / "images"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".build-") as scratch:
        staged = Path(scratch) / "context"
        for package in _PACKAGES:
            copy_python(root / package, staged / package)
        for name in _FILES:
            if not (root / name).is_file():
                raise MissingBundleError(f"{root / name}: there is no such file, and the training image needs it")
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, staged / name)
        normalise(staged)
        final = target / f"training-{digest_tree(staged)[:16]}"
        if not final.is_dir():
            staged.rename(final)
    return final


def training_image(scope: Construct, id_: str) -> ecr_assets.DockerImageAsset:
    """The image, built and pushed when it is deployed; synth only reads the files."""
    return ecr_assets.DockerImageAsset(
        scope,
        id_,
        directory=str(image_context()),
        file="training/Dockerfile",
        # What ml.m5 instances run.
        platform=ecr_assets.Platform.LINUX_AMD64,
    )

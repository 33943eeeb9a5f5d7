"""Which program stands for which container image."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from ops.localcloud.errors import LocalCloudError, ServiceError

__all__ = ["TRAINING_IMAGE", "Image", "Images", "default_images", "read_images"]

TRAINING_IMAGE: Final = "paywarden-training:local"


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program run in the place of a container.

    Attributes
    ----------
    entrypoint
        Command line; the job's arguments follow it.
    python_path
        Folders on ``PYTHONPATH``.
    """

    entrypoint: tuple[str, ...]
    python_path: tuple[str, ...] = ()


class Images:
    """The images this machine can run.

    Parameters
    ----------
    images
        From image name to the program that stands for it.
    """

    def __init__(self, images: Mapping[str, Image]) -> None:
        self._images = dict(images)

    def find(self, name: str) -> Image:
        """Program of the image `name`; a ``ValidationException`` if there is none."""
        image = self._images.get(name)
        if image is None:
            known = ", ".join(sorted(self._images))
            raise ServiceError(
                "ValidationException",
                f"The local cloud runs no containers and has no program for the image '{name}'; it knows: {known}",
            )
        return image


def default_images(repository: Path) -> Images:
    """The one image of this project: the training program of the working copy."""
    paths = (repository, repository / "layers" / "fraud" / "python")
    image = Image((sys.executable, "-m", "training"), tuple(str(path) for path in paths))
    return Images({TRAINING_IMAGE: image})


def read_images(path: Path) -> Images:
    """Images named in a JSON file: ``{"<name>": {"entrypoint": [...], "python_path": [...]}}``."""
    try:
        return Images(msgspec.json.decode(path.read_bytes(), type=dict[str, Image]))
    except (OSError, msgspec.DecodeError) as error:
        raise LocalCloudError(f"cannot read the image file {path}: {error}") from error

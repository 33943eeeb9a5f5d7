"""Where a model is: in a folder, or serving in a deployment."""

import tempfile
from pathlib import Path

from botocore.exceptions import ClientError

from fraud.serving import Serving
from ops.deployment import Deployment
from ops.measures import serving_profile
from ops.scoring.errors import ScoringError
from runtime.configuration import current
from training.bundles import MANIFEST_FILE, MODEL_FILE, Model, read_bundle
from training.contract import ProgramError

__all__ = ["model_in", "model_of"]


def model_in(folder: Path) -> Model:
    """The bundle in a folder.

    Raises
    ------
    ScoringError
        If there is none, or it is not intact.
    """
    try:
        model = read_bundle(folder)
    except ProgramError as error:
        raise ScoringError(str(error)) from None
    if model is None:
        raise ScoringError(f"{folder}: holds no bundle; give the folder with {MODEL_FILE} and {MANIFEST_FILE}")
    return model


def model_of(deployment: Deployment) -> tuple[Model, Serving]:
    """The champion of a deployment, and the document that names it.

    Raises
    ------
    ScoringError
        If none serves yet, or its bundle is not intact.
    """
    serving = current(deployment.client("appconfigdata"), serving_profile(deployment))
    if serving.champion is None:
        raise ScoringError("no model serves yet; run `paywarden train`, or name a bundle with --bundle")
    client = deployment.client("s3")
    with tempfile.TemporaryDirectory() as folder:
        for name in (MANIFEST_FILE, MODEL_FILE):
            try:
                client.download_file(
                    deployment["ModelsBucket"], f"bundles/{serving.champion}/{name}", str(Path(folder, name))
                )
            except ClientError as error:
                raise ScoringError(f"bundle {serving.champion}: {name} cannot be read: {error}") from error
        return model_in(Path(folder)), serving

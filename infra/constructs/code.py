"""The layers of one stack."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from fraud.codec import FORMS
from infra.environment import Architecture
from infra.layers import LAYERS, layer_bundle

__all__ = ["STATE_FORMS", "CodeLayers", "architecture_of", "asset_code"]

STATE_FORMS = ",".join(map(str, sorted(FORMS)))
"""The packed forms of states that this code reads: a variable of the functions that read them, so that each of
their published versions tells its own. See docs/upgrades.md.
"""


def asset_code(*, path: str, digest: str) -> lambda_.Code:
    """Code from a built folder, named by the digest of what it holds."""
    return lambda_.Code.from_asset(path, asset_hash=digest, asset_hash_type=cdk.AssetHashType.CUSTOM)


def architecture_of(name: Architecture) -> lambda_.Architecture:
    return lambda_.Architecture.ARM_64 if name == "arm64" else lambda_.Architecture.X86_64


class CodeLayers(Construct):
    """The fraud, runtime and vendor layers, for the functions of one stack.

    Each stack has layer versions of its own: a layer shared through an export could not be replaced while
    another stack still uses the old one. The zip file behind them is uploaded once.

    Attributes
    ----------
    all : list of LayerVersion
        In the order in which Lambda unpacks them.
    """

    def __init__(self, scope: Construct, id_: str, *, architecture: Architecture) -> None:
        super().__init__(scope, id_)
        self.all: list[lambda_.ILayerVersion] = [self._layer(name, architecture) for name in LAYERS]

    def _layer(self, name: str, architecture: Architecture) -> lambda_.LayerVersion:
        bundle = layer_bundle(name, architecture=architecture)
        return lambda_.LayerVersion(
            self,
            name,
            code=asset_code(path=str(bundle.path), digest=bundle.digest),
            description=f"Paywarden: {name}",
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
            compatible_architectures=[architecture_of(architecture)],
        )

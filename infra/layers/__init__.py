"""The code that the functions run: three layers and one folder each, built without Docker."""

from infra.layers.build import LAYERS, function_bundle, layer_bundle, prepare
from infra.layers.bundle import Bundle, MissingBundleError, digest_tree

__all__ = [
    "LAYERS",
    "Bundle",
    "MissingBundleError",
    "digest_tree",
    "function_bundle",
    "layer_bundle",
    "prepare",
]

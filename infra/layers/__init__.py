"""The code that the functions run: three layers and one folder each, built without Docker."""

from infra.layers.build import LAYERS, function_bundle, layer_bundle

__all__ = ["LAYERS", "function_bundle", "layer_bundle"]

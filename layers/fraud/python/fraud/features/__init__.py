"""Features: defined once, the same in training and serving."""

from fraud.features.keys import Key
from fraud.features.sets import FeatureSet
from fraud.features.standard import STANDARD

__all__ = ["STANDARD", "FeatureSet", "Key"]

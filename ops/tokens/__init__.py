"""The keys of tokens: their rotation, and the end of an old one."""

from ops.tokens.rotation import RotationError, Secret, retire, rotate, shortest_overlap

__all__ = ["RotationError", "Secret", "retire", "rotate", "shortest_overlap"]

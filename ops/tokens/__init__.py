"""The keys of tokens: where they are, their rotation, and the end of an old one."""

from ops.tokens.rotation import retire, rotate, shortest_overlap
from ops.tokens.secret import RotationError, Secret

__all__ = ["RotationError", "Secret", "retire", "rotate", "shortest_overlap"]

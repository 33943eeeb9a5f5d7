"""A keyed function that can forget single values: a puncturable pseudorandom function.

The construction is the tree of Goldreich, Goldwasser and Micali (How to construct random functions, J. ACM 33(4),
1986): each node is made from its parent, one way only, and a value's tag comes from the leaf to which the value's
bits lead. That it can be punctured was found in 2013, in three papers at once (Boneh and Waters; Kiayias et al.;
Boyle, Goldwasser and Ivan): whoever keeps the nodes that branch off on the way to a leaf, and not those on it, can
make every tag but those of this leaf.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping

import msgspec

__all__ = ["BITS", "NODE_BYTES", "ROOT", "PuncturableKey", "child"]

BITS = 40
"""Of a point, which is where in a tree a value is. Two values share one with a probability of 2**-40."""

NODE_BYTES = 16
ROOT = 1
"""Nodes have numbers: those below node n are 16 n to 16 n + 15, so that a leaf is 16**10 and its point."""

_DIGIT = 4
_LEAVES = 1 << BITS
_DIGITS = tuple(bytes([digit]) for digit in range(1 << _DIGIT))
_SHIFTS = tuple(range(BITS, -1, -_DIGIT))
_sha256 = hashlib.sha256


class PuncturableKey(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A key: a chain of trees, of which a value has its tag from the first that was not punctured at its point.

    Attributes
    ----------
    blind : bytes
        Decides which value is at which point. It outlives every puncture and makes no tag, but tells of a value
        that one knows whether it was punctured.
    trees : tuple of dict of int to bytes
        Nodes by number, 16 bytes each, from which all that is below them is made. The last tree is whole.
    """

    blind: bytes
    trees: tuple[dict[int, bytes], ...]

    @classmethod
    def of(cls, secret: str) -> "PuncturableKey":
        """The key that follows from a secret, whole."""
        text = secret.encode()
        return cls(
            hmac.digest(text, b"blind", "sha256"), ({ROOT: hmac.digest(text, b"root", "sha256")[:NODE_BYTES]},)
        )

    def leaf(self, value: bytes) -> int:
        """The number of the leaf that a value is at."""
        point = hashlib.blake2b(value, key=self.blind, digest_size=BITS // 8).digest()
        return _LEAVES | int.from_bytes(point)

    def tag(self, value: bytes) -> str:
        """128 bits in hexadecimal digits, which nobody can tell from random ones without the key."""
        return self.tag_and_secret(value)[0]

    def tag_and_secret(self, value: bytes) -> tuple[str, bytes]:
        """A value's tag, and 16 bytes to keep quiet about.

        Neither can be made of the other, and both are gone once the value is punctured.
        """
        leaf = self.leaf(value)
        for tree in self.trees:
            seed = _seed(tree, leaf)
            if seed is not None:
                secret = hashlib.blake2b(value, key=seed, digest_size=16, person=b"secret").digest()
                return hashlib.blake2b(value, key=seed, digest_size=16).hexdigest(), secret
        raise AssertionError("the last tree is whole")

    def punctured(self, values: Iterable[bytes], fresh: Callable[[], bytes]) -> "PuncturableKey":
        """The key that cannot make the tags of some values any more, and makes others for them.

        All other values keep their tags, but for those that share a point with one of these.

        Parameters
        ----------
        fresh : callable
            Makes 32 random bytes: a new tree's root begins with half of them.
        """
        trees = [dict(tree) for tree in self.trees]
        for leaf in sorted({self.leaf(value) for value in values}):
            for tree in trees:
                if _puncture(tree, leaf):
                    if tree is trees[-1]:
                        trees.append({ROOT: fresh()[:NODE_BYTES]})
                    break
        return PuncturableKey(self.blind, tuple(trees))


def child(node: bytes, digit: int) -> bytes:
    """The node below one, by the digit of 0 to 15 that leads to it."""
    return _sha256(node + _DIGITS[digit]).digest()[:NODE_BYTES]


def _seed(tree: Mapping[int, bytes], leaf: int) -> bytes | None:
    """What a tree has at a leaf; None where it was punctured."""
    for shift in _SHIFTS:
        node = tree.get(leaf >> shift)
        if node is not None:
            # As `child` does it, without a call for each of ten digits.
            while shift:
                shift -= _DIGIT
                node = _sha256(node + _DIGITS[leaf >> shift & 15]).digest()[:NODE_BYTES]
            return node
    return None


def _puncture(tree: dict[int, bytes], leaf: int) -> bool:
    """Put the nodes that branch off on the way to a leaf in the place of the one above them; False if none is."""
    for shift in _SHIFTS:
        node = tree.pop(leaf >> shift, None)
        if node is not None:
            for below in range(shift - _DIGIT, -1, -_DIGIT):
                parent, taken = leaf >> below + _DIGIT << _DIGIT, leaf >> below & 15
                children = [child(node, digit) for digit in range(1 << _DIGIT)]
                tree.update({parent | digit: each for digit, each in enumerate(children) if digit != taken})
                node = children[taken]
            return True
    return False

"""Changing the key that tokens are made under, while payments go on.

The new key counts from a moment that lies ahead, so that every process knows it by then. For as long as the
longest window looks back, and not less, states are read under both keys; then the old key can go, and with it
whatever could link the tokens made under it to a person.
"""

import msgspec

from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import WindowFeature
from fraud.puncturable import PuncturableKey
from fraud.tokens import Keyring, KeyTrees
from fraud.windows import DAY
from ops.tokens.secret import RotationError, Secret

__all__ = ["retire", "rotate", "shortest_overlap"]


def shortest_overlap(features: FeatureSet = STANDARD) -> int:
    """How long the states under an old key are of use, in ms: as far back as the longest window reaches."""
    reaches = [each.window.retention for each in features.features if isinstance(each, WindowFeature)]
    return -(-max(reaches, default=0) // DAY) * DAY


def rotate(secret: Secret, new: str, *, clock: int, lead: float, overlap: int) -> Keyring:
    """Add a key that counts from `lead` seconds after `clock` (ms), and keep the one before for the overlap (ms).

    The new key is never in the secret, of which AWS keeps old versions, but in an object, which can be deleted.

    Raises
    ------
    RotationError
        If the keys are being changed already, or the overlap is shorter than the longest window.
    """
    ring, version = secret.read()
    if ring.before:
        remedy = "retire the key before" if clock >= ring.until else "wait for its end, and retire the key before"
        raise RotationError(f"the keys are in an overlap; {remedy}, as `paywarden tokens status` tells")
    if overlap < shortest_overlap():
        raise RotationError(
            f"an overlap of {overlap // DAY} days is shorter than the longest window, and counts would be lost at "
            f"its end; use at least {shortest_overlap() // DAY}d"
        )
    activates_at = clock + round(lead * 1_000)
    name = str(int(ring.current) + 1)
    apart = {each: key for each, key in secret.tokeniser(ring).keys.items() if not ring.keys[each]}
    changed = msgspec.structs.replace(
        ring,
        current=name,
        keys={**ring.keys, name: ""},
        activates_at=activates_at,
        until=activates_at + overlap,
        trees=secret.put_trees(KeyTrees({**apart, name: PuncturableKey.of(new)})),
    )
    secret.tell("rotate", ring, changed, clock=clock)
    secret.write(changed, version)
    return changed


def retire(secret: Secret, *, clock: int) -> Keyring:
    """Delete the key before the current one, once their overlap is over at `clock` (ms).

    Where that was cut off, another call makes up for it.

    Raises
    ------
    RotationError
        If there is no such key, or states are still read under it.
    """
    ring, version = secret.read()
    if not ring.before:
        if secret.mend():
            return ring
        raise RotationError("there is only the current key; `paywarden tokens rotate` makes a new one")
    if clock < ring.until:
        days = -(-(ring.until - clock) // DAY)
        raise RotationError(f"states are read under the key before for {days} more days; retire it then")
    kept = {ring.current: secret.tokeniser(ring).keys[ring.current]}
    left = msgspec.structs.replace(
        ring,
        keys={ring.current: ring.keys[ring.current]},
        activates_at=0,
        until=0,
        trees="" if ring.keys[ring.current] else secret.put_trees(KeyTrees(kept)),
    )
    secret.tell("retire", ring, left, clock=clock)
    secret.replace(left, version)
    return left

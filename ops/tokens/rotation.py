"""Changing the key that tokens are made under, while payments go on.

The new key counts from a moment that lies ahead, so that every process knows it by then. For as long as the
longest window looks back, and not less, states are read under both keys; then the old key can go, and with it
whatever could link the tokens made under it to a person.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import WindowFeature
from fraud.tokens import Keyring
from fraud.windows import DAY
from runtime.keyring import LEAD

__all__ = ["RotationError", "Secret", "retire", "rotate", "shortest_overlap"]


class RotationError(Exception):
    """The keys cannot be changed now; the message says when they can. Nothing was changed."""


@dataclass(frozen=True)
class Secret:
    """The token secret of a deployment.

    Parameters
    ----------
    client : SecretsManagerClient
    """

    client: Any
    secret_id: str

    def read(self) -> tuple[Keyring, str]:
        """The ring, and the version that it is."""
        found = self.client.get_secret_value(SecretId=self.secret_id)
        return Keyring.parse(found["SecretString"]), found["VersionId"]

    def read_before(self) -> Keyring | None:
        """The ring of the version before, which AWS keeps within reach; None if there is none."""
        try:
            found = self.client.get_secret_value(SecretId=self.secret_id, VersionStage="AWSPREVIOUS")
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return Keyring.parse(found["SecretString"])

    def write(self, ring: Keyring, after: str) -> str:
        """Put a ring in the place of a version; return the version that it became.

        Raises
        ------
        RotationError
            If somebody else changed that version first.
        """
        # The name of the next version follows from the one before: of two who follow it, AWS refuses the second.
        token = hashlib.sha256(f"{self.secret_id}\0{after}".encode()).hexdigest()
        try:
            self.client.put_secret_value(
                SecretId=self.secret_id, SecretString=ring.text(), ClientRequestToken=token
            )
        except self.client.exceptions.ResourceExistsException:
            raise RotationError("somebody else is changing the keys; look at `paywarden tokens status`") from None
        return token


def shortest_overlap(features: FeatureSet = STANDARD) -> int:
    """How long the states under an old key are of use, in ms: as far back as the longest window reaches."""
    reaches = [each.window.retention for each in features.features if isinstance(each, WindowFeature)]
    return -(-max(reaches, default=0) // DAY) * DAY


def rotate(secret: Secret, new: str, *, clock: int, overlap: int) -> Keyring:
    """Add a key that counts from `LEAD` ahead of `clock` (ms), and keep the one before for the overlap (ms).

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
    activates_at = clock + round(LEAD * 1_000)
    name = str(int(ring.current) + 1)
    changed = Keyring(
        current=name,
        keys={ring.current: ring.keys[ring.current], name: new},
        activates_at=activates_at,
        until=activates_at + overlap,
    )
    secret.write(changed, version)
    return changed


def retire(secret: Secret, *, clock: int) -> Keyring:
    """Delete the key before the current one, once their overlap is over at `clock` (ms).

    The secret is written twice, since AWS keeps the version before the current one within reach. Where the second
    time failed, another call makes up for it.

    Raises
    ------
    RotationError
        If there is no such key, or states are still read under it.
    """
    ring, version = secret.read()
    if not ring.before:
        reachable = secret.read_before()
        if reachable is not None and not reachable.keys.items() <= ring.keys.items():
            secret.write(ring, version)
            return ring
        raise RotationError("there is only the current key; `paywarden tokens rotate` makes a new one")
    if clock < ring.until:
        days = -(-(ring.until - clock) // DAY)
        raise RotationError(f"states are read under the key before for {days} more days; retire it then")
    left = Keyring(current=ring.current, keys={ring.current: ring.keys[ring.current]})
    secret.write(left, secret.write(left, version))
    return left

"""The serving document: which models and which policy answer, changed without a deployment."""

from typing import Annotated

import msgspec

from fraud.features.keys import hash64
from fraud.policy import Policy

__all__ = ["Canary", "Serving"]


class Canary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that decides on a share of the payments, to be trusted with all of them or with none.

    Attributes
    ----------
    version : str
        Its bundle.
    share : float
        Of all payments, in [0, 1]; chosen by a hash of their ids, so that a repeat meets the same model.
    """

    version: Annotated[str, msgspec.Meta(min_length=1)]
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]

    def takes(self, event_id: str) -> bool:
        """Whether it decides on a payment.

        A canary with another version draws its share anew, so that no payer is always the one it is tried on.
        """
        return hash64(f"{self.version}\0{event_id}") < self.share * 2**64


class Serving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What serves now.

    Attributes
    ----------
    policy : Policy
        For merchants that have none of their own.
    champion : str or None
        The bundle version whose score decides; None before the first model.
    challengers : tuple of str
        Bundle versions that score in shadow; they never decide.
    canary : Canary or None
        A model that decides instead of the champion, now and then.
    """

    policy: Policy
    champion: str | None = None
    challengers: tuple[str, ...] = ()
    canary: Canary | None = None

    @property
    def deciding(self) -> tuple[str, ...]:
        """The versions that decide on some payment: the document cannot serve without them."""
        named = (self.champion, self.canary.version if self.canary else None)
        return tuple(dict.fromkeys(version for version in named if version is not None))

    @property
    def shadowing(self) -> tuple[str, ...]:
        """The versions that only ever score in shadow: the document can serve without them."""
        return tuple(dict.fromkeys(version for version in self.challengers if version not in self.deciding))

    def promoting(self, version: str) -> "Serving":
        """The document in which a version is the champion, and no longer a candidate to become it."""
        canary = self.canary if self.canary is not None and self.canary.version != version else None
        challengers = tuple(each for each in self.challengers if each != version)
        return msgspec.structs.replace(self, champion=version, challengers=challengers, canary=canary)

    def routed(self, event_id: str) -> str | None:
        """The version that decides on a payment; None if no model does."""
        if self.canary is not None and self.canary.takes(event_id):
            return self.canary.version
        return self.champion

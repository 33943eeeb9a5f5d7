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

    def shadowing_with(self, version: str) -> "Serving":
        """The document in which a version scores in shadow; unchanged where it decides already."""
        if version in (*self.deciding, *self.challengers):
            return self
        return msgspec.structs.replace(self, challengers=(*self.challengers, version))

    def canarying(self, version: str, share: float) -> "Serving":
        """The document in which a version decides on a share; unchanged where it is the champion."""
        if version == self.champion:
            return self
        return msgspec.structs.replace(
            self, challengers=self._others(version), canary=Canary(version=version, share=share)
        )

    def promoting(self, version: str, *, keeps_former: bool = False) -> "Serving":
        """The document in which a version is the champion, and no longer a candidate to become it.

        Parameters
        ----------
        keeps_former : bool
            Whether the champion until now goes on in shadow, so that the two can be compared, and changed back.
        """
        if version == self.champion:
            return self
        canary = self.canary if self.canary is not None and self.canary.version != version else None
        challengers = self._others(version)
        if keeps_former and self.champion is not None and self.champion not in challengers:
            challengers = (*challengers, self.champion)
        return msgspec.structs.replace(self, champion=version, challengers=challengers, canary=canary)

    def confirming(self, former: str) -> "Serving":
        """The document without the shadow that the champion before was kept in."""
        return msgspec.structs.replace(self, challengers=self._others(former))

    def withdrawing(self, version: str, former: str | None) -> "Serving":
        """The document in which a version is nothing any more.

        Parameters
        ----------
        former : str or None
            Who is champion instead, if it was the champion; None for no model.
        """
        canary = self.canary if self.canary is not None and self.canary.version != version else None
        left = msgspec.structs.replace(self, challengers=self._others(version), canary=canary)
        if self.champion != version:
            return left
        if former is None:
            return msgspec.structs.replace(left, champion=None)
        return left.promoting(former)

    def _others(self, version: str) -> tuple[str, ...]:
        return tuple(each for each in self.challengers if each != version)

    def routed(self, event_id: str) -> str | None:
        """The version that decides on a payment; None if no model does."""
        if self.canary is not None and self.canary.takes(event_id):
            return self.canary.version
        return self.champion

"""The serving document: which models and which policy answer, changed without a deployment."""

import msgspec

from fraud.policy import Policy

__all__ = ["Serving"]


class Serving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What serves now.

    Attributes
    ----------
    champion : str or None
        The bundle version whose score decides; None before the first model.
    challengers : tuple of str
        Bundle versions that are candidates; they do not decide.
    """

    policy: Policy
    champion: str | None = None
    challengers: tuple[str, ...] = ()

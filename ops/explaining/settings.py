"""Which settings and which serving document counted when a decision was made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fraud.lists import StoredLists
from fraud.policy import Policy
from fraud.rules import StoredRules
from runtime.stores.documents import StoredPolicy
from runtime.stores.lineages import Served
from runtime.stores.releases import ReleaseStore
from runtime.stores.settings import SettingsStore

__all__ = ["SETTLING", "Counted"]

SETTLING = 600_000
"""Milliseconds for which what was replaced may go on counting in some process: each looks for itself."""

_OWN = re.compile(r"own-(\d{1,11})")


@dataclass(frozen=True, slots=True)
class Counted:
    """The history of what merchants and operators set, asked about one moment.

    Parameters
    ----------
    moment : int
        Milliseconds since the epoch, UTC: when the decision was written.
    """

    merchant_id: str
    moment: int
    settings: SettingsStore
    releases: ReleaseStore

    def rules(self, version: str) -> StoredRules | None:
        """A version of the merchant's rules."""
        return self.settings.get(self.merchant_id, StoredRules, int(version)) if version.isdecimal() else None

    def policy(self, version: str) -> Policy | None:
        """The merchant's own policy of that name, or the platform's as it last served under it by then."""
        own = _OWN.fullmatch(version)
        if own is not None:
            stored = self.settings.get(self.merchant_id, StoredPolicy, int(own[1]))
            if stored is not None and stored.policy is not None and stored.policy.version == version:
                return stored.policy
        served = (each.document.policy for each in self.releases.history() if each.at <= self.moment)
        return next((each for each in served if each.version == version), None)

    def lists(self) -> Iterator[StoredLists | None]:
        """The definitions of the merchant's lists that may have counted, the likeliest first; at least one."""
        for change in self.settings.versions(self.merchant_id, StoredLists, limit=100):
            if change.changed_at <= self.moment:
                yield self.settings.get(self.merchant_id, StoredLists, change.version)
                if change.changed_at <= self.moment - SETTLING:
                    return
        yield None

    def served(self) -> list[Served]:
        """The serving documents that may have counted, the newest first."""
        found = []
        for each in self.releases.history():
            if each.at <= self.moment:
                found.append(each)
                if each.at <= self.moment - SETTLING:
                    break
        return found

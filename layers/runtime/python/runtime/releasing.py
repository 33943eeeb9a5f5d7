"""The steps of a release: each changes what serves, once however often it is asked, and writes that down."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from fraud.bundle import CorruptBundleError
from fraud.serving import Serving
from runtime.bundles import BundleStore
from runtime.publishing import Published, Publisher
from runtime.stores.releases import Event, Happened, Lineage, ReleaseStore

__all__ = ["NotReleasedError", "Releaser"]


class NotReleasedError(ValueError):
    """A model may not take this step; nothing was changed, and the message says what is missing."""


@dataclass(frozen=True)
class Releaser:
    """Lets models in and takes them out.

    Parameters
    ----------
    approved : callable
        Whether the registry has a model as approved, whoever did it.
    """

    publisher: Publisher
    releases: ReleaseStore
    bundles: BundleStore
    approved: Callable[[Lineage], bool]

    def shadow(self, version: str, *, by: str, reason: str) -> Published:
        """Let a registered model score beside the champion.

        Raises
        ------
        NotReleasedError
            If it was never registered, or the gate rejected it.
        CorruptBundleError
            If its bundle is not whole.
        """
        self._registered(version)
        return self._step(version, "shadow", lambda now: now.shadowing_with(version), by=by, reason=reason)

    def canary(self, version: str, share: float, *, by: str, reason: str) -> Published:
        """Let an approved model decide on a share of the payments.

        Raises
        ------
        NotReleasedError
            If it was never registered or is not approved.
        CorruptBundleError
            If its bundle is not whole.
        """
        self._permitted(version)
        return self._step(version, "canary", lambda now: now.canarying(version, share), by=by, reason=reason)

    def promote(self, version: str, *, keeps_former: bool, by: str, reason: str) -> Published:
        """Make an approved model the champion.

        Parameters
        ----------
        keeps_former : bool
            Whether the champion until now goes on in shadow.

        Raises
        ------
        NotReleasedError
            If it was never registered or is not approved.
        CorruptBundleError
            If its bundle is not whole.
        """
        self._permitted(version)

        def change(now: Serving) -> Serving:
            return now.promoting(version, keeps_former=keeps_former)

        return self._step(version, "champion", change, by=by, reason=reason)

    def confirm(self, version: str, *, by: str, reason: str) -> Published:
        """End the probation of a champion: the one before it leaves the shadow, unless it is tried again."""

        def change(now: Serving) -> Serving:
            former = self.former(version, whole=False) if now.champion == version else None
            return now if former is None or self._is_candidate(former) else now.confirming(former)

        published = self.publisher.change(change, by=by, reason=reason, run=version)
        if published.served.document.champion == version:
            self._note(version, "confirmed", by=by, reason=reason)
        return published

    def withdraw(self, version: str, *, by: str, reason: str) -> Published | None:
        """Take a model out of everything; if it is the champion, the one before it comes back.

        Returns
        -------
        Published or None
            None if there was nothing to take out.

        Raises
        ------
        CorruptBundleError
            If no champion before it has a bundle that is whole; nothing was changed.
        """
        lineage = self.releases.lineage(version)
        now = self.publisher.current().document
        released = lineage is not None and lineage.released
        if not released and version not in (*now.deciding, *now.challengers):
            return None

        def change(now: Serving) -> Serving:
            return now.withdrawing(version, self.former(version) if now.champion == version else None)

        was_champion = now.champion == version
        published = self.publisher.change(change, by=by, reason=reason, run=version)
        self._note(version, "withdrawn", by=by, reason=reason)
        champion = published.served.document.champion
        if was_champion and champion is not None:
            self._note(champion, "champion", by=by, reason=f"{version} was withdrawn: {reason}")
        return published

    def restore(self, version: str, *, by: str, reason: str) -> Published:
        """Go back to a model that may serve: it becomes the champion, and nothing else decides beside it.

        Raises
        ------
        NotReleasedError
            If it never served and is not approved.
        CorruptBundleError
            If its bundle is not whole.
        """
        self.restorable(version)
        before = self.publisher.current().document.champion

        def change(now: Serving) -> Serving:
            return msgspec.structs.replace(now.promoting(version), canary=None)

        published = self.publisher.change(change, by=by, reason=reason, run=version)
        if before is not None and before != version:
            self._note(before, "withdrawn", by=by, reason=reason)
        self._note(version, "champion", by=by, reason=reason)
        return published

    def restorable(self, version: str) -> None:
        """Refuse a version that `restore` would refuse."""
        self.bundles.check(version)
        if any(served.document.champion == version for served in self.releases.history()):
            return
        lineage = self.releases.lineage(version)
        if lineage is None or not self.approved(lineage):
            raise NotReleasedError(
                f"model {version} never served and is not approved; `paywarden models approve {version}` first"
            )

    def former(self, version: str, *, whole: bool = True) -> str | None:
        """The champion to go back to: the last one before a version that was not withdrawn itself.

        Parameters
        ----------
        whole : bool
            Whether its bundle has to be intact.

        Raises
        ------
        CorruptBundleError
            If there are such champions, and none of them has a bundle that is whole.
        """
        seen: set[str | None] = {version}
        broken: CorruptBundleError | None = None
        for served in self.releases.history():
            champion = served.document.champion
            if champion in seen:
                continue
            seen.add(champion)
            if champion is None:
                break  # Before that there was no model, or somebody took it out.
            lineage = self.releases.lineage(champion)
            if lineage is not None and lineage.withdrawn:
                continue
            if not whole:
                return champion
            try:
                self.bundles.check(champion)
            except CorruptBundleError as error:
                broken = broken or error
                continue
            return champion
        if broken is not None:
            raise broken
        return None

    def _step(
        self, version: str, what: Happened, change: Callable[[Serving], Serving], *, by: str, reason: str
    ) -> Published:
        # A version without a whole bundle must never be named in the document.
        self.bundles.check(version)
        published = self.publisher.change(change, by=by, reason=reason, run=version)
        self._note(version, what, by=by, reason=reason)
        return published

    def _registered(self, version: str) -> Lineage:
        lineage = self.releases.lineage(version)
        if lineage is None:
            raise NotReleasedError(f"model {version} was never registered; run `paywarden train`")
        if lineage.state == "rejected":
            raise NotReleasedError(f"model {version} was rejected by the gate: {lineage.events[-1].reason}")
        return lineage

    def _permitted(self, version: str) -> None:
        if not self.approved(self._registered(version)):
            raise NotReleasedError(
                f"model {version} is not approved; `paywarden models approve {version}` does that"
            )

    def _is_candidate(self, version: str) -> bool:
        lineage = self.releases.lineage(version)
        return lineage is not None and lineage.state == "shadow"

    def _note(self, version: str, what: Happened, *, by: str, reason: str) -> None:
        event = Event(what=what, at=self.publisher.clock(), by=by, reason=reason)
        self.releases.happened(version, event)

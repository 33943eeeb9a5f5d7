"""The steps of a release: each changes what serves, once however often it is asked, and writes that down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from fraud.bundle import CorruptBundleError
from fraud.serving import Serving
from runtime.bundles import BundleStore
from runtime.publishing import Published, Publisher, UndeployedError
from runtime.stores.lineages import Event, Happened, Lineage
from runtime.stores.releases import ReleaseStore

__all__ = ["RUN", "NotReleasedError", "OvertakenError", "Releaser"]

RUN: Final = "retrain"
"""Who acts for a run is called this, and after a colon the name of its execution."""


class NotReleasedError(ValueError):
    """A model may not take this step; nothing was changed, and the message says what is missing."""


class OvertakenError(NotReleasedError):
    """A model may not take this step any more: somebody else acted meanwhile, and that stays."""


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

    def waiting(self, seconds: float) -> Self:
        """The same, with only so many seconds to wait for a deployment of somebody else."""
        patience = min(seconds, self.publisher.patience)
        return replace(self, publisher=replace(self.publisher, patience=patience))

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

    def canary(
        self, version: str, share: float, *, by: str, reason: str, champion: str | None = None
    ) -> Published:
        """Let an approved model decide on a share of the payments.

        Parameters
        ----------
        champion : str, optional
            Who has to be champion for this, empty for nobody; by default whoever is.

        Raises
        ------
        NotReleasedError
            If it was never registered or is not approved.
        OvertakenError
            If there is another champion or another canary, or a person took the model out.
        CorruptBundleError
            If its bundle is not whole.
        """
        self._permitted(version)

        def change(now: Serving) -> Serving:
            self._undisturbed(now, version, champion)
            if now.canary is not None and now.canary.version != version:
                raise OvertakenError(f"model {now.canary.version} is tried on a share of the payments already")
            return now.canarying(version, share)

        return self._step(version, "canary", change, by=by, reason=reason)

    def promote(
        self, version: str, *, keeps_former: bool, by: str, reason: str, champion: str | None = None
    ) -> Published:
        """Make an approved model the champion.

        Parameters
        ----------
        keeps_former : bool
            Whether the champion until now goes on in shadow.
        champion : str, optional
            Who has to be champion until now, empty for nobody; by default whoever is.

        Raises
        ------
        NotReleasedError
            If it was never registered or is not approved.
        OvertakenError
            If there is another champion, or a person took the model out.
        CorruptBundleError
            If its bundle is not whole.
        """
        self._permitted(version)

        def change(now: Serving) -> Serving:
            self._undisturbed(now, version, champion)
            return now.promoting(version, keeps_former=keeps_former)

        return self._step(version, "champion", change, by=by, reason=reason)

    def confirm(self, version: str, *, by: str, reason: str) -> Published:
        """End the probation of a champion: the one before it leaves the shadow, unless it is tried again.

        Raises
        ------
        OvertakenError
            If the model is not the champion any more.
        """

        def change(now: Serving) -> Serving:
            if now.champion != version:
                raise OvertakenError(f"the champion is {now.champion or 'no model'}, and no longer {version}")
            before = next(self._champions_before(version), None)
            return now if before is None or self._is_candidate(before) else now.confirming(before)

        def noted(_published: Published) -> None:
            self._note(version, "confirmed", by=by, reason=reason)

        return self._change(change, noted, by=by, reason=reason, run=version)

    def withdraw(self, version: str, *, by: str, reason: str) -> Published | None:
        """Take a model out of everything; if it is the champion, the one before it comes back.

        Returns
        -------
        Published or None
            None if there was nothing to take out.

        Raises
        ------
        OvertakenError
            If this is done for a run, and a person let the model in since; nothing was changed.
        CorruptBundleError
            If no champion before it has a bundle that is whole; nothing was changed.
        """
        lineage = self.releases.lineage(version)
        now = self.publisher.current().document
        released = lineage is not None and lineage.released
        if not released and version not in (*now.deciding, *now.challengers):
            return None

        def change(now: Serving) -> Serving:
            self._not_wanted(version, by)
            return now.withdrawing(version, self.former(version) if now.champion == version else None)

        def noted(published: Published) -> None:
            self._note(version, "withdrawn", by=by, reason=reason)
            champion = published.served.document.champion
            if was_champion and champion is not None:
                self._note(champion, "champion", by=by, reason=f"{version} was withdrawn: {reason}")

        was_champion = now.champion == version
        return self._change(change, noted, by=by, reason=reason, run=version)

    def restore(self, version: str, *, by: str, reason: str) -> Published:
        """Go back to a model that may serve: it becomes the champion, and nothing else decides beside it.

        What else decided is withdrawn: the champion until now, a canary, or both. Of the champion itself only its
        canary is, so that a canary ends alone.

        Raises
        ------
        NotReleasedError
            If it never served and is not approved.
        CorruptBundleError
            If its bundle is not whole.
        """
        self.restorable(version)
        before = self.publisher.current().document

        def change(now: Serving) -> Serving:
            nonlocal before
            before = now
            alone = now if now.canary is None else now.withdrawing(now.canary.version, None)
            return alone.promoting(version)

        def noted(published: Published) -> None:
            for each in before.deciding:
                if each != version:
                    # A run whose canary was only left out of the document would promote it all the same.
                    self._note(each, "withdrawn", by=by, reason=reason)
            if before.champion != version or not published.changed:
                self._note(version, "champion", by=by, reason=reason, anew=True)

        return self._change(change, noted, by=by, reason=reason, run=version)

    def restorable(self, version: str) -> None:
        """Refuse a version that `restore` would refuse."""
        self.bundles.check(version)
        lineage = self.releases.lineage(version)
        if lineage is None:
            # It is from before releases were recorded; that it served is all that is known of it.
            if any(served.document.champion == version for served in self.releases.history()):
                return
            raise NotReleasedError(f"model {version} never served and was never registered; run `paywarden train`")
        self._permitted(version)

    def former(self, version: str) -> str | None:
        """The champion to go back to: the last one before a version that may still serve.

        One that was withdrawn itself, was rejected or is no longer approved may not; of one from before releases
        were recorded nothing of that is known.

        Raises
        ------
        CorruptBundleError
            If there are such champions, and none of them has a bundle that is whole.
        """
        broken: CorruptBundleError | None = None
        for champion in self._champions_before(version):
            lineage = self.releases.lineage(champion)
            if lineage is not None and (
                lineage.withdrawn or lineage.last("rejected") is not None or not self.approved(lineage)
            ):
                continue
            try:
                self.bundles.check(champion)
            except CorruptBundleError as error:
                broken = broken or error
                continue
            return champion
        if broken is not None:
            raise broken
        return None

    def _champions_before(self, version: str) -> Iterator[str]:
        seen: set[str | None] = {version}
        for served in self.releases.history():
            champion = served.document.champion
            if champion in seen:
                continue
            if champion is None:
                return  # Before that there was no model, or somebody took it out.
            seen.add(champion)
            yield champion

    def _undisturbed(self, now: Serving, version: str, champion: str | None) -> None:
        """Refuse a step of a run if what it was planned for is no more, or a person has undone it."""
        if champion is not None and now.champion not in (champion or None, version):
            raise OvertakenError(
                f"the champion is {now.champion or 'no model'} meanwhile; this run was planned for "
                f"{champion or 'none'}, and compared with that"
            )
        lineage = self.releases.lineage(version)
        moved = None if lineage is None else lineage.moved
        if champion is not None and moved is not None and moved.what == "withdrawn" and not _is_run(moved.by):
            raise OvertakenError(f"{moved.by} took model {version} out: {moved.reason}")

    def _not_wanted(self, version: str, by: str) -> None:
        """Refuse a withdrawal for a run if a person let the model in since, and so took it over."""
        lineage = self.releases.lineage(version)
        moved = None if lineage is None or lineage.withdrawn else lineage.moved
        if moved is not None and _is_run(by) and not _is_run(moved.by):
            raise OvertakenError(f"{moved.by} made model {version} {moved.what}: {moved.reason}")

    def _step(
        self, version: str, what: Happened, change: Callable[[Serving], Serving], *, by: str, reason: str
    ) -> Published:
        # A version without a whole bundle must never be named in the document.
        self.bundles.check(version)

        def noted(_published: Published) -> None:
            # A stage that is entered again begins again: what was seen of it before counts no longer.
            self._note(version, what, by=by, reason=reason, anew=True)

        return self._change(change, noted, by=by, reason=reason, run=version)

    def _change(
        self,
        change: Callable[[Serving], Serving],
        noted: Callable[[Published], None],
        *,
        by: str,
        reason: str,
        run: str,
    ) -> Published:
        """Change what serves, and write down what became of the models by it."""
        try:
            published = self.publisher.change(change, by=by, reason=reason, run=run)
        except UndeployedError as error:
            # Whoever asks again changes nothing any more, and could not tell who was taken out.
            noted(error.published)
            raise
        noted(published)
        return published

    def _registered(self, version: str) -> Lineage:
        lineage = self.releases.lineage(version)
        if lineage is None:
            raise NotReleasedError(f"model {version} was never registered; run `paywarden train`")
        rejected = lineage.last("rejected")
        if rejected is not None:
            raise NotReleasedError(f"model {version} was rejected by the gate: {rejected.reason}")
        return lineage

    def _permitted(self, version: str) -> None:
        if not self.approved(self._registered(version)):
            raise NotReleasedError(
                f"model {version} is not approved; `paywarden models approve {version}` does that"
            )

    def _is_candidate(self, version: str) -> bool:
        lineage = self.releases.lineage(version)
        return lineage is not None and lineage.moved is not None and lineage.moved.what == "shadow"

    def _note(self, version: str, what: Happened, *, by: str, reason: str, anew: bool = False) -> None:
        event = Event(what=what, at=self.publisher.clock(), by=by, reason=reason)
        self.releases.happened(version, event, anew=anew)


def _is_run(by: str) -> bool:
    return by.startswith(f"{RUN}:")

"""What an operator does with models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from fraud.bundle import CorruptBundleError, Manifest
from fraud.serving import Serving
from ops.deployment import Deployment
from ops.measures import serving_profile
from ops.times import now
from runtime.approvals import Approvals, Word, is_approved
from runtime.bundles import BundleStore
from runtime.publishing import BusyError, Published, Publisher, UndeployedError
from runtime.releasing import NotReleasedError, Releaser
from runtime.stores.lineages import Lineage, Served, UnreadableRecordError
from runtime.stores.releases import ReleaseStore

__all__ = ["Desk", "Model", "ModelError"]


class ModelError(Exception):
    """What an operator asks of a model cannot be done; the message says why, and what to do."""


@dataclass(frozen=True)
class Model:
    """A bundle, what is known of it, and what it is now.

    Attributes
    ----------
    lineage : Lineage or None
        None for a bundle from before releases were recorded.
    share : float
        Of the payments that it decides on.
    role : str
        ``champion``, ``canary``, ``shadow`` or nothing.
    """

    version: str
    lineage: Lineage | None
    role: str
    share: float


@dataclass(frozen=True)
class Desk:
    """The models of one deployment.

    Parameters
    ----------
    by : str
        Who acts, for the records.
    """

    releases: ReleaseStore
    bundles: BundleStore
    publisher: Publisher
    registry: Any
    executions: Any
    by: str = ""

    @classmethod
    def of(cls, deployment: Deployment, *, acts: bool = False) -> Self:
        """The models of a deployment.

        Parameters
        ----------
        acts : bool
            Whether something is to be changed, so that it matters who does it.
        """
        releases = deployment.releases()
        return cls(
            releases=releases,
            bundles=BundleStore(deployment.client("s3"), deployment["ModelsBucket"]),
            publisher=Publisher(
                deployment.client("appconfig"),
                serving_profile(deployment),
                deployment["AppConfigStrategy"],
                deployment["ObjectsKey"],
                releases,
            ),
            registry=deployment.client("sagemaker"),
            executions=deployment.client("stepfunctions"),
            by=deployment.client("sts").get_caller_identity()["Arn"] if acts else "",
        )

    def models(self) -> list[Model]:
        """All bundles, the newest first; those without a record last."""
        serving = self.serving()
        found = [
            Model(version, self.releases.lineage(version), *_role(version, serving))
            for version in self.bundles.versions()
        ]
        return sorted(found, key=lambda each: each.lineage.created_at if each.lineage else 0, reverse=True)

    def serving(self) -> Serving:
        """What serves, whoever deployed it."""
        return self.publisher.current().document

    def show(self, version: str) -> tuple[Lineage | None, Manifest]:
        """A model's record and the manifest of its bundle.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        try:
            return self.releases.lineage(version), self.bundles.manifest(version)
        except CorruptBundleError as error:
            raise ModelError(f"{error}; `paywarden models list` shows all models") from error

    def say(self, version: str, *, approved: bool, reason: str) -> bool:
        """Approve or reject a model in the registry; whether an execution waited for it.

        Raises
        ------
        ModelError
            If it was never registered, or the gate rejected it, or it was decided on before.
        """
        lineage = self.releases.lineage(version)
        if lineage is None or not lineage.package:
            raise ModelError(f"model {version} is not in the registry; `paywarden models list` shows all models")
        rejected = lineage.last("rejected")
        if rejected is not None:
            raise ModelError(f"model {version} was rejected by the gate: {rejected.reason}")
        approvals = Approvals(self.registry, self.executions, self.releases)
        _, said = approvals.word(lineage.package)
        if said is not None and said.approved == approved:
            if approvals.settle(version, said, at=now()):
                return True  # The registry's event was lost on its way to the execution.
            state = "approved" if approved else "rejected"
            raise ModelError(f"model {version} is {state} already, by {said.by}: {said.comment}")
        word = Word(approved=approved, by=self.by, comment=reason)
        approvals.say(lineage.package, word)
        # The registry tells the platform as well. Whoever comes second finds nobody waiting.
        return approvals.settle(version, word, at=now())

    def target(self, version: str | None) -> str:
        """The model that a roll-back would go to: the one that is named, or the champion before.

        The champion itself is one while there is a canary, which a roll-back takes out.

        Raises
        ------
        ModelError
            If there is none, or it may not serve, or its bundle is not whole.
        """
        serving = self.serving()
        champion = serving.champion
        try:
            deployed = self.publisher.is_deployed()
            if version is None:
                if not deployed and champion is not None and serving.canary is None:
                    raise ModelError(
                        f"model {champion} is to serve already, and AppConfig had no time for it: `paywarden "
                        f"rollback model {champion}` completes that; name another model to go further back"
                    )
                if champion is None:
                    raise ModelError("no model serves, so there is none to go back from")
                version = self._releaser().former(champion)
                if version is None:
                    raise ModelError(f"there was no model before {champion}; name one that may serve")
            if version == champion and serving.canary is None and deployed:
                raise ModelError(f"model {version} is the champion already, and there is no canary")
            self._releaser().restorable(version)
        except (CorruptBundleError, NotReleasedError, UnreadableRecordError) as error:
            raise ModelError(str(error)) from error
        return version

    def roll_back(self, version: str, *, reason: str) -> Published:
        """Make an earlier model the champion, and nothing else decide beside it.

        Raises
        ------
        ModelError
            If it may not serve, or its bundle is not whole: nothing was changed. Or if AppConfig had no time for
            it: it is recorded, and deployed by the next who asks.
        """
        try:
            return self._releaser().restore(version, by=self.by, reason=reason)
        except UndeployedError as error:
            raise ModelError(f"{error}: `paywarden rollback model {version}`") from error
        except (BusyError, CorruptBundleError, NotReleasedError) as error:
            raise ModelError(str(error)) from error

    def history(self, *, at: int | None, limit: int) -> Iterator[Served]:
        """What served, the newest first: all of it, or what did at one moment, in ms."""
        self.publisher.current()  # What was deployed by hand is part of it.
        if at is None:
            yield from self.releases.history(limit=limit)
            return
        found = self.releases.served_at(at)
        if found is not None:
            yield found

    def _releaser(self) -> Releaser:
        return Releaser(self.publisher, self.releases, self.bundles, self._approved)

    def _approved(self, lineage: Lineage) -> bool:
        try:
            return is_approved(self.registry, lineage)
        except ClientError as error:
            raise ModelError(f"model {lineage.version}: the registry does not answer: {error}") from error


def _role(version: str, serving: Serving) -> tuple[str, float]:
    share = serving.canary.share if serving.canary is not None else 0.0
    if serving.canary is not None and serving.canary.version == version:
        return "canary", share
    if serving.champion == version:
        return "champion", 1 - share
    return ("shadow", 0.0) if version in serving.challengers else ("", 0.0)

"""Changing the serving document: nothing serves unrecorded, and two who change it at once lose nothing.

The history in the table of releases says what is to serve. A change is made to its last document, is added to it
under the next number, which only one of two writers gets, and is deployed after that. Each writer deploys the
history's last document and no other, whoever wrote it, until it serves: a writer who was cut off or overtaken
leaves nothing behind. What was deployed past the history, by hand, is found by its AppConfig version and taken
into it first; what a writer here deployed bears its mark, and is not taken for that however late it comes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from fraud.serving import Serving
from runtime.configuration import ConfigurationError, Profile
from runtime.stores.lineages import Served
from runtime.stores.releases import ReleaseStore
from runtime.stores.transactions import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_appconfig import AppConfigClient

__all__ = ["BusyError", "Published", "Publisher", "UndeployedError"]

_ATTEMPTS = 6
_PAUSE = 3.0
_LONGEST = 1_024
_MARK = "release "
_COUNTS = ("VALIDATING", "BAKING", "DEPLOYING", "COMPLETE")


class BusyError(RuntimeError):
    """Others change what serves, or deploy it, all the time; try again."""


@dataclass(frozen=True, slots=True)
class Published:
    """What serves after a change.

    Attributes
    ----------
    served : Served
        The history's last document.
    changed : bool
        Whether this change made it; if not, it said so before.
    """

    served: Served
    changed: bool


class UndeployedError(BusyError):
    """A change is in the history, and AppConfig had no time for it: asking for the same again deploys it.

    Attributes
    ----------
    published : Published
        What is to serve.
    """

    def __init__(self, published: Published) -> None:
        super().__init__(
            f"number {published.served.number} of the history is to serve, and AppConfig deploys something else "
            "all the time; ask for the same again, and it is deployed"
        )
        self.published = published


@dataclass(frozen=True)
class Publisher:
    """Changes what serves.

    Parameters
    ----------
    strategy : str
        The id of the AppConfig strategy that changes are deployed with.
    key : str
        The ARN of the key of KMS that deployed documents lie under.
    clock : callable
        Wall-clock milliseconds.
    pause : callable
        Waits for so many seconds.
    patience : float
        Seconds to wait for a deployment of somebody else, which has to end before the next can begin.
    """

    client: "AppConfigClient"
    profile: Profile
    strategy: str
    key: str
    releases: ReleaseStore
    clock: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    pause: Callable[[float], None] = field(default=time.sleep)
    patience: float = 180.0

    def current(self) -> Served:
        """The document that is to serve, after everything that was done by hand.

        Raises
        ------
        ConfigurationError
            If nothing is deployed, or it cannot be read.
        BusyError
            If others changed it all the time.
        """
        for _ in range(_ATTEMPTS):
            last, deployed = self.releases.last_served(), self._deployments()
            by_hand = self._by_hand(last, deployed)
            if by_hand is None:
                if last is not None:
                    return last  # It serves, or it is about to.
                raise ConfigurationError(
                    "nothing is deployed under the serving profile; deploy the data stack first"
                )
            found = Served(
                number=1 if last is None else last.number + 1,
                document=self._document(by_hand),
                at=0 if last is None else self.clock(),
                by="unknown",
                reason="what served when this history began" if last is None else "deployed by hand",
                configuration=by_hand,
            )
            try:
                self.releases.serves(found)
            except ConflictError:
                continue
            return found
        raise BusyError("the serving document: others change it all the time; try again")

    def change(self, change: Callable[[Serving], Serving], *, by: str, reason: str, run: str = "") -> Published:
        """Make a change of what serves, whatever that is by now; a change that changes nothing is not recorded.

        Parameters
        ----------
        change : callable
            From a document to the next; called again for each document that others were quicker to publish.
        by, reason, run : str
            See `runtime.stores.lineages.Served`.

        Raises
        ------
        ConfigurationError
            If nothing is deployed, or it cannot be read; nothing was changed.
        BusyError
            If others were quicker all the time; nothing was changed.
        UndeployedError
            If others deploy something all the time; the change is recorded.
        """
        for _ in range(_ATTEMPTS):
            before = self.current()
            document = change(before.document)
            if document == before.document:
                return self._deployed(Published(before, changed=False))
            after = Served(
                number=before.number + 1,
                document=document,
                at=self.clock(),
                by=by,
                reason=reason,
                configuration=self._keep(document, reason),
                run=run,
            )
            try:
                self.releases.serves(after)
            except ConflictError:
                continue
            return self._deployed(Published(after, changed=True))
        raise BusyError("the serving document: others change it all the time; try again")

    def is_deployed(self) -> bool:
        """Whether AppConfig has taken what the history ends with; so it has where there is no history yet."""
        last = self.releases.last_served()
        return last is None or self._is_newest(last)

    def _deployed(self, published: Published) -> Published:
        """Deploy what the history ends with, until that serves.

        The history is read again before every attempt: one that waited meanwhile may have been overtaken.
        """
        for _ in range(max(1, round(self.patience / _PAUSE))):
            last = self.releases.last_served()
            if last is None or self._is_newest(last):
                return published
            if not self._started(last):
                self.pause(_PAUSE)
        raise UndeployedError(published)

    def _is_newest(self, served: Served) -> bool:
        return [version for _, version in self._deployments()[:1]] == [served.configuration]

    def _by_hand(self, last: Served | None, deployed: list[tuple[int, str]]) -> str | None:
        """The version that somebody deployed after the history's last document; None if nobody did."""
        if last is not None and last.configuration not in [version for _, version in deployed]:
            return None
        for number, version in deployed:
            if last is not None and version == last.configuration:
                return None
            if last is None or not self._is_ours(number):
                return version
        return None

    def _is_ours(self, number: int) -> bool:
        """Whether a deployment was begun here; a list of deployments does not tell."""
        deployment = self.client.get_deployment(
            ApplicationId=self.profile.appconfig_application,
            EnvironmentId=self.profile.appconfig_environment,
            DeploymentNumber=number,
        )
        return deployment.get("Description", "").startswith(_MARK)

    def _started(self, served: Served) -> bool:
        try:
            self.client.start_deployment(
                ApplicationId=self.profile.appconfig_application,
                EnvironmentId=self.profile.appconfig_environment,
                ConfigurationProfileId=self.profile.appconfig_profile,
                ConfigurationVersion=served.configuration,
                DeploymentStrategyId=self.strategy,
                KmsKeyIdentifier=self.key,
                Description=f"{_MARK}{served.number}: {served.reason}"[:_LONGEST],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            return False  # AppConfig deploys one document at a time.
        return True

    def _keep(self, document: Serving, reason: str) -> str:
        version = self.client.create_hosted_configuration_version(
            ApplicationId=self.profile.appconfig_application,
            ConfigurationProfileId=self.profile.appconfig_profile,
            Content=msgspec.json.encode(document),
            ContentType="application/json",
            Description=reason[:_LONGEST],
        )["VersionNumber"]
        return str(version)

    def _deployments(self) -> list[tuple[int, str]]:
        """The deployments that were not taken back, by number and version, the last one first."""
        pages = self.client.get_paginator("list_deployments").paginate(
            ApplicationId=self.profile.appconfig_application, EnvironmentId=self.profile.appconfig_environment
        )
        found = [each for page in pages for each in page["Items"] if each["State"] in _COUNTS]
        return sorted(((each["DeploymentNumber"], each["ConfigurationVersion"]) for each in found), reverse=True)

    def _document(self, version: str) -> Serving:
        content = self.client.get_hosted_configuration_version(
            ApplicationId=self.profile.appconfig_application,
            ConfigurationProfileId=self.profile.appconfig_profile,
            VersionNumber=int(version),
        )["Content"].read()
        try:
            return msgspec.json.decode(content, type=Serving)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"serving document: {error}") from error

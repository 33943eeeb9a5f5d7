"""The word on a model: it is said in the registry, and told to the execution that waits for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from runtime.stores.lineages import Event, Happened, Lineage
from runtime.stores.releases import ReleaseStore

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

__all__ = ["Approvals", "Word", "has_stopped", "is_approved"]

APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
RUN_ID = "run_id"
"""The metadata of a model package that names its run."""
BY = "decided_by"
"""And who approved or rejected it."""

_ABSENT = "ValidationException"
"""SageMaker's word for a package that does not exist; nothing else of the request could be invalid."""
_ENDED_BADLY = ("FAILED", "TIMED_OUT", "ABORTED")
_GONE = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a model; an execution that waits is told exactly this.

    Attributes
    ----------
    by : str
        Who said so: an ARN, a name, or ``bounds``.
    """

    approved: bool
    by: str
    comment: str


def is_approved(client: "SageMakerClient", lineage: Lineage) -> bool:
    """Whether the registry has a model as approved."""
    if not lineage.package:
        return False
    try:
        described = client.describe_model_package(ModelPackageName=lineage.package)
    except ClientError as error:
        if error.response["Error"]["Code"] == _ABSENT:
            return False  # Somebody deleted the package, and the approval with it.
        raise
    return described.get("ModelApprovalStatus") == APPROVED


def has_stopped(client: "SFNClient", execution: str, *, at: int) -> bool:
    """Whether an execution that ended badly was not re-driven since; one that is forgotten by now was not.

    Step Functions may go on telling for some seconds that it runs, so only the moment of a re-drive says that it
    does. One so fresh that it is not told yet begins its stage again: see infra/workflows/release.py.

    Parameters
    ----------
    at : int
        When it ended, in ms since the epoch, UTC.
    """
    try:
        described = client.describe_execution(executionArn=execution)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return True
    again = described.get("redriveDate")
    return described["status"] in _ENDED_BADLY or again is None or again.timestamp() * 1_000 < at


@dataclass(frozen=True)
class Approvals:
    """Reads the word on a model from the registry, and tells it to whoever waits."""

    registry: "SageMakerClient"
    executions: "SFNClient"
    releases: ReleaseStore

    def say(self, package: str, word: Word) -> None:
        """Say the word on a package in the registry."""
        described: Any = self.registry.describe_model_package(ModelPackageName=package)
        self.registry.update_model_package(
            ModelPackageArn=package,
            ModelApprovalStatus=APPROVED if word.approved else REJECTED,
            ApprovalDescription=word.comment[:1_024],
            # Where an account has no SageMaker domain, the registry itself may not tell who it was.
            CustomerMetadataProperties={**(described.get("CustomerMetadataProperties") or {}), BY: word.by[:256]},
        )

    def word(self, package: str) -> tuple[str, Word | None]:
        """The run of a model package, empty if it is none of ours, and what was said of it, if anything was."""
        described: Any = self.registry.describe_model_package(ModelPackageName=package)
        run = (described.get("CustomerMetadataProperties") or {}).get(RUN_ID, "")
        status = described.get("ModelApprovalStatus")
        if status not in (APPROVED, REJECTED):
            return run, None
        comment = described.get("ApprovalDescription", "")
        return run, Word(approved=status == APPROVED, by=_who(described), comment=comment)

    def take_back(self, lineage: Lineage, word: Word, *, at: int) -> None:
        """Reject a model that was approved and was rolled back, so that nothing goes back to it unasked."""
        _, said = self.word(lineage.package) if lineage.package else ("", None)
        if said is None or not said.approved:
            return
        self.say(lineage.package, word)
        self._note(lineage.version, word, at=at)

    def settle(self, run: str, word: Word, *, at: int, token: str = "") -> bool:
        """Write down what was said, and tell it to the execution that waits, if one does.

        Parameters
        ----------
        at : int
            Milliseconds since the epoch, UTC.
        token : str
            Of the execution; without it, the one that was kept.

        Returns
        -------
        bool
            Whether one waited.
        """
        if not token:
            waiting = self.releases.waiting(run)
            token = "" if waiting is None else waiting.token
        self._note(run, word, at=at)
        if not token:
            return False
        told = True
        try:
            self.executions.send_task_success(taskToken=token, output=msgspec.json.encode(word).decode())
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            told = False  # It was told before, or waits no longer.
        self.releases.answered(run, token)
        return told

    def _note(self, run: str, word: Word, *, at: int) -> None:
        what: Happened = "approved" if word.approved else "declined"
        self.releases.happened(run, Event(what=what, at=at, by=word.by, reason=word.comment))


def _who(described: Any) -> str:
    """Whoever touched the package last."""
    context = described.get("LastModifiedBy") or {}
    identity = context.get("IamIdentity") or {}
    metadata = described.get("CustomerMetadataProperties") or {}
    known = (context.get("UserProfileName"), identity.get("Arn"), metadata.get(BY))
    return next((str(each) for each in known if each), "unknown")

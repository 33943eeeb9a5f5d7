"""The word on a model: it is said in the registry, and told to the execution that waits for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from runtime.stores.releases import Event, Happened, Lineage, ReleaseStore

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

__all__ = ["Approvals", "Word", "is_approved"]

APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
RUN_ID = "run_id"
"""The metadata of a model package that names its run."""
BY = "decided_by"
"""And who approved or rejected it."""

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
    described = client.describe_model_package(ModelPackageName=lineage.package)
    return described.get("ModelApprovalStatus") == APPROVED


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

    def settle(self, run: str, word: Word, *, at: int) -> bool:
        """Write down what was said, and tell it to the execution that waits.

        Parameters
        ----------
        at : int
            Milliseconds since the epoch, UTC.

        Returns
        -------
        bool
            Whether one waited.
        """
        what: Happened = "approved" if word.approved else "declined"
        waiting = self.releases.waiting(run)
        if waiting is None:
            return False
        self.releases.happened(run, Event(what=what, at=at, by=word.by, reason=word.comment))
        told = True
        try:
            self.executions.send_task_success(taskToken=waiting.token, output=msgspec.json.encode(word).decode())
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            told = False  # It was told before, or waits no longer.
        self.releases.answered(run)
        return told


def _who(described: Any) -> str:
    """Whoever touched the package last."""
    context = described.get("LastModifiedBy") or {}
    identity = context.get("IamIdentity") or {}
    metadata = described.get("CustomerMetadataProperties") or {}
    known = (context.get("UserProfileName"), identity.get("Arn"), metadata.get(BY))
    return next((str(each) for each in known if each), "unknown")

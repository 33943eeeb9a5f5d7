"""One step of a release: into the shadow, a canary, the champion, and out again; asked twice, it is done once.

A step that may not be taken any more, since somebody else acted meanwhile, is an answer and not a failure:
`refused`, with the reason.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from fraud.release import ReleasePolicy
from fraud.runids import run_id_of
from runtime import clients
from runtime.approvals import Approvals, Word, has_stopped, is_approved
from runtime.auditing import AuditTrail
from runtime.bundles import BundleStore
from runtime.configuration import Profile
from runtime.notices import subject
from runtime.publishing import Published, Publisher
from runtime.releasing import RUN, NotReleasedError, OvertakenError, Releaser
from runtime.settings import load
from runtime.stores.lineages import Happened
from runtime.stores.releases import DynamoReleaseStore
from runtime.telemetry import instrumented, logger


@dataclass(frozen=True)
class Settings(Profile):
    appconfig_strategy: str
    appconfig_key: str
    models_bucket: str
    releases_table: str
    audit_table: str
    alarm_topic: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the state machine, or the rule for executions that failed, asks for.

    Attributes
    ----------
    action : str
        ``confirm`` ends the probation of a champion.
    version : str
        The model; without it, that of the execution.
    execution : str
        The name or the ARN of an execution.
    champion : str, optional
        Who was champion when the run was planned, empty for nobody: nobody else may be replaced, or be tried
        against. By default whoever is.
    stopped_at : int or str, optional
        When the execution ended badly, in ms since the epoch. The model is then withdrawn for want of anybody who
        watches it, and only if the execution was not re-driven meanwhile.
    policy : ReleasePolicy
        The share of a canary, and whether the champion before is kept for a probation.
    """

    action: Literal["shadow", "canary", "promote", "confirm", "withdraw"]
    version: str = ""
    execution: str = ""
    champion: str | None = None
    stopped_at: int | str | None = None
    policy: ReleasePolicy = ReleasePolicy()
    reason: str = ""

    @property
    def model(self) -> str:
        """The version in question; a version is named like its run."""
        if self.version or self.execution:
            return self.version or run_id_of(self.execution.rpartition(":")[2])
        raise ValueError("version: name the model, or its execution")

    @property
    def by(self) -> str:
        """Who asks, for the history."""
        return f"{RUN}:{self.execution.rpartition(':')[2]}" if self.execution else RUN


class Called(Protocol):
    """What Lambda tells of a call."""

    def get_remaining_time_in_millis(self) -> int:
        """How long it may still take."""
        ...


_BECOMES: dict[str, Happened] = {"shadow": "shadow", "canary": "canary", "promote": "champion"}
_AROUND = 15.0
"""Seconds for all else than to wait for a deployment."""

settings = load(Settings)
executions = clients.stepfunctions()
dynamodb = clients.dynamodb()
releases = DynamoReleaseStore(dynamodb, settings.releases_table, AuditTrail(dynamodb, settings.audit_table))
approvals = Approvals(clients.sagemaker(), executions, releases)
releaser = Releaser(
    publisher=Publisher(
        clients.appconfig(), settings, settings.appconfig_strategy, settings.appconfig_key, releases
    ),
    releases=releases,
    bundles=BundleStore(clients.s3(clients.PATIENT), settings.models_bucket),
    approved=lambda lineage: is_approved(approvals.registry, lineage),
)
topic = clients.sns()


@instrumented
def handler(event: dict[str, Any], context: Called) -> dict[str, Any]:
    """Answer with what serves now, since when the model is what it was made, or that it was refused."""
    asked = msgspec.convert(event, Asked)
    patient = releaser.waiting(context.get_remaining_time_in_millis() / 1_000 - _AROUND)
    refusal = ""
    published: Published | None = None
    try:
        published = release(asked, patient)
    except NotReleasedError as error:
        if asked.action == "shadow":
            raise  # Nothing can have been taken back yet: this is a mistake.
        refusal = str(error)
    champion = "" if published is None else published.served.document.champion or ""
    answer = {
        "version": asked.model,
        "changed": published is not None and published.changed,
        "champion": champion,
        "number": 0 if published is None else published.served.number,
        "since": _since(asked),
        "refused": bool(refusal),
        "reason": refusal or asked.reason,
    }
    logger.info("refused" if refusal else "released", extra={"action": asked.action, **answer})
    if asked.stopped_at is not None:
        tell(asked, withdrawn=published is not None, refusal=refusal)
    return answer


def tell(asked: Asked, *, withdrawn: bool, refusal: str) -> None:
    """Tell people that a run ended badly, what became of what it had released, and how to go on."""
    run = asked.execution.rpartition(":")[2]
    became = "What it had released was withdrawn" if withdrawn else "It had nothing released that serves"
    if refusal:
        became = f"What it had released stays: {refusal}"
    topic.publish(
        TopicArn=settings.alarm_topic,
        Subject=subject(f"Paywarden: run {run} ended badly"),
        Message=(
            f"Paywarden: run {run}: {asked.reason}. {became}. Read why in the execution, {asked.execution}, "
            f"and go on from there with: paywarden train --resume {run}"
        ),
    )


def release(asked: Asked, releaser: Releaser) -> Published | None:
    """Take the step; None if there was nothing to withdraw.

    Raises
    ------
    NotReleasedError
        If it may not be taken, or not any more.
    """
    told: dict[str, str] = {"by": asked.by, "reason": f"{asked.action} {asked.model}: {asked.reason}"}
    match asked.action:
        case "shadow":
            return releaser.shadow(asked.model, **told)
        case "canary":
            return releaser.canary(asked.model, asked.policy.canary_share, champion=asked.champion, **told)
        case "promote":
            keeps = asked.policy.probation_minutes > 0
            return releaser.promote(asked.model, keeps_former=keeps, champion=asked.champion, **told)
        case "confirm":
            return releaser.confirm(asked.model, **told)
        case "withdraw" if asked.stopped_at is not None:
            # A rule of the bus may write numbers as text, and nothing for none.
            if not has_stopped(executions, asked.execution, at=int(asked.stopped_at or 0)):
                raise OvertakenError(f"execution {asked.execution} was re-driven, and sees to its model itself")
            return releaser.withdraw(asked.model, **told)
        case "withdraw":
            return _roll_back(asked, releaser, told)


def _roll_back(asked: Asked, releaser: Releaser, told: dict[str, str]) -> Published | None:
    """Withdraw a model for what was seen of it: it is no longer approved either."""
    published = releaser.withdraw(asked.model, **told)
    lineage = releases.lineage(asked.model)
    if published is not None and lineage is not None:
        word = Word(approved=False, by=told["by"], comment=told["reason"])
        approvals.take_back(lineage, word, at=releaser.publisher.clock())
    return published


def _since(asked: Asked) -> int:
    """When the model became what it was asked to become, in ms; 0 for other steps."""
    lineage = releases.lineage(asked.model) if asked.action in _BECOMES else None
    last = None if lineage is None else lineage.last(_BECOMES[asked.action])
    return 0 if last is None else last.at

"""Asking for the approval of a model: of the bounds, which it kept to by now, or of a person."""

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from fraud.release import ReleasePolicy
from runtime import clients
from runtime.approvals import Approvals, Word
from runtime.auditing import AuditTrail
from runtime.notices import subject
from runtime.settings import load
from runtime.stores.lineages import Event, Waiting
from runtime.stores.releases import DynamoReleaseStore
from runtime.telemetry import instrumented, logger


@dataclass(frozen=True)
class Settings:
    releases_table: str
    audit_table: str
    alarm_topic: str
    environment: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the state machine asks.

    Attributes
    ----------
    token : str
        Of the task that waits; it is answered with a `runtime.approvals.Word`. Without one, it waited in vain.
    package : str
        The ARN of the model package.
    reason : str
        The sentence of the gate.
    report, comparison : str
        Where the reports lie.
    """

    token: str = ""
    run_id: str
    version: str
    package: str
    execution: str
    reason: str = ""
    report: str = ""
    comparison: str = ""
    champion: str = ""
    policy: ReleasePolicy = ReleasePolicy()


settings = load(Settings)
dynamodb = clients.dynamodb()
releases = DynamoReleaseStore(dynamodb, settings.releases_table, AuditTrail(dynamodb, settings.audit_table))
approvals = Approvals(clients.sagemaker(), clients.stepfunctions(), releases)
topic = clients.sns()


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Keep the token, and answer with whether anybody has to be waited for; without one, with the last word."""
    del context
    request, at = msgspec.convert(event, Request), time.time_ns() // 1_000_000
    return {"waits": ask(request, at=at)} if request.token else read(request, at=at)


def ask(request: Request, *, at: int) -> bool:
    """Ask for the word on a model; whether it is still to come.

    The token is kept before the registry is looked at: a word that is said in between is then told by the event of
    the registry, and one that was said before is told here. Being told twice does no harm.
    """
    run = request.run_id
    releases.wait(run, Waiting(token=request.token, asked_at=at, sentence=request.reason))
    _, word = approvals.word(request.package)
    if word is None and request.policy.approval == "bounds":
        word = Word(approved=True, by="bounds", comment=f"Within the bounds of its run. {request.reason}")
        approvals.say(request.package, word)
    if word is not None:
        approvals.settle(run, word, at=at, token=request.token)
        logger.info("approval settled", extra={"run_id": run, "approved": word.approved, "by": word.by})
        return False
    releases.happened(run, Event(what="asked", at=at, by=f"retrain:{run}", reason=request.reason))
    topic.publish(
        TopicArn=settings.alarm_topic,
        Subject=subject(f"Paywarden: model {request.version} waits for approval"),
        Message=message(request, settings.environment),
    )
    logger.info("approval asked for", extra={"run_id": run})
    return True


def read(request: Request, *, at: int) -> dict[str, Any]:
    """What the registry says once the time is over; a word that did not reach the execution counts."""
    _, word = approvals.word(request.package)
    if word is None:
        hours = f"{request.policy.approval_hours:g} hours"
        return {"approved": False, "reason": f"nobody approved or rejected the model within {hours}"}
    approvals.settle(request.run_id, word, at=at)
    logger.info("approval read", extra={"run_id": request.run_id, "approved": word.approved, "by": word.by})
    said = "approved" if word.approved else "did not approve"
    return {"approved": word.approved, "reason": f"{word.by} {said} the model: {word.comment}"}


def message(request: Request, environment: str) -> str:
    """What a person reads who is to approve a model."""
    region = request.package.split(":")[3]
    console = f"https://{region}.console.aws.amazon.com"
    lines = [
        f"Model {request.version} passed every check of its run and waits for approval until "
        f"{request.policy.approval_hours:g} hours are over; nobody's word is no.",
        "",
        request.reason,
        "",
        f"It would follow {request.champion}." if request.champion else "It would be the first model.",
        f"Report: {request.report}report.html",
        *([f"Comparison in shadow: {request.comparison}report.html"] if request.comparison else []),
        f"Model package: {console}/sagemaker/home?region={region}#/model-packages/{request.package}",
        f"Execution: {console}/states/home?region={region}#/v2/executions/details/{request.execution}",
        "",
        f"To approve:  paywarden models approve {request.version} --reason '...' --env {environment}",
        f"To reject:   paywarden models reject {request.version} --reason '...' --env {environment}",
    ]
    return "\n".join(lines)

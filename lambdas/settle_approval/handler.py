"""A model package was approved or rejected: the execution that waits for it is told."""

import time
from dataclasses import dataclass
from typing import Any

from runtime import clients
from runtime.approvals import Approvals
from runtime.auditing import AuditTrail
from runtime.settings import load
from runtime.stores.releases import DynamoReleaseStore
from runtime.telemetry import instrumented, logger


@dataclass(frozen=True)
class Settings:
    releases_table: str
    audit_table: str


settings = load(Settings)
dynamodb = clients.dynamodb()
approvals = Approvals(
    clients.sagemaker(),
    clients.stepfunctions(),
    DynamoReleaseStore(dynamodb, settings.releases_table, AuditTrail(dynamodb, settings.audit_table)),
)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take the event "SageMaker Model Package State Change"; answer with whether an execution was told.

    The event says that something changed, and the registry what it is now: events may come twice, or late.
    """
    del context
    package: str = event["detail"]["ModelPackageArn"]
    run, word = approvals.word(package)
    told = bool(run) and word is not None and approvals.settle(run, word, at=time.time_ns() // 1_000_000)
    logger.info("approval settled" if told else "nobody waits for this", extra={"run_id": run, "package": package})
    return {"run_id": run, "told": told}

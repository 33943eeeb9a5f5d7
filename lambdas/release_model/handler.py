"""One step of a release: into the shadow, a canary, the champion, and out again; asked twice, it is done once."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from fraud.release import ReleasePolicy
from fraud.runids import run_id_of
from runtime import clients
from runtime.approvals import is_approved
from runtime.bundles import BundleStore
from runtime.configuration import Profile
from runtime.publishing import Published, Publisher
from runtime.releasing import Releaser
from runtime.settings import load
from runtime.stores.releases import DynamoReleaseStore, Happened
from runtime.telemetry import logger


@dataclass(frozen=True)
class Settings(Profile):
    appconfig_strategy: str
    models_bucket: str
    releases_table: str


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
    policy : ReleasePolicy
        The share of a canary, and whether the champion before is kept for a probation.
    """

    action: Literal["shadow", "canary", "promote", "confirm", "withdraw"]
    version: str = ""
    execution: str = ""
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
        return f"retrain:{self.execution.rpartition(':')[2]}" if self.execution else "retrain"


_BECOMES: dict[str, Happened] = {"shadow": "shadow", "canary": "canary", "promote": "champion"}

settings = load(Settings)
registry = clients.sagemaker()
releases = DynamoReleaseStore(clients.dynamodb(), settings.releases_table)
releaser = Releaser(
    publisher=Publisher(clients.appconfig(), settings, settings.appconfig_strategy, releases),
    releases=releases,
    bundles=BundleStore(clients.s3(), settings.models_bucket),
    approved=lambda lineage: is_approved(registry, lineage),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer with what serves now, and since when the model is what it was made."""
    del context
    asked = msgspec.convert(event, Asked)
    published = release(asked)
    champion = "" if published is None else published.served.document.champion or ""
    answer = {
        "version": asked.model,
        "changed": published is not None and published.changed,
        "champion": champion,
        "number": 0 if published is None else published.served.number,
        "since": _since(asked),
        "reason": asked.reason,
    }
    logger.info("released", extra={"action": asked.action, **answer})
    return answer


def release(asked: Asked) -> Published | None:
    """Take the step; None if there was nothing to withdraw."""
    told: dict[str, str] = {"by": asked.by, "reason": f"{asked.action} {asked.model}: {asked.reason}"}
    match asked.action:
        case "shadow":
            return releaser.shadow(asked.model, **told)
        case "canary":
            return releaser.canary(asked.model, asked.policy.canary_share, **told)
        case "promote":
            return releaser.promote(asked.model, keeps_former=asked.policy.probation_minutes > 0, **told)
        case "confirm":
            return releaser.confirm(asked.model, **told)
        case "withdraw":
            return releaser.withdraw(asked.model, **told)


def _since(asked: Asked) -> int:
    """When the model became what it was asked to become, in ms; 0 for other steps."""
    lineage = releases.lineage(asked.model) if asked.action in _BECOMES else None
    last = None if lineage is None else lineage.last(_BECOMES[asked.action])
    return 0 if last is None else last.at

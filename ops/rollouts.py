"""New code that is taking over: the deployment of a function that CodeDeploy is in the middle of, and its end."""

import time
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.versions import LIVE, Code, RollbackError

__all__ = ["Rollout", "stop", "under_way"]

_OPEN: Final = ["Created", "Queued", "InProgress", "Baking", "Ready"]
_STOPPED: Final = ["Stopped", "Failed"]
PATIENCE: Final = 60.0
"""Seconds that CodeDeploy is given to stop and to go back."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A deployment that CodeDeploy has begun and not ended."""

    id: str


def under_way(deployment: Deployment, verb_noun: str) -> Rollout | None:
    """The deployment in which a function is; None if it is in none, or its versions follow each other at once."""
    if deployment.environment.shift is None:
        return None
    name = deployment.environment.deployment_name(verb_noun)
    try:
        found = deployment.client("codedeploy").list_deployments(
            applicationName=name, deploymentGroupName=name, includeOnlyStatuses=_OPEN
        )["deployments"]
    except ClientError as error:
        # Deployed with `-c canary=off`, or not anew since there are canaries.
        if error.response["Error"]["Code"] not in (
            "ApplicationDoesNotExistException",
            "DeploymentGroupDoesNotExistException",
        ):
            raise
        return None
    return Rollout(found[0]) if found else None


def stop(
    deployment: Deployment, rollout: Rollout, code: Code, *, patience: float = PATIENCE, poll: float = 2.0
) -> None:
    """End a deployment: all calls go to the version before, and CloudFormation takes its change back.

    Raises
    ------
    RollbackError
        If it ended by itself just now, or has not stopped and given all calls back within `patience` seconds.
    """
    client, start = deployment.client("codedeploy"), time.monotonic()
    try:
        client.stop_deployment(deploymentId=rollout.id, autoRollbackEnabled=True)
    except ClientError as error:
        if error.response["Error"]["Code"] != "DeploymentAlreadyCompletedException":
            raise
    while (status := client.get_deployment(deploymentId=rollout.id)["deploymentInfo"]["status"]) not in _STOPPED:
        if status == "Succeeded":
            raise RollbackError(
                f"deployment {rollout.id} was complete before it could be stopped, and its version is live: "
                "run this again"
            )
        if time.monotonic() - start > patience:
            raise RollbackError(
                f"deployment {rollout.id} is asked to stop and still {status.lower()} after {patience:,.0f} s; "
                "look again before anything else is changed"
            )
        time.sleep(poll)
    # CodeDeploy goes back by a deployment of its own, which may be slow or fail.
    while others := _others(deployment, code):
        if time.monotonic() - start > patience:
            raise RollbackError(
                f"deployment {rollout.id} is stopped, and after {patience:,.0f} s the alias still sends calls to "
                f"version {' and '.join(others)}; look at CodeDeploy's roll-back"
            )
        time.sleep(poll)


def _others(deployment: Deployment, code: Code) -> list[str]:
    """The versions beside the live one that the alias sends calls to."""
    alias = deployment.client("lambda").get_alias(FunctionName=code.name, Name=LIVE)
    shares = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    return sorted({alias["FunctionVersion"], *shares} - {str(code.live)})

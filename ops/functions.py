"""A deployment's functions by their names in this repository, and calls to them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from botocore.config import Config

from ops.deployment import Deployment, DeploymentError

__all__ = ["FunctionError", "calling", "configurations", "deployed", "log_groups"]

_LONGEST = 300
"""Seconds that a call waits; no function of ours may run longer."""


class FunctionError(Exception):
    """A function failed; the message says which, and its own words."""


def configurations(deployment: Deployment) -> dict[str, Any]:
    """The functions as Lambda describes them, by verb_noun, such as ``score_transaction``."""
    prefix = f"{deployment.environment.prefix}-"
    found = {}
    for page in deployment.client("lambda").get_paginator("list_functions").paginate():
        for each in page["Functions"]:
            service = each.get("Environment", {}).get("Variables", {}).get("POWERTOOLS_SERVICE_NAME")
            if service and each["FunctionName"].startswith(prefix):
                found[service] = each
    return dict(sorted(found.items()))


def deployed(deployment: Deployment) -> dict[str, str]:
    """The full names of the functions by verb_noun."""
    return {verb_noun: each["FunctionName"] for verb_noun, each in configurations(deployment).items()}


def log_groups(deployment: Deployment) -> dict[str, str]:
    """The log groups of the functions by verb_noun."""
    return {
        verb_noun: each.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{each['FunctionName']}"
        for verb_noun, each in configurations(deployment).items()
    }


def calling(deployment: Deployment, verb_noun: str) -> Callable[[Any], Any]:
    """A function that can be called with a payload, any number of times; each call waits for its answer.

    It is looked up once, at the first call. A call raises

    - `DeploymentError` if it is not deployed,
    - `FunctionError` if it failed,
    - the errors of botocore if it could not be called.
    """

    @cache
    def found() -> tuple[Any, str]:
        names = deployed(deployment)
        if verb_noun not in names:
            raise DeploymentError(
                f"function {verb_noun} is not deployed in {deployment.environment.name}; deploy it"
            )
        # What the function does may be done even where no answer comes, so that no call is repeated by itself.
        config = Config(read_timeout=_LONGEST, retries={"total_max_attempts": 1})
        return deployment.session.client("lambda", config=config), names[verb_noun]

    def call(payload: Any) -> Any:
        client, name = found()
        answer = client.invoke(FunctionName=name, Payload=msgspec.json.encode(payload))
        body = answer["Payload"].read()
        if "FunctionError" in answer:
            raise FunctionError(f"{verb_noun}: {_words(body)}")
        return msgspec.json.decode(body)

    return call


def _words(body: bytes) -> str:
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "it failed without words; its log says why"
    return str(told.get("errorMessage", "")) if isinstance(told, dict) else str(told)

"""The versions of a function's code, and which of them answers: its alias `live`, moved and remembered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.functions import deployed
from ops.times import now, shown

__all__ = [
    "KEPT",
    "LIVE",
    "Code",
    "RollbackError",
    "Version",
    "awake",
    "code_of",
    "codes",
    "delete",
    "move",
    "spare",
    "target",
]

LIVE: Final = "live"
KEPT: Final = 2
"""How many versions before the live one are kept.

The snapshot of each one of score_transaction is paid for as long as it exists.
"""
LEFT: Final = "paywarden:rolled-back-from"
"""The tag of a function with the versions that were left by a roll-back.

Deployments do not touch it, while they may drop what an alias's description says.
"""
PATIENCE: Final = 300.0
"""Seconds that a sleeping version is given to wake up: a new snapshot takes a minute or two."""
_MOST_DESCRIBED: Final = 256
"""Characters that Lambda keeps as an alias's description."""
_MOST_LEFT: Final = 30
"""Versions in the tag, whose value has 256 characters."""


class RollbackError(Exception):
    """Code cannot go back so; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Version:
    """A published version of a function.

    Attributes
    ----------
    published_at : str
        As Lambda tells it: ISO 8601 in UTC.
    state : str
        ``Active``, or ``Inactive`` if Lambda has to prepare it again first, as it may with SnapStart. AWS tells of
        14 days without a call, in one place for every runtime and in another for Java alone.
    """

    number: int
    published_at: str
    digest: str
    state: str


@dataclass(frozen=True)
class Code:
    """The versions of one function, the newest first, and which of them its alias `live` points to.

    Attributes
    ----------
    name : str
        The function's full name.
    shared : bool
        Whether the alias sends a part of its calls elsewhere.
    described : str
        What was said when the alias was moved last.
    revision : str
        Of the alias; it changes with it.
    arn : str
        Of the function.
    left : set of int
        Versions that were live and rolled back from, and not chosen again since.
    """

    name: str
    live: int
    versions: Sequence[Version]
    shared: bool
    described: str
    revision: str
    arn: str
    left: frozenset[int]


def code_of(deployment: Deployment, verb_noun: str) -> Code:
    """The versions of a function.

    Raises
    ------
    RollbackError
        If there is no such function, or nobody calls it by its alias.
    """
    names = deployed(deployment)
    if verb_noun not in names:
        raise RollbackError(f"there is no function {verb_noun!r}; there are {', '.join(names)}")
    code = _code(deployment.client("lambda"), names[verb_noun])
    if code is None:
        raise RollbackError(
            f"{verb_noun} has no alias {LIVE!r}: queues and workflows call its newest code. Deploy the revision "
            "before it instead: `git switch --detach REVISION`, then `make deploy`. If CloudFormation refuses "
            "since an export is in use, go back in two steps (docs/upgrades.md)"
        )
    return code


def codes(deployment: Deployment) -> dict[str, Code]:
    """The versions of every function that is called by its alias, by verb_noun."""
    client = deployment.client("lambda")
    found = {verb_noun: _code(client, name) for verb_noun, name in deployed(deployment).items()}
    return {verb_noun: code for verb_noun, code in found.items() if code is not None}


def _code(client: Any, name: str) -> Code | None:
    try:
        alias = client.get_alias(FunctionName=name, Name=LIVE)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    versions = [_version(each) for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"]
    arn = alias["AliasArn"].removesuffix(f":{LIVE}")
    left = client.list_tags(Resource=arn).get("Tags", {}).get(LEFT, "")
    return Code(
        name=name,
        live=int(alias["FunctionVersion"]),
        versions=sorted(versions, key=lambda each: -each.number),
        shared=bool(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights")),
        described=alias.get("Description", ""),
        revision=alias.get("RevisionId", ""),
        arn=arn,
        left=frozenset(int(each) for each in left.split()),
    )


def target(code: Code, version: int | None) -> Version:
    """The version to go to: the one that is named, or the last good one before that which is live.

    A version that was rolled back from is not good: if the deployment after it is bad too, it does not come back.

    Raises
    ------
    RollbackError
        If there is none, or it is live already.
    """
    if version is None:
        earlier = [each for each in code.versions if each.number < code.live]
        good = [each for each in earlier if each.number not in code.left]
        if good:
            return good[0]
        if earlier:
            told = ", ".join(str(each.number) for each in earlier)
            raise RollbackError(
                f"all versions before {code.live}, which is live, were rolled back from: {told}. Name one, or "
                "deploy the revision that is good"
            )
        raise RollbackError(
            f"there is no version before {code.live}, which is live; environments that do not keep data keep "
            "no old versions either: deploy the revision before it"
        )
    if version == code.live:
        raise RollbackError(f"version {version} is live already")
    found = [each for each in code.versions if each.number == version]
    if not found:
        there = ", ".join(str(each.number) for each in code.versions)
        raise RollbackError(f"there is no version {version}; there are {there}")
    return found[0]


def spare(code: Code) -> list[Version]:
    """The versions that nobody goes back to: all before the live one but `KEPT`, and the last good one.

    What is newer than the live one stays: the deployment that published it gives it calls, or was left by a
    roll-back and is what CloudFormation goes on from.
    """
    earlier = [each for each in code.versions if each.number < code.live]
    good = [each for each in earlier if each.number not in code.left]
    return [each for each in earlier[KEPT:] if each not in good[:1]]


def delete(deployment: Deployment, code: Code, versions: Sequence[Version]) -> None:
    """Delete versions; Lambda refuses one that an alias names."""
    numbers = [each.number for each in versions]
    deployment.tell("code", "prune", of=code.name, before={"versions": numbers}, after={"live": code.live})
    for number in numbers:
        deployment.client("lambda").delete_function(FunctionName=code.name, Qualifier=str(number))


def awake(
    deployment: Deployment,
    code: Code,
    to: Version,
    *,
    patience: float = PATIENCE,
    poll: float = 2.0,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Wait until a version can be called, and have it prepared if it is not.

    A version that sleeps answers its first call with an error and is prepared then, which merchants are to be
    spared. The call is an empty one, and no function takes it for work.

    Raises
    ------
    RollbackError
        If it fails to start, or does not within `patience` seconds.
    """
    client, number, start = deployment.client("lambda"), str(to.number), time.monotonic()
    while True:
        found = client.get_function_configuration(FunctionName=code.name, Qualifier=number)
        state, why = found.get("State", "Active"), found.get("StateReason", "")
        if state == "Active":
            return
        waited = time.monotonic() - start
        if state not in ("Pending", "Inactive"):
            raise RollbackError(f"version {number} cannot serve, it is {state.lower()}: {why}. Name another one")
        if waited > patience:
            raise RollbackError(
                f"version {number} is still {state.lower()} after {waited:,.0f} s and was not made live: {why}. "
                "Run this again, or name another one"
            )
        tell(f"version {number} is {state.lower()}; waiting until it is active: {waited:,.0f} s")
        if state == "Inactive":
            _wake(client, code.name, number)
        time.sleep(poll)


def _wake(client: Any, name: str, number: str) -> None:
    try:
        client.invoke(FunctionName=name, Qualifier=number, Payload=b"{}")
    except ClientError as error:
        # That it is not ready is what was expected: with the call its preparation begins.
        if error.response["Error"]["Code"] not in ("SnapStartNotReadyException", "ResourceConflictException"):
            raise


def move(deployment: Deployment, code: Code, to: Version, *, by: str, reason: str) -> None:
    """Let the alias point to a version, for all calls, and remember which one was left.

    Raises
    ------
    RollbackError
        If somebody else moved it since `code` was read.
    """
    moment = f"{shown(now())} UTC"
    deployment.tell(
        "code", "roll back", of=code.name, before={"live": code.live}, after={"live": to.number}, reason=reason
    )
    told = f"{moment}: from {code.live} to {to.number} by {by.rpartition('/')[2]}: {reason}"
    try:
        deployment.client("lambda").update_alias(
            FunctionName=code.name,
            Name=LIVE,
            FunctionVersion=str(to.number),
            Description=told[:_MOST_DESCRIBED],
            RoutingConfig={"AdditionalVersionWeights": {}},
            **({"RevisionId": code.revision} if code.revision else {}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailedException":
            raise
        raise RollbackError("somebody else moved the alias just now; look again, then run this again") from error
    # Going forward again undoes a roll-back: neither of the two is a version that was left then.
    left = code.left - {to.number} | ({code.live} if to.number < code.live else frozenset())
    there = {each.number for each in code.versions}
    text = " ".join(str(each) for each in sorted(left & there, reverse=True)[:_MOST_LEFT])
    deployment.client("lambda").tag_resource(Resource=code.arn, Tags={LEFT: text})


def _version(told: Any) -> Version:
    return Version(
        number=int(told["Version"]),
        published_at=told["LastModified"],
        digest=told.get("CodeSha256", ""),
        state=told.get("State", "Active"),
    )

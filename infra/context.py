"""What the command line and cdk.json say of the environment to build, which is CDK context."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from constructs import Node

from infra.environment import Environment
from infra.environments import lookup
from infra.targets import target

__all__ = ["environment_of", "provider_exists", "repository_of"]


def environment_of(node: Node) -> Environment:
    """The environment that an app's context names, bound to its account and region.

    ==================== ==========================================================================
    ``env``              its name
    ``accounts``         in cdk.json, where each environment is deployed
    ``account, region``  where this one is, if nothing is written down for it
    ``unpinned=true``    leave the stacks agnostic, to look at templates
    ``canary=off``       let new code take over all at once, whatever alarms say: the way out while one is on
    ==================== ==========================================================================

    Raises
    ------
    ValueError
        Naming what is wrong.
    """

    def said(name: str) -> Any:
        return node.try_get_context(name)

    accounts = said("accounts") or {}
    if not isinstance(accounts, Mapping):
        raise ValueError(f"accounts: {accounts!r} is no object; it belongs into cdk.json")
    chosen = target(
        lookup(said("env") or ""),
        accounts,
        account=said("account"),
        region=said("region"),
        unpinned=_switch("unpinned", said("unpinned"), on="true", off="false"),
    )
    keeps = _switch("canary", said("canary"), on="on", off="off", otherwise=True)
    return chosen if keeps else replace(chosen, canary=None)


def repository_of(node: Node) -> str | None:
    """The repository on GitHub whose workflows deploy (``-c repository=organisation/name``), or None.

    GitHub's tokens of a repository that is new, renamed or transferred since July 2026 name it with its ids:
    ``organisation@ID/name@ID``.

    Raises
    ------
    ValueError
        If it is not of this form: a pattern in it would let other repositories in.
    """
    said: str | None = node.try_get_context("repository")
    if said is not None and not re.fullmatch(r"[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9._-]+(?(1)@[0-9]+)", said):
        raise ValueError(f"repository: {said!r} is neither organisation/name nor organisation@ID/name@ID")
    return said


def provider_exists(node: Node) -> bool:
    """Whether the account has GitHub's OIDC provider already (``-c provider=existing``).

    Raises
    ------
    ValueError
        If anything else than ``existing`` or ``new`` is said.
    """
    return _switch("provider", node.try_get_context("provider"), on="existing", off="new")


def _switch(name: str, said: str | None, *, on: str, off: str, otherwise: bool = False) -> bool:
    if said is None:
        return otherwise
    if said not in (on, off):
        raise ValueError(f"{name}: {said!r} is neither {on} nor {off}")
    return said == on

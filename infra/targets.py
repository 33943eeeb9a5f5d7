"""Where an environment is deployed to: what is written down in cdk.json, and what the command line may say."""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from infra.environment import Environment
from infra.environments import lookup

__all__ = ["target"]

_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {"account": r"[0-9]{12}", "region": r"[a-z]{2,3}(-[a-z]+){1,2}-[0-9]"}
)


def target(
    environment: Environment,
    accounts: Mapping[str, Mapping[str, str]],
    *,
    account: str | None = None,
    region: str | None = None,
    unpinned: bool = False,
) -> Environment:
    """The environment, bound to where it is deployed.

    Parameters
    ----------
    accounts : mapping of str to mapping of str to str
        What is written down (``accounts`` in cdk.json): by environment its ``account`` and its ``region``.
    account, region : str, optional
        What the command line says. It may repeat what is written down, and does not override it.
    unpinned : bool
        Leave the stacks agnostic, to look at their templates: nobody can mistake that for a deployment.

    Raises
    ------
    ValueError
        If account and region are not both known or not well formed, differ from what is written down, or are
        missing where the environment asks for them.
    """
    for name in accounts:
        lookup(name)
    written = dict(accounts.get(environment.name, {}))
    given = {key: value for key, value in (("account", account), ("region", region)) if value is not None}
    for where, told in ((f"accounts.{environment.name}", written), ("-c", given)):
        for key, value in told.items():
            _well_formed(where, key, value)
    for key, value in given.items():
        if value != written.get(key, value):
            raise ValueError(
                f"{key}: {environment.name} is pinned to {written[key]} in cdk.json, and -c {key} says {value}"
            )
    if unpinned:
        return environment
    known = written | given
    missing = [each for each in _FORMS if each not in known]
    if known and missing:
        raise ValueError(f"{missing[0]}: give account and region together, or neither")
    if missing and environment.pinned:
        raise ValueError(
            f"accounts: {environment.name} is deployed to one account and region; write them down in cdk.json "
            'like {"ENV": {"account": "...", "region": "..."}}, or look at templates without, by -c unpinned=true'
        )
    return replace(environment, account=known.get("account"), region=known.get("region"))


def _well_formed(where: str, name: str, value: object) -> None:
    if name not in _FORMS:
        raise ValueError(f"{where}.{name}: there are only {' and '.join(_FORMS)}")
    if not isinstance(value, str) or not re.fullmatch(_FORMS[name], value):
        raise ValueError(f"{where} {name}: {value!r} is none; accounts are 12 digits in quotes")

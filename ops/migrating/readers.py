"""Which versions of the packed form the deployed functions read, as each version of their code says itself."""

from collections.abc import Iterator
from typing import Any

from ops.deployment import Deployment
from ops.functions import deployed
from ops.migrating.errors import MigrationError

__all__ = ["READERS", "VARIABLE", "forms_of", "refuse_unread", "refuse_version"]

READERS = ("score_transaction", "update_features")
"""The functions that read states."""

VARIABLE = "STATE_FORMS"
"""Their variable with the versions that their code reads, such as ``2,3``: published versions keep it."""

_BEFORE = "2"
"""What code from before there was the variable reads."""


def refuse_unread(deployment: Deployment, form: int) -> None:
    """Refuse a form that some code which may be called now does not read.

    Raises
    ------
    MigrationError
        Naming the function and its version.
    """
    names = deployed(deployment)
    client = deployment.client("lambda")
    for reader in READERS:
        if reader not in names:
            raise MigrationError(f"function {reader} is not deployed in {deployment.environment.name}; deploy it")
        for version in _called(client, names[reader]):
            forms = forms_of(client, names[reader], version)
            if form not in forms:
                known = " and ".join(map(str, sorted(forms)))
                raise MigrationError(
                    f"{reader} (version {version}) reads states in form {known}, not {form}: deploy a release "
                    "that reads it, wait until it has taken over all calls, and run this again"
                )


def refuse_version(deployment: Deployment, verb_noun: str, name: str, version: int) -> None:
    """Refuse to let a version of a function serve that does not read the form which is written now.

    Parameters
    ----------
    verb_noun, name : str
        The function's name in this repository, and its full one.

    Raises
    ------
    MigrationError
        If it is one that reads states, and does not read those.
    """
    if verb_noun not in READERS:
        return
    written = deployment.features().look(())[0].form
    if written not in forms_of(deployment.client("lambda"), name, str(version)):
        raise MigrationError(
            f"version {version} of {verb_noun} does not read states in form {written}, which is written now: "
            "first `paywarden migrate states --to` a form that it reads, then run this again"
        )


def forms_of(client: Any, name: str, version: str) -> frozenset[int]:
    """The forms that a version of a function reads."""
    found = client.get_function_configuration(FunctionName=name, Qualifier=version)
    text = found.get("Environment", {}).get("Variables", {}).get(VARIABLE, _BEFORE)
    return frozenset(int(each) for each in text.split(","))


def _called(client: Any, name: str) -> Iterator[str]:
    """The versions of a function that a call may meet: its newest code, and all that its aliases point to."""
    yield "$LATEST"
    for page in client.get_paginator("list_aliases").paginate(FunctionName=name):
        for alias in page["Aliases"]:
            yield alias["FunctionVersion"]
            yield from alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

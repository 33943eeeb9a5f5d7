"""Synthesise environments with cdk-nag looking on: `python -m infra.inspection FOLDER NAME ...`.

The application itself knows nothing of cdk-nag: its packs are added here, to the same platform.
"""

import sys
from dataclasses import replace
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, PCIDSS321Checks

from infra.assembly import application
from infra.environment import Environment
from infra.environments import PROD, lookup

__all__ = ["inspected", "report_on", "synthesise"]


def inspected(name: str) -> Environment:
    """An environment by its name, or ``private``: production with a private edge."""
    return replace(PROD, edge=replace(PROD.edge, private=True)) if name == "private" else lookup(name)


def synthesise(name: str, folder: Path) -> None:
    """Write an environment's assembly, and the report of what cdk-nag and the CDK's own rules find in it.

    Raises
    ------
    RuntimeError
        If the templates cannot be made; findings are no such reason.
    """
    report_on(application(inspected(name), folder))


def report_on(app: cdk.App) -> None:
    """Synthesise an application with both packs looking on; see `synthesise`."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), PCIDSS321Checks(app))
    try:
        app.synth()
    except RuntimeError as error:
        # Findings end the synthesis, after all is written.
        if "ValidationFailed" not in str(error):
            raise


if __name__ == "__main__":
    for each in sys.argv[2:]:
        synthesise(each, Path(sys.argv[1]) / each)

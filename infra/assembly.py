"""Environments synthesised without the `cdk` command, for no account: `python -m infra.assembly FOLDER NAME`."""

import json
import sys
from pathlib import Path

import aws_cdk as cdk

from infra.environment import Environment
from infra.environments import lookup
from infra.platform import build

__all__ = ["application"]

_CONTEXT = Path(__file__).resolve().parents[1] / "cdk.json"


def application(environment: Environment, folder: Path) -> cdk.App:
    """The application with the platform in it, which writes to a folder once it is synthesised."""
    context = json.loads(_CONTEXT.read_text(encoding="utf-8"))["context"]
    app = cdk.App(outdir=str(folder), context=context, analytics_reporting=False)
    build(app, environment)
    return app


if __name__ == "__main__":
    application(lookup(sys.argv[2]), Path(sys.argv[1])).synth()

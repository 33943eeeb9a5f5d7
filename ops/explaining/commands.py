"""`paywarden explain ...`."""

import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port

__all__ = ["explain"]


def explain(
    transaction_id: Annotated[str, typer.Argument(help="As the merchant named it.")],
    merchant: Annotated[str, typer.Option("--merchant", "-m", help="The merchant's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Make a past decision once more and show what it follows from; exit code 1 if anything comes out otherwise.

    Takes the model, the rules and the policy of that moment, computes features of the payment itself, score,
    reasons, rules and action anew, and compares each with what was recorded, to the last bit. What cannot be
    computed again, since its state has moved on, is said. Nothing is changed.
    """
    from fraud.features import STANDARD
    from ops.explaining.errors import ExplainError
    from ops.explaining.finding import find
    from ops.explaining.replaying import Replayer
    from ops.explaining.tables import shown
    from runtime.bundles import BundleStore

    deployment = connect(env, port=port)
    found = find(deployment, merchant, transaction_id)
    bundles = BundleStore(deployment.client("s3"), deployment["ModelsBucket"])
    replayer = Replayer(STANDARD, bundles, deployment.settings(), deployment.releases())
    try:
        told = replayer.explain(found.row, found.answer, found.source)
    except msgspec.ValidationError as error:
        raise ExplainError(f"the {found.source}'s row is no decision: {error}") from error
    if as_json:
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        for each in shown(told):
            Console().print(each, highlight=False)
    if told.differs:
        raise typer.Exit(1)

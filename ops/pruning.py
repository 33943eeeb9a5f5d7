"""`paywarden prune-versions`: an end to versions of code that nobody goes back to."""

from typing import Annotated

import typer

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, Yes, ask, console
from ops.versions import codes, delete, spare

__all__ = ["prune_versions"]


def prune_versions(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Delete versions of functions' code that nobody goes back to. Run it after a deployment that stood.

    Deployments in staging and prod leave them, and AWS charges for the snapshot of one of score_transaction as
    long as it exists. Of each function that has the alias `live` there stay the live version, all newer ones,
    the two before it, and the one that `paywarden rollback code` goes to.
    """
    deployment = connect(env, port=port)
    found = [(verb_noun, code, spare(code)) for verb_noun, code in codes(deployment).items()]
    for verb_noun, code, versions in found:
        told = ", ".join(str(each.number) for each in versions) or "none"
        console.print(f"{verb_noun}: {code.live} is live; to delete: {told}", highlight=False)
    count = sum(len(versions) for *_, versions in found)
    if dry_run or not count:
        return
    ask(f"{count} versions in {env} are deleted, for good. Go?", yes=yes)
    for _, code, versions in found:
        if versions:
            delete(deployment, code, versions)
    console.print(f"{count} versions are deleted.", highlight=False)

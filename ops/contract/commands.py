"""`paywarden api ...`"""

import typer

from ops.contract import DOCUMENT, PAGE
from ops.terminal import console

__all__ = ["api_app"]

api_app = typer.Typer(no_args_is_help=True, help="The merchants' API, described.")


@api_app.callback()
def _group() -> None:
    """Keeps `export` a command of its own while there is no other."""


@api_app.command("export")
def export() -> None:
    """Write the OpenAPI document and its page anew (docs/api/), from the models and the table of calls."""
    from ops.contract.document import written
    from ops.contract.page import page

    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(written(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    console.print(f"Written: {DOCUMENT} and {PAGE.name}")

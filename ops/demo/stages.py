"""The steps of the demo as a person sees them: a spinner while it runs, a line when it is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from ops.demo.model import Step

__all__ = ["DemoError", "Done", "Stages"]


class DemoError(Exception):
    """A step did not do what it claims."""


class Done:
    """Given to a step: call it with what was found; `note` shows how far it is."""

    def __init__(self, name: str, status: Status) -> None:
        self._name = name
        self._status = status
        self.detail = ""

    def __call__(self, detail: str) -> None:
        self.detail = detail

    def note(self, text: str) -> None:
        """Show a passing remark beside the spinner."""
        self._status.update(escape(f"{self._name}: {text[:100]}"))


class Stages:
    """Runs steps one after the other and keeps what they found."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.steps: list[Step] = []

    @contextmanager
    def stage(self, name: str, claim: str) -> Iterator[Done]:
        """One step: it holds if its block ends without an exception."""
        start = time.monotonic()
        with self._console.status(escape(f"{name} …")) as status:
            done = Done(name, status)
            try:
                yield done
            except BaseException as error:
                self._keep(name, claim, start, ok=False, detail=str(error) or type(error).__name__)
                raise
        self._keep(name, claim, start, ok=True, detail=done.detail)

    def _keep(self, name: str, claim: str, start: float, *, ok: bool, detail: str) -> None:
        step = Step(name=name, claim=claim, ok=ok, seconds=time.monotonic() - start, detail=detail)
        self.steps.append(step)
        mark = "[green]✓[/green]" if step.ok else "[red]✗[/red]"
        self._console.print(
            f"{mark} {step.seconds:6.1f} s  [bold]{escape(step.name)}[/bold]  {escape(step.detail)}",
            highlight=False,
        )

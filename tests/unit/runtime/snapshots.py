"""Lambda's module of SnapStart hooks, in memory."""

from collections.abc import Callable
from types import ModuleType
from typing import Any


class Runtime(ModuleType):
    """Lambda's `snapshot_restore_py`: hooks before a snapshot run last first, the others in their order."""

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.before: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self.after: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def register_before_snapshot(self, call: Callable[..., object], *arguments: Any) -> None:
        self.before.append((call, arguments))

    def register_after_restore(self, call: Callable[..., object], *arguments: Any) -> None:
        self.after.append((call, arguments))

    def freeze(self) -> None:
        for call, arguments in reversed(self.before):
            call(*arguments)

    def restore(self) -> None:
        for call, arguments in self.after:
            call(*arguments)

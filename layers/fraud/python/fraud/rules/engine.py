"""The engine that evaluates conditions: the compiled part of `common-expression-language`, without its package.

The package's own `__init__` imports a command line with a terminal library: most of a second of a cold start.
"""

import functools
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any, Protocol

__all__ = ["Engine", "Program", "engine"]

_MODULE = "cel.cel"


class Program(Protocol):
    """A compiled expression."""

    def execute(self, context: object) -> object:
        """The expression's value; a name that the context lacks is an error unless ``||`` or ``&&`` absorbs it."""


class Engine(Protocol):
    """The extension module."""

    def compile(self, expression: str) -> Program:
        """Compile an expression once, to be executed many times."""

    def Context(self, variables: Mapping[str, Any]) -> object:  # noqa: N802 - the library's name, a class there
        """The values that an expression's names stand for."""


@functools.cache
def engine() -> Engine:
    """The engine, loaded when it is first asked for.

    Raises
    ------
    ImportError
        If it is not installed; the message says how it comes to be.
    """
    if _MODULE in sys.modules:
        return _as_engine(sys.modules[_MODULE])
    package = PathFinder.find_spec("cel")
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec(_MODULE, list(folders)) if folders else None
    if spec is None or spec.loader is None:
        raise ImportError(
            "the engine of the rules is missing; install common-expression-language, or build the layers anew "
            "with `python -m infra.layers`"
        )
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    # Under its own name, for whoever imports the whole package: a process can start the engine once only.
    sys.modules[_MODULE] = module
    return _as_engine(module)


def _as_engine(module: Any) -> Engine:
    loaded: Engine = module
    return loaded

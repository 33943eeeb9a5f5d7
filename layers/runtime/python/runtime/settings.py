"""The only place that reads the environment: once, into a frozen dataclass, with one kind of error."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass

__all__ = ["SettingsError", "load"]


class SettingsError(RuntimeError):
    """A function's environment lacks something or holds something unreadable."""


def load[T](kind: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Fill a dataclass from the environment variables named like its fields, in upper case.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are `str`, `int` or `bool` ("true" or "false"). A field with a default
        may be absent from the environment.
    environ : mapping, optional
        Instead of the process's environment.

    Raises
    ------
    SettingsError
        Naming every variable that is missing or cannot be read.
    """
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not a dataclass")
    source = os.environ if environ is None else environ
    values: dict[str, object] = {}
    wrong: list[str] = []
    for field in fields(kind):
        name = field.name.upper()
        text = source.get(name)
        if text is None:
            if field.default is field.default_factory:
                wrong.append(f"{name} is not set")
            continue
        try:
            values[field.name] = _PARSERS[str(getattr(field.type, "__name__", field.type))](text)
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise SettingsError("; ".join(wrong) + ". The function's construct in infra/ sets these variables.")
    return kind(**values)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"expected true or false, got {text!r}")
    return text == "true"


_PARSERS: dict[str, Callable[[str], object]] = {"str": str, "int": int, "bool": _boolean}

"""Schemas of the models, with the words that stand beside their fields in docstrings."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["components", "parameters"]

_TEMPLATE = "#/components/schemas/{name}"


def components(models: Iterable[type]) -> dict[str, Any]:
    """Name to JSON schema of the models and of all that they consist of, sorted."""
    _, found = msgspec.json.schema_components(list(models), ref_template=_TEMPLATE)
    kinds = _structs(models)
    for name, schema in found.items():
        _describe(schema, kinds.get(name))
    told: dict[str, Any] = _portable(dict(sorted(found.items())))
    return told


def parameters(model: type) -> dict[str, tuple[dict[str, Any], bool]]:
    """A struct's fields as parameters: name to schema, and whether it is required."""
    schema = components([model])[model.__name__]
    required = schema.get("required", [])
    return {name: (each, name in required) for name, each in schema["properties"].items()}


def _structs(models: Iterable[type]) -> dict[str, type]:
    """Name to class of every struct that the models consist of."""
    found: dict[str, type] = {}

    def visit(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType):
            if kind.cls.__name__ in found:
                return
            found[kind.cls.__name__] = kind.cls
        for name in getattr(kind, "__struct_fields__", ()):
            value = getattr(kind, name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, msgspec.inspect.Field):
                    visit(each.type)
                elif isinstance(each, msgspec.inspect.Type):
                    visit(each)

    for kind in msgspec.inspect.multi_type_info(models):
        visit(kind)
    return found


def _describe(schema: dict[str, Any], kind: type | None) -> None:
    """Put a docstring's first sentence and its attributes where a reader of the schema looks for them."""
    schema.pop("title", None)
    schema.pop("description", None)
    if kind is None or "__doc__" not in vars(kind) or not kind.__doc__:
        return
    # Docstrings are written for readers of Python.
    text = re.sub(r"\bNone\b", "null", inspect.cleandoc(kind.__doc__))
    schema["description"] = text.partition("\n\n")[0].replace("\n", " ")
    for names, words in re.findall(r"^(\w+(?:, \w+)*) : .*\n((?:    .*\n?)+)", text, re.M):
        for name in names.split(", "):
            if name in schema.get("properties", {}):
                schema["properties"][name].setdefault("description", re.sub(r"\s+", " ", words).strip())


def _portable(value: Any) -> Any:
    """Python's end of a text in patterns as other languages write it, and no null that only means absence."""
    if isinstance(value, Mapping):
        told = {name: _portable(each) for name, each in value.items()}
        if isinstance(told.get("pattern"), str):
            told["pattern"] = told["pattern"].replace(r"\Z", "$")
        if "default" in told and told["default"] is None:
            del told["default"]
        return told
    return [_portable(each) for each in value] if isinstance(value, list) else value

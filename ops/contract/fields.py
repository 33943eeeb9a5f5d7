"""A schema's fields as rows of a table: what stands where, what it may be, what it means."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Field", "fields"]

_MOST_VALUES = 12
_DEEPEST = 4


@dataclass(frozen=True)
class Field:
    """One row.

    Attributes
    ----------
    name : str
        The path from the top, such as ``card.token`` or ``results[].status``.
    kind : str
        The type, and the limits of its values.
    """

    name: str
    kind: str
    required: bool
    meaning: str


def fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Field]:
    """All fields of a schema, those of the objects in it among them.

    Parameters
    ----------
    schemas : mapping of str to schema
        What references lead to.
    """
    yield from _fields(schema, schemas, "", 0)


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any], prefix: str, depth: int) -> Iterator[Field]:
    whole = _resolved(schema, schemas)
    for name, each in whole.get("properties", {}).items():
        found = _resolved(each, schemas)
        inner, brackets = found, ""
        if found.get("type") == "array":
            inner, brackets = _resolved(found.get("items", {}), schemas), "[]"
        required = name in whole.get("required", [])
        yield Field(f"{prefix}{name}", _kind(found, inner), required, _meaning(each, found))
        if depth < _DEEPEST:
            yield from _fields(inner, schemas, f"{prefix}{name}{brackets}.", depth + 1)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without references and without the alternatives null and anything; what stands beside them "
    "stays."""
    found = dict(schema)
    if reference := found.pop("$ref", ""):
        found = {**schemas[reference.rpartition("/")[2]], **found}
    options = [
        each for each in found.get("anyOf", ()) if each and each != {"type": "null"} and set(each) != {"format"}
    ]
    if options and len(options) < len(found["anyOf"]):
        nullable = {"type": "null"} in found["anyOf"]
        rest = {name: value for name, value in found.items() if name != "anyOf"}
        found = {**_resolved(options[0], schemas), **rest, **({"nullable": True} if nullable else {})}
    return found


def _meaning(given: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    text = str(given.get("description") or found.get("description", ""))
    default = found.get("default")
    if default or default is False:
        text += f" `{json.dumps(default)}` by default."
    return text.strip()


def _kind(schema: Mapping[str, Any], inner: Mapping[str, Any]) -> str:
    if schema is not inner:
        size = _between(schema.get("minItems"), schema.get("maxItems"))
        return f"array of {size + ' ' if size else ''}{_scalar(inner)}"
    return _scalar(schema) + (" or null" if schema.get("nullable") else "")


def _scalar(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        values = schema["enum"]
        return ", ".join(f"`{each}`" for each in values) if len(values) <= _MOST_VALUES else f"{len(values)} codes"
    kind = str(schema.get("type", "anything"))
    if "anyOf" in schema and all(set(each) == {"format"} for each in schema["anyOf"]):
        return f"{kind}, {' or '.join(each['format'] for each in schema['anyOf'])}"
    told = [{"string": "text", "object": "object", "integer": "whole number"}.get(kind, kind)]
    if "format" in schema:
        told.append(schema["format"])
    if size := _between(schema.get("minLength"), schema.get("maxLength")):
        told.append(f"{size} characters")
    if size := _between(schema.get("minimum"), schema.get("maximum")):
        told.append(size)
    if size := _between(schema.get("minProperties"), schema.get("maxProperties")):
        told.append(f"{size} members")
    if "pattern" in schema:
        told.append(f"`{schema['pattern']}`")
    return ", ".join(told)


def _between(least: int | None, most: int | None) -> str:
    if most is None:
        return "" if least is None else f"at least {least:,}"
    return f"up to {most:,}" if least is None else f"{least:,} to {most:,}"

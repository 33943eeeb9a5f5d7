"""Check requests against botocore's own model of SageMaker, as the service does.

botocore's client-side check covers names and types only. The service also refuses values that break a
length, a pattern or an enumeration, so those are checked here too: what passes locally passes on AWS.
"""

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from ops.localcloud.errors import ServiceError

__all__ = ["operation_names", "project", "validate"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "blob": (str,),
}
# The model's patterns are Java's. These classes have no spelling of their own in Python.
_JAVA_CLASSES = {
    r"\p{Alnum}": "A-Za-z0-9",
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}
# These are too many to write down: marks, symbols and punctuation.
_JAVA_CATEGORIES = ("M", "S", "P")
_REPEATED_END = re.compile(r"\$\{\d+,\d+\}")
# Written with surrogate pairs, which Python cannot express; it only bars characters outside Unicode's planes.
_UNCHECKED_PATTERNS = frozenset({"AthenaCatalog"})


@functools.cache
def _service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


def operation_names() -> frozenset[str]:
    """Names of every operation SageMaker has on AWS."""
    return frozenset(_service().operation_names)


def _operation(name: str) -> OperationModel:
    return _service().operation_model(name)


@functools.cache
def _category(letter: str) -> str:
    """Ranges of a character class that hold the characters of a Unicode category."""
    members = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == letter]
    # Neighbours share the difference to their position.
    runs = [list(run) for _, run in itertools.groupby(enumerate(members), lambda item: item[1] - item[0])]
    return "".join(f"\\U{run[0][1]:08x}-\\U{run[-1][1]:08x}" for run in runs)


@functools.cache
def _pattern(java: str) -> re.Pattern[str]:
    for java_class, python_class in _JAVA_CLASSES.items():
        java = java.replace(java_class, python_class)
    for letter in _JAVA_CATEGORIES:
        if f"\\p{{{letter}}}" in java:
            java = java.replace(f"\\p{{{letter}}}", _category(letter))
    # One pattern repeats its own end, which Java takes and Python does not; it changes nothing.
    return re.compile(_REPEATED_END.sub("$", java))


def _wire_name(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _constraint(value: Any, path: str, rule: str) -> str:
    return f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {rule}"


def _type_problem(value: Any, shape: Shape, path: str) -> str | None:
    expected = _TYPES[shape.type_name]
    # bool is an int in Python but not in JSON.
    wrong_bool = isinstance(value, bool) and shape.type_name != "boolean"
    if isinstance(value, expected) and not wrong_bool:
        return None
    return f"Value at '{path}' must be of type {shape.type_name}, not {type(value).__name__}"


def _size_problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    sized = isinstance(value, str | list | dict)
    size = len(value) if sized else value
    have = "have length" if sized else "have value"
    if low is not None and size < low:
        yield _constraint(value, path, f"Member must {have} greater than or equal to {low}")
    if high is not None and size > high:
        yield _constraint(value, path, f"Member must {have} less than or equal to {high}")


def _string_problems(value: str, shape: Shape, path: str) -> Iterator[str]:
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield _constraint(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    java = shape.metadata.get("pattern")
    if java and shape.name not in _UNCHECKED_PATTERNS and not _pattern(java).fullmatch(value):
        yield _constraint(value, path, f"Member must satisfy regular expression pattern: {java}")


def _structure_problems(value: dict[str, Any], shape: StructureShape, path: str) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            yield _constraint("null", prefix + _wire_name(name), "Member must not be null")
    for name, member in value.items():
        if name not in shape.members:
            known = ", ".join(shape.members)
            yield f"Unknown field '{prefix}{name}': the fields are {known}"
        elif member is not None:
            yield from _problems(member, shape.members[name], prefix + _wire_name(name))


def _problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    problem = _type_problem(value, shape, path)
    if problem:
        yield problem
        return
    if isinstance(value, str | list | dict) or shape.type_name in {"integer", "long", "float", "double"}:
        yield from _size_problems(value, shape, path)
    if isinstance(shape, StructureShape):
        yield from _structure_problems(value, shape, path)
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value, start=1):
            yield from _problems(item, shape.member, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _problems(key, shape.key, f"{path}.key")
            yield from _problems(item, shape.value, f"{path}.{key}")
    elif shape.type_name == "string":
        yield from _string_problems(value, shape, path)


def validate(operation: str, request: Any) -> None:
    """Refuse a request that the service's model does not allow.

    Parameters
    ----------
    operation
        Operation name, such as ``CreateTrainingJob``.
    request
        The decoded JSON body.

    Raises
    ------
    ServiceError
        ``ValidationException`` naming every field at fault, in the API's own words.
    """
    shape = _operation(operation).input_shape
    if shape is None:
        return
    problems = list(_problems(request, shape, ""))
    if problems:
        plural = "s" if len(problems) > 1 else ""
        raise ServiceError(
            "ValidationException", f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}"
        )


def project(operation: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of `values` what the answer of `operation` may hold, in the model's order."""
    shape = _operation(operation).output_shape
    if not isinstance(shape, StructureShape):
        return {}
    return {name: values[name] for name in shape.members if values.get(name) is not None}

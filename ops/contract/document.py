"""The OpenAPI document."""

import json
from collections import defaultdict
from typing import Any

from lambdas.manage_settings.models import ListPath
from ops.contract.examples import EXAMPLES
from ops.contract.operations import OPERATIONS, Operation
from ops.contract.problems import kind
from ops.contract.schemas import components, parameters
from runtime.contract.answers import ProblemDocument
from runtime.contract.requests import PathId

__all__ = ["document", "written"]

_INTRODUCTION = (
    "Send a payment and get a decision, a calibrated probability of fraud and reasons. JSON over HTTPS; errors "
    "are problem documents (RFC 9457)."
)
_PATHS = {"transaction_id": PathId, "name": ListPath}
_CORRELATION = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.:-]+$"}


def document() -> dict[str, Any]:
    """The API in OpenAPI 3.1."""
    models = [model for each in OPERATIONS for model in (each.request, each.answer) if model is not None]
    schemas = components([*models, ProblemDocument])
    # A payment of a batch that is none has a problem in its place: the batch as a whole is taken.
    payments = schemas["BatchRequest"]["properties"]["decisions"]
    payments["items"] = {"anyOf": [payments["items"], {}]}
    schemas["PolicyRequest"]["oneOf"] = [_given("thresholds"), _given("costs")]
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Paywarden",
            "version": "1",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "https://{host}/live",
                "description": "What `paywarden url` prints for a deployment.",
                "variables": {"host": {"default": "api.example.com"}},
            }
        ],
        "security": [{"merchant_key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(each.group for each in OPERATIONS)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "merchant_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key that `paywarden merchants add` printed: `pw_<key id>_<secret>`.",
                }
            },
            "headers": {
                "request_id": {
                    "description": "What an operator needs to find the request.",
                    "required": True,
                    "schema": {"type": "string"},
                },
                "correlation_id": {
                    "description": "Your own id of the request if you sent one that is valid, and else ours.",
                    "schema": _CORRELATION,
                },
                "version": {
                    "description": "The version, for `If-Match`.",
                    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
                },
                "retry_after": {
                    "description": "Seconds to wait.",
                    "schema": {"type": "string", "pattern": "^[0-9]+$"},
                },
            },
            "parameters": {
                "correlation_id": {
                    "name": "Paywarden-Correlation-Id",
                    "in": "header",
                    "description": "Your own id of the request: it comes back, and operators can look for it.",
                    "schema": _CORRELATION,
                },
                "if_match": {
                    "name": "If-Match",
                    "in": "header",
                    "description": "Make the change only if this version is the current one: the `ETag` of an "
                    "answer.",
                    "schema": {"type": "string", "pattern": '^"[0-9]{1,12}"$'},
                },
            },
            "schemas": schemas,
        },
    }


def written() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _operation(operation: Operation) -> dict[str, Any]:
    example = EXAMPLES[operation.id]
    told: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.group],
        "summary": operation.summary,
        "description": operation.text,
        "parameters": _parameters(operation),
    }
    if operation.request is not None:
        content = {"schema": _reference(operation.request), "example": example.body}
        told["requestBody"] = {"required": True, "content": {"application/json": content}}
    told["responses"] = {
        str(operation.status): {
            "description": "Done." if operation.status == 200 else "On record.",
            "headers": _headers("ETag" if operation.versioned else ""),
            "content": {"application/json": {"schema": _reference(operation.answer), "example": example.answer}},
        },
        **_problems(operation),
    }
    return told


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in operation.path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            schema, _ = parameters(_PATHS[name])[name]
            found.append({"name": name, "in": "path", "required": True, **_parameter(schema)})
    if operation.query is not None:
        for name, (schema, required) in parameters(operation.query).items():
            found.append({"name": name, "in": "query", "required": required, **_parameter(schema)})
    if operation.versioned and operation.method != "GET":
        found.append({"$ref": "#/components/parameters/if_match"})
    return [*found, {"$ref": "#/components/parameters/correlation_id"}]


def _parameter(schema: dict[str, Any]) -> dict[str, Any]:
    # A parameter is left out where a field would be null.
    [first, *_] = schema.get("anyOf", [schema])
    told = {name: value for name, value in first.items() if name != "description"}
    return {**({"description": first["description"]} if "description" in first else {}), "schema": told}


def _problems(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for name in operation.problems:
        by_status[kind(name).status].append(name)
    return {
        str(status): {
            "description": " ".join(f"`{name}`: {kind(name).when}" for name in names),
            "headers": _headers("Retry-After" if status in (429, 503) else ""),
            "content": {"application/problem+json": {"schema": _reference(ProblemDocument)}},
        }
        for status, names in sorted(by_status.items())
    }


def _given(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _headers(more: str) -> dict[str, Any]:
    named = {"Paywarden-Request-Id": "request_id", "Paywarden-Correlation-Id": "correlation_id"}
    named |= {"ETag": {"ETag": "version"}, "Retry-After": {"Retry-After": "retry_after"}}.get(more, {})
    return {name: {"$ref": f"#/components/headers/{each}"} for name, each in named.items()}


def _reference(model: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}

"""The page that merchants' engineers read: one file, its style within, nothing fetched from anywhere."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ops.contract.document import document
from ops.contract.examples import EXAMPLES
from ops.contract.fields import Field, fields
from ops.contract.operations import OPERATIONS, Operation
from ops.contract.problems import PROBLEMS, kind
from ops.contract.style import STYLE
from ops.markup import Markup, join, tag

__all__ = ["page"]

_START = (
    "Every call is JSON over HTTPS at the address that you were given, with your key in the header "
    "`Authorization`. The examples below expect both in the shell:",
    "You are known by the key alone, so nothing in a body says who sends it. Two keys may be live at a time, so "
    "that one can be replaced without a pause.",
)
_IDS = (
    "Every answer carries `Paywarden-Request-Id`; problem documents repeat it as `request_id`. It is what an "
    "operator needs to find a request.",
    "Send an id of your own as `Paywarden-Correlation-Id`, 1 to 64 letters, digits or `_ . : -`, and it comes "
    "back in the answer's header of the same name. It is logged and kept with the decision, so that both sides "
    "can talk about one payment. Answers that API Gateway gives by itself, before any of our code runs (401, "
    "403, 429 and some 404 and 413), carry the first id only.",
)
_BODIES = (
    "Bodies are JSON in UTF-8, uncompressed, with each field once. Fields that are not listed here are refused by "
    "name, so that a slip does not go unnoticed. Ignore fields of answers that you do not know: new ones may be "
    "added.",
    "A raw card number anywhere in a request is refused before anything is logged or stored. Cards, customers, "
    "devices, addresses, emails and phones become keyed tokens before anything is stored.",
)
_ERRORS = (
    "Errors are problem documents (RFC 9457) with the content type `application/problem+json`. Decide by `type`, "
    "which is stable; show `detail` to a person. Nothing is stored when a request is refused.",
)


def page() -> str:
    """The whole page."""
    told = document()
    head = join(
        (
            Markup('<meta charset="utf-8">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", "Paywarden: the merchants' API"),
            tag("style", Markup(STYLE)),
        ),
        "\n",
    )
    main = tag(
        "main",
        _opening(told["info"]["description"]),
        *(_operation(each, told) for each in OPERATIONS),
        _problems(),
    )
    body = tag("body", _contents(), "\n", main)
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n{body}\n</html>\n'


def _contents() -> Markup:
    groups = dict.fromkeys(each.group for each in OPERATIONS)
    parts = [
        tag("a", tag("strong", "Paywarden"), " API", href="#start", class_="brand"),
        tag("a", "Start here", href="#start"),
    ]
    for group in groups:
        parts.append(tag("h2", group))
        parts += [
            tag("a", _method(each.method), tag("span", each.summary), href=f"#{each.id}", class_="call")
            for each in OPERATIONS
            if each.group == group
        ]
    parts += [tag("h2", "Errors"), tag("a", "Problem documents", href="#problems")]
    return tag("nav", *parts, aria_label="Contents")


def _opening(introduction: str) -> Markup:
    shell = "export API=https://api.example.com/live\nexport KEY=pw_<key id>_<secret>"
    return tag(
        "section",
        tag("h1", "The merchants' API"),
        tag("p", introduction, class_="lead"),
        _words(_START[0]),
        _code(shell),
        _words(_START[1]),
        tag("h3", "Ids of requests"),
        *map(_words, _IDS),
        tag("h3", "Bodies"),
        *map(_words, _BODIES),
        id="start",
    )


def _operation(operation: Operation, told: Mapping[str, Any]) -> Markup:
    schemas = told["components"]["schemas"]
    described = told["paths"][operation.path][operation.method.lower()]
    example = EXAMPLES[operation.id]
    left = [tag("h2", operation.summary), tag("p", _method(operation.method), tag("code", operation.path))]
    left += [_words(text) for text in operation.text.split("\n\n")]
    parameters = [
        Field(each["name"], _kind(each, told), each.get("required", False), each.get("description", ""))
        for each in (_followed(given, told) for given in described["parameters"])
        if each["name"] != "Paywarden-Correlation-Id"
    ]
    if parameters:
        left.append(_table("Parameters", parameters))
    if operation.request is not None:
        left.append(_table("Body", fields(schemas[operation.request.__name__], schemas), folded=30))
    left.append(_table("Answer", fields(schemas[operation.answer.__name__], schemas), sent=False, folded=20))
    kinds = sorted({(kind(name).status, name) for name in operation.problems})
    left.append(
        tag(
            "details",
            tag("summary", f"{len(kinds)} kinds of problems"),
            tag("ul", *(tag("li", f"{status} ", _problem_link(name)) for status, name in kinds), class_="kinds"),
        )
    )
    right = [tag("h3", "Request"), _code(_curl(operation)), tag("h3", f"Answer, {operation.status}")]
    right.append(_code(_json(example.answer)))
    return tag(
        "section", tag("div", *left, class_="words"), tag("div", *right, class_="examples"), id=operation.id
    )


def _problems() -> Markup:
    sample = _code(_json(EXAMPLES["decide_batch"].answer["results"][1]["problem"]))
    parts = [tag("h2", "Problem documents"), *map(_words, _ERRORS), sample]
    parts += [
        tag(
            "article",
            tag("h3", tag("code", f"/problems/{each.name}"), tag("span", f"{each.status} {each.title}")),
            _words(f"{each.when} {each.remedy}"),
            id=f"problems/{each.name}",
        )
        for each in PROBLEMS
    ]
    return tag("section", tag("div", *parts, class_="words"), id="problems")


def _table(caption: str, rows: Iterable[Field], *, sent: bool = True, folded: int = 1_000) -> Markup:
    found = list(rows)
    drawn = tag(
        "table",
        tag(
            "tbody",
            *(
                tag(
                    "tr",
                    tag(
                        "th",
                        tag("code", each.name),
                        *([tag("em", "required")] if sent and each.required else []),
                        scope="row",
                    ),
                    tag("td", tag("span", *_marked(each.kind), class_="kind"), *_marked(each.meaning)),
                )
                for each in found
            ),
        ),
    )
    if len(found) <= folded:
        return join((tag("h3", caption), drawn))
    return join((tag("h3", caption), tag("details", tag("summary", f"{len(found)} fields"), drawn)))


def _followed(given: Mapping[str, Any], told: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in given:
        return given
    found: Mapping[str, Any] = told["components"]["parameters"][given["$ref"].rpartition("/")[2]]
    return found


def _kind(parameter: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    schema = {"properties": {"it": parameter["schema"]}}
    [found] = fields(schema, told["components"]["schemas"])
    return f"in the {parameter['in']}: {found.kind}" + (f". {found.meaning}" if found.meaning else "")


def _curl(operation: Operation) -> str:
    example = EXAMPLES[operation.id]
    path = operation.path.format(**example.path)
    method = "" if operation.method == ("GET" if example.body is None else "POST") else f" -X {operation.method}"
    lines = [f'curl -s{method} "$API{path}"', '  -H "Authorization: Bearer $KEY"']
    if example.body is not None:
        body = _json(example.body).replace("'", "'\\''")
        lines += ["  -H 'Content-Type: application/json'", f"  -d '{body}'"]
    return " \\\n".join(lines)


def _json(value: object) -> str:
    """JSON with what fits on one line on one line."""

    def told(value: object, indent: str, name: str = "") -> str:
        flat = json.dumps(value, ensure_ascii=False)
        if len(indent) + len(name) + len(flat) <= 56 or not isinstance(value, dict | list) or not value:
            return name + flat
        deeper = indent + "  "
        if isinstance(value, dict):
            inner = [deeper + told(each, deeper, f"{json.dumps(key)}: ") for key, each in value.items()]
            return f"{name}{{\n" + ",\n".join(inner) + f"\n{indent}}}"
        return f"{name}[\n" + ",\n".join(deeper + told(each, deeper) for each in value) + f"\n{indent}]"

    return told(value, "")


def _problem_link(name: str) -> Markup:
    return tag("a", tag("code", name), href=f"#problems/{name}")


def _method(method: str) -> Markup:
    return tag("span", method, class_=f"method {method.lower()}")


def _code(text: str) -> Markup:
    return tag("pre", tag("code", text))


def _words(text: str) -> Markup:
    return tag("p", *_marked(text))


def _marked(text: str) -> list[str]:
    """Text in which what stands between backticks is code."""
    return [
        tag("code", part) if number % 2 else part for number, part in enumerate(re.split(r"`+([^`]+)`+", text))
    ]

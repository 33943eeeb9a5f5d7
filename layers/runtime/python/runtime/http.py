"""Requests from and answers to API Gateway (REST, proxy integration); errors as RFC 9457 problems."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from fraud.cards import is_card_number
from runtime.stores.batches import ThrottledError
from runtime.telemetry import correlate, count, logger, metrics, serves

__all__ = ["UNREACHABLE", "Answer", "Call", "Problem", "Request", "answer", "answered", "counted", "unavailable"]

UNREACHABLE = (BotoCoreError, ClientError, ThrottledError)
"""What calls of AWS raise that are no fault of the caller's."""

REQUEST_ID = "Paywarden-Request-Id"
CORRELATION_ID = "Paywarden-Correlation-Id"
REPLACED = "\ufffd".encode()


class Problem(Exception):  # noqa: N818 - the field's name for it (RFC 9457)
    """What is wrong with a request, in words that a merchant's engineer can act on.

    Parameters
    ----------
    status : int
    kind : str
        Stable; the last part of the problem's ``type``.
    detail : str
        A sentence; it never repeats what was sent.
    field : str, optional
        The path of the field at fault, such as ``card.token``.
    headers : mapping of str to str, optional
        Of the answer, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"type": f"/problems/{kind}", "title": title, "status": status, "detail": detail}
        if field:
            self.body["field"] = field

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document."""
        return {**self.body, "request_id": request_id}

    def answer(self, request_id: str) -> dict[str, Any]:
        """The answer to API Gateway."""
        body = msgspec.json.encode(self.document(request_id)).decode()
        headers = {REQUEST_ID: request_id, **self.headers}
        return answer(self.status, body, content_type="application/problem+json", headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The parts of a proxy event that a call uses; `path` holds what a path names, still percent-encoded."""

    merchant_id: str
    request_id: str
    body: bytes
    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    key_id: str = ""
    correlation_id: str = ""

    @classmethod
    def of(cls, event: Mapping[str, Any], *, correlation_id: str = "") -> "Request":
        """Read an API Gateway proxy event.

        Raises
        ------
        Problem
            If the body is not what its headers and its encoding say.
        """
        context = event["requestContext"]
        headers = _headers(event)
        return cls(
            merchant_id=context["authorizer"]["merchant_id"],
            request_id=context["requestId"],
            body=_body(event, headers),
            headers=headers,
            path=event.get("pathParameters") or {},
            query=event.get("queryStringParameters") or {},
            key_id=context["authorizer"].get("key_id", ""),
            correlation_id=correlation_id,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answers: JSON, and headers of its own."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


type Call = Callable[[Request], Answer]


def answered(event: Mapping[str, Any], calls: Mapping[tuple[str, str], Call]) -> dict[str, Any]:
    """Answer API Gateway with what a call says, or with a problem document.

    Here, once for all functions: the ids of the request in every answer and every line of the log, problems,
    methods that a path does not have, and what went wrong on our side. That is answered and logged here too, since
    what a function does not catch is printed by Lambda as it is, past everything that keeps secrets out of logs.

    Parameters
    ----------
    calls : mapping of (method, path) to callable
        What the function serves, such as ``("POST", "/v1/labels")``; a call raises `Problem` to refuse.
    """
    asked = event["requestContext"]
    # Who gives a request no id of its own may ask for it by ours.
    correlation_id = asked["requestId"]
    told = {REQUEST_ID: asked["requestId"], CORRELATION_ID: correlation_id}
    logger.append_keys(request_id=asked["requestId"], merchant_id=asked["authorizer"]["merchant_id"])
    serves(asked["authorizer"].get("plan", ""))
    correlate(correlation_id)
    try:
        if given_id := _correlation_id(event):
            told[CORRELATION_ID] = correlation_id = given_id
            correlate(correlation_id)
        given = _called(event, calls)(Request.of(event, correlation_id=correlation_id))
    except Problem as problem:
        return _refusal(counted(problem), told)
    except Exception as error:
        logger.error("failed: %s", type(error).__name__, exc_info=error)
        count("Failed")
        return _refusal(unavailable() if isinstance(error, UNREACHABLE) else _failure(), told)
    if not metrics.metric_set:
        count("Answered")
    return answer(given.status, given.body, headers={**given.headers, **told})


def answer(
    status: int, body: str, *, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An answer to API Gateway."""
    return {"statusCode": status, "headers": {"Content-Type": content_type, **(headers or {})}, "body": body}


def counted(problem: Problem) -> Problem:
    """Log and count a problem: as refused if it is the caller's, as failed if it is ours."""
    logger.info("refused", extra={"problem": problem.body["type"], "field": problem.body.get("field")})
    count("Failed" if problem.status >= 500 else "Refused")
    return problem


def unavailable() -> Problem:
    """What a caller is told while a service of AWS that is needed cannot be reached, or takes no more."""
    detail = "What is needed cannot be reached at the moment. Send the same request again in a second."
    return Problem(503, "unavailable", "Unavailable", detail, headers={"Retry-After": "1"})


def _failure() -> Problem:
    detail = "Send the same request again: it will not be decided twice. Tell the operators if it goes on."
    return Problem(500, "internal", "The platform failed", detail)


def _refusal(problem: Problem, told: Mapping[str, str]) -> dict[str, Any]:
    refusal = problem.answer(told[REQUEST_ID])
    return refusal | {"headers": refusal["headers"] | told}


def _called(event: Mapping[str, Any], calls: Mapping[tuple[str, str], Call]) -> Call:
    found = calls.get((event["httpMethod"], event["resource"]))
    if found is None:
        allowed = ", ".join(sorted(method for method, path in calls if path == event["resource"]))
        detail = f"This path takes {allowed}. Check the method."
        raise Problem(405, "method-not-allowed", "Method not allowed", detail, headers={"Allow": allowed})
    return found


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _body(event: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    text = event.get("body") or ""
    if text:
        _check_media(headers)
    try:
        body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except ValueError:  # all that both raise, binascii.Error and UnicodeEncodeError among it
        body = REPLACED
    # API Gateway puts this character in place of bytes that are no UTF-8: what was meant is lost.
    if REPLACED in body:
        raise Problem(400, "invalid-body", "Invalid body", "The body must be JSON in UTF-8.")
    return body


def _check_media(headers: Mapping[str, str]) -> None:
    media, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    charset = [each for each in parameters if each.startswith("charset=")]
    wrong = media not in ("", "application/json") or any("utf-8" not in each for each in charset)
    detail = "Send JSON in UTF-8, with `Content-Type: application/json`."
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        wrong, detail = True, "Send the body uncompressed, without `Content-Encoding`."
    if wrong:
        raise Problem(415, "unsupported-media-type", "Unsupported media type", detail)


def _correlation_id(event: Mapping[str, Any]) -> str:
    given = _headers(event).get(CORRELATION_ID.lower())
    if given is None:
        return ""
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", given) or is_card_number(given):
        detail = "Write 1 to 64 letters, digits or `_ . : -`, and no card number; or leave the header out."
        raise Problem(400, "invalid-field", "Invalid field", detail, CORRELATION_ID)
    return given

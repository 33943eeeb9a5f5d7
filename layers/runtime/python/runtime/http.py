"""Requests from and answers to API Gateway (REST, proxy integration); errors as RFC 9457 problems."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Problem", "Request", "answer"]


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
    """

    def __init__(self, status: int, kind: str, title: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": f"/problems/{kind}", "title": title, "status": status, "detail": detail}
        if field:
            self.body["field"] = field

    def answer(self, request_id: str) -> dict[str, Any]:
        """The answer to API Gateway."""
        body = msgspec.json.encode({**self.body, "request_id": request_id}).decode()
        return answer(self.status, body, content_type="application/problem+json")


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a proxy event that a handler uses; `path` holds what a path names, still percent-encoded."""

    merchant_id: str
    request_id: str
    body: bytes
    headers: Mapping[str, str]
    path: Mapping[str, str]

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Request":
        """Read an API Gateway proxy event.

        Raises
        ------
        Problem
            If the body is not what its encoding says.
        """
        context = event["requestContext"]
        text = event.get("body") or ""
        try:
            body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
        except ValueError:  # all that both raise, binascii.Error and UnicodeEncodeError among it
            raise Problem(400, "invalid-body", "Invalid body", "The body must be JSON in UTF-8.") from None
        return cls(
            merchant_id=context["authorizer"]["merchant_id"],
            request_id=context["requestId"],
            body=body,
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            path=event.get("pathParameters") or {},
        )


def answer(
    status: int, body: str, *, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An answer to API Gateway."""
    return {"statusCode": status, "headers": {"Content-Type": content_type, **(headers or {})}, "body": body}

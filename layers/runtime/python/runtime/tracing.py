"""Traces: what a function did of an invocation, told to X-Ray through Powertools' Tracer.

This is the provider that Tracer takes. It writes one subsegment for the handler, with one in it for each call of
AWS, and hands it to the daemon that Lambda runs beside the function: one datagram an invocation, and only of those
that Lambda sampled. Where there is no daemon, as in the local cloud, nothing is done. AWS's own SDK takes some
twenty times as long to import, and gets security fixes and nothing else: ADR 0034.

Source: "AWS X-Ray segment documents" and "Sending trace data to AWS X-Ray" in the X-Ray developer guide.
"""

import os
import re
import socket
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import msgspec
from aws_lambda_powertools.tracing.base import BaseProvider, BaseSegment

__all__ = ["MOST_CALLS", "Segment", "XRayProvider"]

MOST_CALLS = 100
"""How many calls of AWS a trace tells one by one; a datagram holds 64 kB, and a call takes 300 bytes."""

_HEADER = b'{"format":"json","version":1}\n'
# What X-Ray allows in names, and in the names of annotations.
_NO_NAME = re.compile(r"[^\w\s.:/%&#=+\-@]")
_NO_KEY = re.compile(r"\W")
_IN_CONTEXT = "paywarden_segment"


class Segment(BaseSegment):
    """A part of an invocation: its handler, or a call within it.

    Parameters
    ----------
    name : str
        Such as ``## handler``, or ``dynamodb``.

    Attributes
    ----------
    document : dict
        As X-Ray takes it; times are seconds since the epoch.
    """

    __slots__ = ("document",)

    def __init__(self, name: str, **more: Any) -> None:
        # Of the system: copies that start from one snapshot must not share ids.
        self.document: dict[str, Any] = {
            "name": _NO_NAME.sub("", name)[:200],
            "id": os.urandom(8).hex(),
            "start_time": time.time(),
            **more,
        }

    def close(self, end_time: float | None = None) -> None:
        self.document["end_time"] = time.time() if end_time is None else end_time

    def add_subsegment(self, subsegment: "Segment") -> None:
        """Put another into this one; past `MOST_CALLS` they are only counted."""
        within = self.document.setdefault("subsegments", [])
        if len(within) < MOST_CALLS:
            within.append(subsegment.document)
        else:
            self.put_metadata("calls_left_out", self._left_out() + 1)

    def remove_subsegment(self, subsegment: "Segment") -> None:
        self.document["subsegments"].remove(subsegment.document)

    def put_annotation(self, key: str, value: Any) -> None:
        """Say something that traces can be found by: text, a number or a truth value."""
        self.document.setdefault("annotations", {})[_NO_KEY.sub("_", key)] = value

    def put_metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        self.document.setdefault("metadata", {}).setdefault(namespace, {})[key] = value

    def add_exception(self, exception: BaseException, stack: Sequence[Any] = (), remote: bool = False) -> None:
        """Mark it as failed by an exception of this kind; its words may hold anything, and are not told."""
        del stack
        told = {"id": os.urandom(8).hex(), "type": type(exception).__name__, "remote": remote}
        self.document |= {"fault": True, "cause": {"exceptions": [told]}}

    def _left_out(self) -> int:
        told: int = self.document.get("metadata", {}).get("default", {}).get("calls_left_out", 0)
        return told


class XRayProvider(BaseProvider):
    """Makes segments of the invocation that is under way, and sends them.

    A Lambda process serves one invocation at a time. Calls made beside each other on threads all belong to the
    handler that is open; what a thread does between two invocations belongs to none and is not told.
    """

    def __init__(self) -> None:
        self._open: list[Segment] = []

    @contextmanager
    def in_subsegment(self, name: str | None = None, **kwargs: Any) -> Generator[Segment]:
        """Time what happens within; the outermost one is sent when it is over."""
        segment = Segment(name or "", **kwargs)
        trace = _sampled() if not self._open else {}
        if trace is None:
            yield segment
            return
        self._open.append(segment)
        try:
            yield segment
        except BaseException as error:
            segment.add_exception(error)
            raise
        finally:
            segment.close()
            self._open.remove(segment)
            if self._open:
                self._open[-1].add_subsegment(segment)
            else:
                _send({**segment.document, "type": "subsegment", **trace})

    def in_subsegment_async(self, name: str | None = None, **kwargs: Any) -> AbstractAsyncContextManager[Segment]:
        raise NotImplementedError("no function is asynchronous; use in_subsegment")

    def put_annotation(self, key: str, value: Any) -> None:
        if self._open:
            self._open[-1].put_annotation(key, value)

    def put_metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        if self._open:
            self._open[-1].put_metadata(key, value, namespace)

    def patch(self, modules: Sequence[str]) -> None:
        raise NotImplementedError("nothing is patched; botocore tells of its calls by events: see `follow`")

    def patch_all(self) -> None:
        self.patch(())

    def follow(self, session: Any) -> None:
        """Tell of every call that clients of a botocore session make."""
        session.register("before-call", self._call_begins)
        session.register("after-call", self._call_ends)
        session.register("after-call-error", self._call_breaks)

    def _call_begins(self, *, model: Any, context: dict[str, Any], **_: Any) -> None:
        if self._open:
            told = {"operation": model.name, "region": context.get("client_region")}
            context[_IN_CONTEXT] = Segment(model.service_model.endpoint_prefix, namespace="aws", aws=told)

    def _call_ends(self, *, parsed: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        segment = context.pop(_IN_CONTEXT, None)
        if segment is not None:
            about = parsed.get("ResponseMetadata", {})
            status = about.get("HTTPStatusCode", 200)
            segment.document["aws"] |= {
                "request_id": about.get("RequestId", ""),
                "retries": about.get("RetryAttempts", 0),
            }
            segment.document["http"] = {"response": {"status": status}}
            if status >= 400:
                code = parsed.get("Error", {}).get("Code", "")
                segment.document["fault" if status >= 500 else "error"] = True
                segment.document["aws"]["error_code"] = code
                if status == 429 or "Throttl" in code or "ThroughputExceeded" in code:
                    segment.document["throttle"] = True
            self._add(segment)

    def _call_breaks(self, *, exception: Exception, context: dict[str, Any], **_: Any) -> None:
        segment = context.pop(_IN_CONTEXT, None)
        if segment is not None:
            segment.add_exception(exception, remote=True)
            self._add(segment)

    def _add(self, segment: Segment) -> None:
        segment.close()
        if self._open:
            self._open[-1].add_subsegment(segment)


def _sampled() -> dict[str, str] | None:
    """Which trace the invocation belongs to, if somebody wants to know of it.

    Lambda says so in the environment, anew before each invocation.
    """
    if "AWS_XRAY_DAEMON_ADDRESS" not in os.environ:
        return None
    parts = dict(part.partition("=")[::2] for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";"))
    if parts.get("Sampled") != "1" or not parts.get("Root") or not parts.get("Parent"):
        return None
    return {"trace_id": parts["Root"], "parent_id": parts["Parent"]}


def _send(document: Mapping[str, Any]) -> None:
    """Hand a document to the daemon; a trace that is lost is worth no request."""
    host, _, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].rpartition(":")
    try:
        # A socket of its own each time, some 20 us: none is frozen into a snapshot.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(_HEADER + msgspec.json.encode(document), (host, int(port)))
    except (OSError, ValueError, TypeError):
        return

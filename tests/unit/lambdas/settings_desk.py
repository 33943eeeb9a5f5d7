"""What the tests of manage_settings share: its calls over a store in memory, asked as API Gateway asks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fraud.features import STANDARD
from fraud.tokens import Tokeniser
from lambdas.manage_settings.lists import ListCalls
from lambdas.manage_settings.policy import PolicyCalls
from lambdas.manage_settings.routes import routes
from lambdas.manage_settings.rules import RuleCalls
from runtime.http import Call, answered
from runtime.stores.settings import MemorySettingsStore, SettingsStore
from tests.unit.lambdas.support import POLICY, TOKEN_KEY, lambda_event

NOW = 1_767_261_600_000
WRITTEN = "2026-01-01T10:00:00+00:00"


@dataclass(frozen=True)
class Reply:
    """An answer as its receiver reads it."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def problem(self) -> tuple[int, str, str | None]:
        """Status, the last part of the type, and the field at fault."""
        assert self.headers["Content-Type"] == "application/problem+json"
        return self.status, self.body["type"].removeprefix("/problems/"), self.body.get("field")


@dataclass
class Desk:
    """The calls of manage_settings."""

    store: SettingsStore = field(default_factory=MemorySettingsStore)
    now: int = NOW
    tokeniser: Tokeniser = field(default_factory=lambda: Tokeniser(TOKEN_KEY.encode()))

    @property
    def calls(self) -> Mapping[tuple[str, str], Call]:
        rules = RuleCalls(self.store, STANDARD, lambda: self.now)
        policy = PolicyCalls(self.store, lambda: POLICY, lambda: self.now)
        lists = ListCalls(self.store, lambda: self.tokeniser, lambda: self.now)
        return routes(rules, policy, lists)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        merchant_id: str = "acme",
        raw: str | None = None,
    ) -> Reply:
        """Send a request; `raw` is a body that is sent as it stands."""
        event = asking(method, path, body, query=query, headers=headers, merchant_id=merchant_id, raw=raw)
        return read(answered(event, self.calls))


def asking(
    method: str,
    path: str,
    body: object = None,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    merchant_id: str = "acme",
    raw: str | None = None,
) -> dict[str, Any]:
    """A request as API Gateway passes it on."""
    event = lambda_event("label_request")
    parts = path.split("/")
    event["pathParameters"] = {"name": parts[3]} if path.startswith("/v1/lists/") else None
    event["resource"] = "/".join([*parts[:3], "{name}", *parts[4:]]) if event["pathParameters"] else path
    event["httpMethod"] = method
    event["body"] = raw if raw is not None else None if body is None else json.dumps(body)
    event["queryStringParameters"] = dict(query) if query else None
    event["headers"] = {**event["headers"], **(headers or {})}
    event["requestContext"]["authorizer"]["merchant_id"] = merchant_id
    return event


def read(answer: Mapping[str, Any]) -> Reply:
    """What was answered."""
    return Reply(answer["statusCode"], json.loads(answer["body"]), answer["headers"])

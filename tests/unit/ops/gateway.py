"""API Gateway in memory, behind a real client: what it is asked is checked as botocore checks it."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3

__all__ = ["Gateway"]

# Made once, since a session reads the descriptions of the services it is used for.
_SESSION = boto3.Session("testing", "testing", region_name="eu-west-1")


class Gateway:
    """API keys, the plans they are in, and how often the authorizer's kept answers were dropped.

    `failing` names operations that answer with an error; `now` is what it takes for the time, in ms.
    """

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, Any]] = {}
        self.plans: dict[str, set[str]] = {}
        self.flushed: list[tuple[str, str]] = []
        self.failing: set[str] = set()
        self.now = 0

    def client(self) -> Any:
        client = _SESSION.client("apigateway")
        client.meta.events.register("before-parameter-build.api-gateway", self._note)
        client.meta.events.register("before-call.api-gateway", self._answer)
        return client

    def _note(self, params: dict[str, Any], context: Any, **_event: Any) -> None:
        context["asked"] = params

    def _answer(self, model: Any, context: Any, **_event: Any) -> Any:
        if model.name in self.failing:
            return _error(500, "ServiceUnavailableException")
        return getattr(self, f"_{model.name}")(**context["asked"])

    def _CreateApiKey(self, name: str, value: str, enabled: bool) -> Any:  # noqa: N802 - the operation's name
        key_id, dates = f"key{len(self.keys)}", {"createdDate": self._date(), "lastUpdatedDate": self._date()}
        self.keys[key_id] = {"id": key_id, "name": name, "value": value, "enabled": enabled, **dates}
        return _ok(self.keys[key_id])

    # API Gateway finds names that begin so.
    def _GetApiKeys(self, nameQuery: str, includeValues: bool, **_page: Any) -> Any:  # noqa: N802, N803 - AWS's names
        assert includeValues
        return _ok({"items": [dict(key) for key in self.keys.values() if key["name"].startswith(nameQuery)]})

    def _UpdateApiKey(self, apiKey: str, patchOperations: list[Any]) -> Any:  # noqa: N802, N803 - AWS's names
        (operation,) = patchOperations
        assert operation["op"] == "replace"
        changed = {
            "/enabled": lambda value: {"enabled": {"true": True, "false": False}[value]},
            "/description": lambda value: {"description": value},
        }[operation["path"]](operation["value"])
        # Nobody knows that a change to what is so already would count as one.
        if not changed.items() <= self.keys[apiKey].items():
            self.keys[apiKey] |= {**changed, "lastUpdatedDate": self._date()}
        return _ok(self.keys[apiKey])

    def _GetUsagePlanKey(self, usagePlanId: str, keyId: str) -> Any:  # noqa: N802, N803 - AWS's names
        found = keyId in self.plans.get(usagePlanId, set())
        return _ok({"id": keyId}) if found else _error(404, "NotFoundException")

    def _CreateUsagePlanKey(self, usagePlanId: str, keyId: str, keyType: str) -> Any:  # noqa: N802, N803 - AWS's names
        assert keyType == "API_KEY"
        # An API key can be in one plan of a stage only.
        if any(keyId in keys for keys in self.plans.values()):
            return _error(409, "ConflictException")
        self.plans.setdefault(usagePlanId, set()).add(keyId)
        return _ok({"id": keyId})

    def _FlushStageAuthorizersCache(self, restApiId: str, stageName: str) -> Any:  # noqa: N802, N803 - AWS's names
        self.flushed.append((restApiId, stageName))
        return _ok({})

    def _date(self) -> datetime:
        return datetime.fromtimestamp(self.now / 1_000, UTC)


def _ok(parsed: dict[str, Any]) -> Any:
    return SimpleNamespace(status_code=200), parsed


def _error(status: int, code: str) -> Any:
    return SimpleNamespace(status_code=status), {"Error": {"Code": code, "Message": code}}

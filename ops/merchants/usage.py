"""A merchant in API Gateway: the API keys that count its traffic, and answers of the authorizer that are kept.

An API key opens nothing here. The authorizer names one to API Gateway, which throttles and counts by it; both
secret keys of a merchant name the same one. A merchant has one in each plan that it ever was in: moving it is
a change of name in the authorizer's answer, without a moment in which it is in no plan. API Gateway refuses a key
that it has not learned of yet, with 403 to the merchant, so that nobody is moved to one that is fresh.
"""

import secrets
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from fraud.windows import MINUTE
from ops.deployment import Deployment

__all__ = ["SETTLES", "UsageKey", "drop_kept_answers", "switch", "usage_key"]

SETTLES: Final = 30 * MINUTE
"""How long API Gateway may take to learn of an API key, in ms: seconds, up to half an hour; AWS names no time."""


class UsageKey(NamedTuple):
    """A merchant's API key in a plan.

    Attributes
    ----------
    value : str
        What the authorizer names; empty where nothing counts.
    fresh : bool
        Whether API Gateway may refuse it still.
    """

    value: str
    fresh: bool


def usage_key(deployment: Deployment, merchant_id: str, plan: str, *, at: int) -> UsageKey:
    """The merchant's API key in a plan; made, put into the plan and switched on as far as needed.

    Safe to repeat after any failure.
    """
    if not deployment.environment.capabilities.usage_plan_by_authorizer:
        return UsageKey("", fresh=False)
    client, name = deployment.client("apigateway"), _name(deployment, merchant_id, plan)
    api_key = next(_named(client, name), None)
    if api_key is None:
        api_key = client.create_api_key(name=name, value=secrets.token_urlsafe(32), enabled=True)
    fresh = at - api_key["lastUpdatedDate"].timestamp() * 1_000 < SETTLES
    if not api_key["enabled"]:
        _switch(client, api_key, enabled=True)
        fresh = True
    usage_plan = deployment[f"UsagePlan{plan.capitalize()}"]
    try:
        client.get_usage_plan_key(usagePlanId=usage_plan, keyId=api_key["id"])
    except client.exceptions.NotFoundException:
        # Its date tells the next run: what joining does to that, AWS does not say, so something is changed before.
        _change(client, api_key, "description", f"in {plan} since {at}")
        client.create_usage_plan_key(usagePlanId=usage_plan, keyId=api_key["id"], keyType="API_KEY")
        fresh = True
    return UsageKey(api_key["value"], fresh)


def switch(deployment: Deployment, merchant_id: str, *, enabled: bool) -> None:
    """Switch all API keys of a merchant on or off."""
    if not deployment.environment.capabilities.usage_plan_by_authorizer:
        return
    client = deployment.client("apigateway")
    for plan in deployment.environment.plans:
        for api_key in _named(client, _name(deployment, merchant_id, plan.name)):
            if api_key["enabled"] is not enabled:
                _switch(client, api_key, enabled=enabled)


def drop_kept_answers(deployment: Deployment) -> str:
    """Let API Gateway ask the authorizer again for every key; returns why it could not, or nothing.

    A failure is no error: what is kept ends by itself within `Environment.authorizer_cache_seconds`.
    """
    try:
        deployment.client("apigateway").flush_stage_authorizers_cache(
            restApiId=deployment["ApiId"], stageName=deployment["ApiStage"]
        )
    except (ClientError, BotoCoreError) as error:
        return str(error)
    return ""


def _name(deployment: Deployment, merchant_id: str, plan: str) -> str:
    return f"{deployment.environment.prefix}-{merchant_id}-{plan}"


def _named(client: Any, name: str) -> Iterator[Any]:
    # The query is for names that begin so; the oldest first, as racing commands may have made two.
    pages = client.get_paginator("get_api_keys").paginate(nameQuery=name, includeValues=True)
    found = [item for page in pages for item in page["items"] if item["name"] == name]
    yield from sorted(found, key=lambda item: (item["createdDate"], item["id"]))


def _switch(client: Any, api_key: Any, *, enabled: bool) -> None:
    _change(client, api_key, "enabled", str(enabled).lower())


def _change(client: Any, api_key: Any, name: str, value: str) -> None:
    operation = {"op": "replace", "path": f"/{name}", "value": value}
    client.update_api_key(apiKey=api_key["id"], patchOperations=[operation])

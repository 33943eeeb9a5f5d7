"""docs/deploy.md tells what production consists of, and the model of cost counts what is paid for idle."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from infra.constructs.network import INTERFACES
from infra.platform import Platform
from ops.capacity.cost import ENDPOINTS, KEYS, SECRETS, WEB_ACL_RULES
from ops.inventory.page import PAGE, replaced
from ops.inventory.tables import LISTENERS, counted, kept, listening

PARTS = tuple(each.name for each in fields(Platform))


def templates(synthesized: Any) -> dict[str, Any]:
    return {part: synthesized.raw(part) for part in PARTS}


def test_the_page_tells_what_production_consists_of(platform: Callable[[str], Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page, templates(platform("prod"))) == page, "make it anew with `paywarden inventory --write`"


def test_all_is_counted_and_all_that_listens_is_named(platform: Callable[[str], Any]) -> None:
    production = templates(platform("prod"))
    resources = [each for part in production.values() for each in part["Resources"].values()]
    *rows, total = counted(production)
    assert int(total[-1]) == len(resources) == sum(int(row[-1]) for row in rows)
    told = {what: int(count) for what, count, _, _ in listening(production)}
    for kind, listener in LISTENERS.items():
        assert told.get(listener.what, 0) == sum(each["Type"] == kind for each in resources), kind
    staying = sum(each.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate") for each in resources)
    assert sum(int(count) for _, _, count, _ in kept(production)) == staying > 20


def test_nothing_listens_that_the_page_does_not_know(platform: Callable[[str], Any]) -> None:
    """Types that take connections or events; one of these would be a new way in."""
    ways = (
        "LoadBalancer",
        "::Instance",
        "FunctionUrl",
        "::Url",
        "Service",
        "WebSocket",
        "::Cluster",
        "::Pipe",
        "::Api",
    )
    for part in templates(platform("prod")).values():
        for each in part["Resources"].values():
            known = each["Type"] in LISTENERS or each["Type"].startswith("AWS::ApiGateway::")
            assert known or not any(way in each["Type"] for way in ways), each["Type"]


def test_the_model_counts_what_is_paid_for_idle(platform: Callable[[str], Any]) -> None:
    found = platform("prod")

    def number(kind: str) -> int:
        return sum(len(found.resources(part, kind)) for part in PARTS)

    assert number("AWS::KMS::Key") == KEYS
    assert number("AWS::SecretsManager::Secret") == SECRETS
    (firewall,) = found.resources("scoring", "AWS::WAFv2::WebACL").values()
    assert len(firewall["Properties"]["Rules"]) == WEB_ACL_RULES
    # And the one through which the API is called.
    assert len(INTERFACES) + 1 == ENDPOINTS

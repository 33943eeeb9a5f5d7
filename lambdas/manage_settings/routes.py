"""Which call answers which path."""

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError

from runtime.http import Answer, Call, Problem, Request
from runtime.stores.batches import ThrottledError

from .lists import ListCalls
from .policy import PolicyCalls
from .rules import RuleCalls

__all__ = ["routes"]


def routes(rules: RuleCalls, policy: PolicyCalls, lists: ListCalls) -> Mapping[tuple[str, str], Call]:
    """The calls by method and path; each answers 503 while the store cannot be reached or takes no more."""
    calls: dict[tuple[str, str], Call] = {
        ("GET", "/v1/rules"): rules.show,
        ("PUT", "/v1/rules"): rules.change,
        ("GET", "/v1/rules/versions"): rules.versions,
        ("GET", "/v1/policy"): policy.show,
        ("PUT", "/v1/policy"): policy.change,
        ("DELETE", "/v1/policy"): policy.give_up,
        ("GET", "/v1/policy/versions"): policy.versions,
        ("GET", "/v1/lists"): lists.show_all,
        ("GET", "/v1/lists/{name}"): lists.show,
        ("PUT", "/v1/lists/{name}"): lists.change,
        ("POST", "/v1/lists/{name}/entries"): lists.change_entries,
    }
    return {route: _available(call) for route, call in calls.items()}


def _available(call: Call) -> Call:
    def answered(request: Request) -> Answer:
        try:
            return call(request)
        except (ThrottledError, BotoCoreError):
            detail = "Settings cannot be reached at the moment. Send the same request again in a second."
            raise Problem(503, "unavailable", "Unavailable", detail, headers={"Retry-After": "1"}) from None

    return answered

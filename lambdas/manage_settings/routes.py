"""Which call answers which path."""

from collections.abc import Mapping

from runtime.http import Call

from .lists import ListCalls
from .policy import PolicyCalls
from .rules import RuleCalls

__all__ = ["routes"]


def routes(rules: RuleCalls, policy: PolicyCalls, lists: ListCalls) -> Mapping[tuple[str, str], Call]:
    """The calls by method and path."""
    return {
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
        ("DELETE", "/v1/lists/{name}"): lists.remove,
        ("POST", "/v1/lists/{name}/entries"): lists.change_entries,
    }

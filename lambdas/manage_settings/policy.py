"""A merchant's policy: shown, changed, and given up for the platform's."""

from collections.abc import Callable
from dataclasses import dataclass

from fraud.policy import Policy
from runtime.api import parameters, parse
from runtime.http import Answer, Request
from runtime.stores.documents import StoredPolicy
from runtime.stores.settings import SettingsStore

from .documents import asked, author, expected, moment, put, shown, versions
from .models import PolicyAnswer, PolicyRequest, VersionQuery

__all__ = ["PolicyCalls", "numbered"]


@dataclass(frozen=True, slots=True)
class PolicyCalls:
    """``/v1/policy``.

    Parameters
    ----------
    default : callable
        The platform's policy.
    clock : callable
        Wall-clock milliseconds.
    author : callable
        Who asks for a change.
    """

    store: SettingsStore
    default: Callable[[], Policy]
    clock: Callable[[], int]
    author: Callable[[Request], str] = author

    def show(self, request: Request) -> Answer:
        """The policy that counts, or the one of ``?version=N``."""
        version = parameters(request.query, VersionQuery).version
        return self._shown(asked(self.store, request, StoredPolicy, version))

    def versions(self, request: Request) -> Answer:
        """Who changed it when."""
        return versions(self.store, request, StoredPolicy)

    def change(self, request: Request) -> Answer:
        """Put another policy in its place."""
        given = parse(request.body, PolicyRequest)
        return self._shown(self._put(request, given))

    def give_up(self, request: Request) -> Answer:
        """Go back to the platform's policy; what never was of the merchant's own stays as it is."""
        return self._shown(self._put(request, None))

    def _put(self, request: Request, given: PolicyRequest | None) -> StoredPolicy | None:
        current = self.store.get(request.merchant_id, StoredPolicy)
        expected(request, current.version if current else 0)
        if given is None and (current is None or current.policy is None):
            return current
        document = numbered(given, current, changed_at=self.clock(), changed_by=self.author(request))
        return put(self.store, request.merchant_id, document)

    def _shown(self, stored: StoredPolicy | None) -> Answer:
        own = stored.policy if stored else None
        policy = own or self.default()
        told = PolicyAnswer(
            version=stored.version if stored else 0,
            changed_at=moment(stored.changed_at) if stored else None,
            changed_by=stored.changed_by if stored else None,
            own=own is not None,
            policy=policy.version,
            thresholds=policy.thresholds,
            costs=policy.costs,
            unscored_limit=policy.unscored_limit,
            most_declined=policy.most_declined,
            most_reviewed=policy.most_reviewed,
            pass_through=policy.pass_through,
        )
        return shown(told, told.version)


def numbered(
    given: PolicyRequest | None, current: StoredPolicy | None, *, changed_at: int, changed_by: str
) -> StoredPolicy:
    """The version after the current one; the current one's number if both say the same."""
    version = current.version + 1 if current else 1
    policy = given.policy(f"own-{version}") if given else None
    held = current.policy if current else None
    if given is not None and held is not None and given.policy(held.version) == held:
        policy = held
    return StoredPolicy(version=version, policy=policy, changed_at=changed_at, changed_by=changed_by)

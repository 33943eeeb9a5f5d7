"""A merchant's rules: shown, and checked before they are kept."""

from collections.abc import Callable
from dataclasses import dataclass

from fraud.features import FeatureSet
from fraud.lists import StoredLists
from fraud.rules import Rule, Rules, StoredRule, StoredRules
from runtime.api import parameters, parse
from runtime.contract.settings import checked
from runtime.http import Answer, Request
from runtime.stores.settings import SettingsStore

from .documents import asked, author, expected, moment, put, shown, versions
from .models import RuleAnswer, RulesAnswer, VersionQuery

__all__ = ["RuleCalls"]


@dataclass(frozen=True, slots=True)
class RuleCalls:
    """``/v1/rules``.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    author : callable
        Who asks for a change.
    """

    store: SettingsStore
    features: FeatureSet
    clock: Callable[[], int]
    author: Callable[[Request], str] = author

    def show(self, request: Request) -> Answer:
        """The current rules, or those of ``?version=N``."""
        version = parameters(request.query, VersionQuery).version
        return self._shown(asked(self.store, request, StoredRules, version))

    def versions(self, request: Request) -> Answer:
        """Who changed them when."""
        return versions(self.store, request, StoredRules)

    def change(self, request: Request) -> Answer:
        """Put other rules in their place, all at once."""
        rules = parse(request.body, Rules)
        current = self.store.get(request.merchant_id, StoredRules)
        expected(request, current.version if current else 0)
        lists = self.store.get(request.merchant_id, StoredLists)
        document = StoredRules(
            version=current.version + 1 if current else 1,
            mode=rules.mode,
            rules=checked(rules, self.features, lists.lists if lists else ()),
            changed_at=self.clock(),
            changed_by=self.author(request),
        )
        return self._shown(put(self.store, request.merchant_id, document))

    @staticmethod
    def _shown(stored: StoredRules | None) -> Answer:
        told = RulesAnswer(
            version=stored.version if stored else 0,
            changed_at=moment(stored.changed_at) if stored else None,
            changed_by=stored.changed_by if stored else None,
            mode=stored.mode if stored else "first_match",
            rules=[_told(each) for each in stored.rules] if stored else [],
        )
        return shown(told, told.version)


def _told(rule: StoredRule) -> RuleAnswer:
    return RuleAnswer(
        **{name: getattr(rule, name) for name in Rule.__struct_fields__},
        explained=rule.words,
        needs=list(rule.needs),
    )

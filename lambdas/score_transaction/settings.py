"""What merchants have set, kept in the process: read along with the states of a decision when it is time to."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fraud.events import Transaction
from fraud.lists import LISTED_FIELDS, ListDefinition, StoredLists, covered, matched
from fraud.policy import Allowance, Policy
from fraud.rules import Rulebook
from runtime.stores.documents import (
    ItemKey,
    SettingsError,
    document_keys,
    listed_key,
    parse_documents,
    parse_listed,
)

__all__ = ["MOST_MERCHANTS", "MerchantSettings", "SettingsCache"]

MOST_MERCHANTS = 200
"""So many merchants' settings a process keeps; the largest rules that may be stored take 1.5 MB compiled."""


@dataclass(frozen=True, slots=True)
class MerchantSettings:
    """One merchant's settings, ready to decide by.

    Attributes
    ----------
    policy : Policy or None
        None where the platform's own counts.
    read_at : float
        Seconds, of the clock that the cache is asked with.
    """

    rulebook: Rulebook | None = None
    lists: StoredLists | None = None
    policy: Policy | None = None
    read_at: float = 0.0

    @property
    def rules_version(self) -> str:
        return self.rulebook.version if self.rulebook else ""

    @property
    def definitions(self) -> tuple[ListDefinition, ...]:
        return self.lists.lists if self.lists else ()

    def listed(self, items: Iterable[Any], now: int) -> tuple[str, ...]:
        """The names of the lists that a payment is on at `now` (ms), from what was looked up for it."""
        return matched(self.definitions, parse_listed(items), now)


class SettingsCache:
    """Settings by merchant.

    Parameters
    ----------
    interval : float
        Seconds after which a merchant's settings are read again, with its next decision: how long a change may
        take to count.
    failed : callable
        Told why a merchant's settings could not be used; what counted before goes on.
    """

    def __init__(self, interval: float, failed: Callable[[Exception], None]) -> None:
        self._interval = interval
        self._failed = failed
        self._held: OrderedDict[str, MerchantSettings] = OrderedDict()
        self._allowances: OrderedDict[str, tuple[Policy, Allowance | None]] = OrderedDict()

    def keys(self, transaction: Transaction, now: float) -> list[ItemKey]:
        """What to read for a payment: where it may be listed, and the merchant's documents if it is time to."""
        merchant = transaction.merchant_id
        held = self._held.get(merchant)
        due = held is None or now >= held.read_at + self._interval
        fields = LISTED_FIELDS if due else covered(held.definitions if held else ())
        keys = [listed_key(merchant, name, value) for name in fields if (value := getattr(transaction, name))]
        return [*document_keys(merchant), *keys] if due else keys

    def take(
        self, merchant_id: str, asked: Sequence[ItemKey], items: Sequence[Any], *, since: float, now: float
    ) -> MerchantSettings:
        """The merchant's settings, renewed if its documents were among what was asked for.

        Parameters
        ----------
        asked : sequence of ItemKey
            As `keys` gave them.
        items : sequence of DynamoDB items
            Those of them that exist.
        since, now : float
            When `keys` was asked, and when this is; what another payment brought in between is as good.
        """
        held = self._held.get(merchant_id)
        if document_keys(merchant_id)[0] in asked and (held is None or held.read_at < since):
            try:
                held = _taken(held, merchant_id, items, now)
            except SettingsError as error:
                self._failed(error)
                held = replace(held or MerchantSettings(), read_at=now)
            _keep(self._held, merchant_id, held)
        return held or MerchantSettings()

    def allowance(self, merchant_id: str, policy: Policy) -> Allowance | None:
        """What a policy's bounds leave of this merchant's payments; it goes on as long as the policy does."""
        held = self._allowances.get(merchant_id)
        if held is None or held[0] != policy:
            held = (policy, policy.allowance())
            _keep(self._allowances, merchant_id, held)
        return held[1]

    def last(self, merchant_id: str) -> MerchantSettings:
        """What counted last, where nothing can be read."""
        return self._held.get(merchant_id, MerchantSettings())

    def forget(self) -> None:
        """Read every merchant's settings again."""
        self._held.clear()


def _taken(held: MerchantSettings | None, merchant_id: str, items: Sequence[Any], now: float) -> MerchantSettings:
    found = parse_documents(merchant_id, items)
    # What is compiled goes on as long as the version does.
    rulebook = held.rulebook if held is not None else None
    if found.rules is None or rulebook is None or rulebook.version != str(found.rules.version):
        rulebook = Rulebook.of(found.rules) if found.rules else None
    return MerchantSettings(rulebook, found.lists, found.policy, read_at=now)


def _keep[T](kept: OrderedDict[str, T], merchant_id: str, value: T) -> None:
    """Keep what was looked up last, of as many merchants as there is room for."""
    kept[merchant_id] = value
    kept.move_to_end(merchant_id)
    if len(kept) > MOST_MERCHANTS:
        kept.popitem(last=False)

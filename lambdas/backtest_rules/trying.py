"""From what a merchant asks to what its draft would have done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from fraud.backtest import Draft, backtest
from fraud.events import LATEST_TIME
from fraud.features import FeatureSet
from fraud.lists import StoredLists
from fraud.policy import Policy
from fraud.rules import Rulebook, Rules, StoredRules
from runtime.api import parse
from runtime.athena import Athena, TooSlowError
from runtime.contract.settings import PolicyRequest, checked
from runtime.http import Answer, Problem, Request
from runtime.stores.documents import StoredPolicy
from runtime.stores.settings import SettingsStore

from .models import MOST_DAYS, MOST_DECISIONS, USUAL_DAYS, BacktestAnswer, BacktestRequest
from .past import PastDecisions, Window, count_of, part_of

__all__ = ["Trial", "draft_of", "written"]


@dataclass(frozen=True, slots=True)
class Trial:
    """``POST /v1/rules/backtest``.

    Parameters
    ----------
    default : callable
        The platform's policy.
    clock : callable
        Wall-clock milliseconds.
    patience : float
        Seconds that reading the lake may take, of the lake's clock.
    replays : bool
        Whether payments can have times of their own here.
    unread : callable
        Told once for each row of the lake that holds no decision.
    """

    store: SettingsStore
    lake: Athena
    features: FeatureSet
    default: Callable[[], Policy]
    clock: Callable[[], int]
    patience: float
    replays: bool
    unread: Callable[[], None] = lambda: None

    def ask(self, request: Request) -> Answer:
        """Try the draft."""
        until = self.lake.clock() + self.patience
        given = parse(request.body, BacktestRequest)
        since, end = _window(given, self.clock())
        window = Window(request.merchant_id, since, end, self.replays)
        draft = draft_of(request.merchant_id, given.rules, given.policy, self.store, self.default, self.features)
        try:
            told = self._tried(window, draft, until)
        except TooSlowError:
            detail = (
                "Your decisions could not be read in time. Ask for a shorter time; the operators' command "
                "`paywarden backtest-rules` has no such limit."
            )
            raise Problem(503, "backtest-too-slow", "Backtest too slow", detail) from None
        return Answer(msgspec.json.encode(told).decode())

    def _tried(self, window: Window, draft: Draft, until: float) -> BacktestAnswer:
        found = int(next(self.lake.rows(count_of(window), until=until))[0] or 0)
        if not found:
            detail = (
                "No decision of yours lies in this time. Name another time; a decision can be found some minutes "
                "after it was made."
            )
            raise Problem(404, "no-decisions", "No decisions", detail)
        past = PastDecisions(window, draft, self.features.names)
        rows = self.lake.rows(past.sql(part_of(found, MOST_DECISIONS)), until=until)
        report = backtest(past.read(rows, self.unread), draft)
        return BacktestAnswer(
            since=written(window.since),
            until=written(window.until),
            found=found,
            share=report.decisions / found,
            report=report,
        )


def draft_of(
    merchant_id: str,
    rules: Rules | None,
    policy: PolicyRequest | None,
    store: SettingsStore,
    default: Callable[[], Policy],
    features: FeatureSet,
) -> Draft:
    """A draft, with what the merchant has now in the place of what is left out.

    Raises
    ------
    Problem
        400 for a rule that could not be kept either.
    """
    lists = store.get(merchant_id, StoredLists)
    definitions = lists.lists if lists else ()
    if rules is not None:
        tried = checked(rules, features, definitions, place="rules.")
        rulebook = Rulebook(tried, mode=rules.mode, version="draft")
    else:
        current = store.get(merchant_id, StoredRules)
        tried = current.rules if current else ()
        rulebook = Rulebook.of(current) if current else Rulebook()
    if policy is not None:
        chosen = policy.policy("draft")
    else:
        own = store.get(merchant_id, StoredPolicy)
        chosen = (own.policy if own else None) or default()
    return Draft(chosen, rulebook, tuple(each.id for each in tried if each.enabled), definitions)


def _window(given: BacktestRequest, now: int) -> tuple[int, int]:
    for name in ("since", "until"):
        moment = getattr(given, name)
        if moment is not None and moment.tzinfo is None:
            detail = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."
            raise _invalid(detail, name)
    until = given.until or datetime.fromtimestamp(now / 1_000, UTC)
    try:
        since = given.since or until - timedelta(days=USUAL_DAYS)
        length, bounds = until - since, (_ms(since), _ms(until))
    except OverflowError:
        bounds = (-1, -1)
    if bounds[0] < 0 or bounds[1] >= LATEST_TIME:
        raise _invalid("The time is before 1970 or after 2100. Name one of the past months.", "until")
    if length <= timedelta():
        raise _invalid(
            "`since` is not before `until`. Name a time that has passed, and its end after it.", "since"
        )
    if length > timedelta(days=MOST_DAYS):
        raise _invalid(f"The time is longer than {MOST_DAYS} days. Try a part of it.", "since")
    return bounds


def _invalid(detail: str, field: str) -> Problem:
    return Problem(400, "invalid-field", "Invalid field", detail, field)


def _ms(moment: datetime) -> int:
    # Rounded down: a moment that lies between two milliseconds leaves out neither side's decisions twice.
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def written(ms: int) -> str:
    """Milliseconds since the epoch in RFC 3339."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat()

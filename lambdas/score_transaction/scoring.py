"""The decision on a transaction: one read, features, models, rules and policy, one write."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from fraud.codec import CorruptStateError
from fraud.decision import decision_row
from fraud.events import Transaction
from fraud.features import FeatureSet, Key
from fraud.tokens import Tokeniser, changed, of_both
from runtime.api import body_digest, check, parse
from runtime.breaker import Breaker
from runtime.bundles import Live
from runtime.contract.requests import DecisionRequest
from runtime.http import UNREACHABLE, Problem, unavailable
from runtime.stores.decisions import DECISION, DecisionStore, Record
from runtime.stores.settings import ItemKey, document_keys
from runtime.stores.snapshots import Snapshot, Snapshots

from .judging import Scored, decision_on, row_level, scored
from .settings import SettingsCache

__all__ = ["Asking", "Outcome", "Scorer", "Timer"]

_WRITERS = 8


@dataclass(slots=True)
class Timer:
    """How long the calls to AWS took, in seconds; the rest of a request is our own code."""

    store: float = 0.0

    def timed[T](self, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return call()
        finally:
            self.store += time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and when.

    Attributes
    ----------
    received_at : int
        The receipt time that the features look back from, in ms.
    """

    merchant_id: str
    received_at: int
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to answer.

    Attributes
    ----------
    answer : str
        JSON; for a repeated request the very bytes of the first answer.
    repeated : bool
    degraded : bool
    action : str
        Empty when repeated.
    failed_rules : int
        How many rules could not be evaluated.
    """

    answer: str
    repeated: bool
    degraded: bool = False
    action: str = ""
    failed_rules: int = 0


@dataclass(frozen=True, slots=True)
class _Request:
    """A request that was understood, and what has to be read for it.

    Attributes
    ----------
    before : Transaction or None
        The same under the token key before, while keys overlap.
    """

    transaction: Transaction
    before: Transaction | None
    digest: str
    keys: list[Key]
    settings: list[ItemKey]


@dataclass(frozen=True, slots=True)
class _Made:
    """A decision that is not written yet."""

    record: Record
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Scorer:
    """Decides on transactions with the models, the rules and the policy that count at the moment.

    Parameters
    ----------
    tokeniser : callable
        The deployment's token keys, as last refreshed.
    serving : callable
        The serving document and its models, as last refreshed; it never waits.
    failed : callable
        Told what could not be read or scored, once a failure.
    clock : callable
        Wall-clock milliseconds, for the moment of the write.
    monotonic : callable
        Seconds that never go back, for what is kept and what is waited for.
    patience : float
        Seconds. A read that failed sooner than in half of this is tried once more.
    """

    features: FeatureSet
    snapshots: Snapshots
    ledger: DecisionStore
    tokeniser: Callable[[], Tokeniser]
    serving: Callable[[], Live]
    settings: SettingsCache
    failed: Callable[[Exception], None]
    clock: Callable[[], int]
    monotonic: Callable[[], float] = time.monotonic
    breaker: Breaker = field(default_factory=Breaker)
    patience: float = 0.2
    timer: Timer = field(default_factory=Timer)

    def decide(self, body: bytes, asking: Asking) -> Outcome:
        """Decide, and write the decision once.

        Raises
        ------
        Problem
            400 for a bad body; 409 if the id was used for another one; 503 if the decision could not be kept.
        """
        request = self._understood(body, asking)
        found = self._read(request.keys, request.settings)
        return self._keep(self._made(request, found, asking))

    def decide_many(self, bodies: Sequence[bytes | Problem], asking: Asking) -> list[Outcome | Problem]:
        """Decide on several, each on its own: read together, written beside each other.

        Those with the same id are written in the order given, so that the first of them counts.
        """
        requests = [self._tried(self._understood, body, asking) for body in bodies]
        understood = [each for each in requests if isinstance(each, _Request)]
        found = self._read(
            list(dict.fromkeys(key for each in understood for key in each.keys)),
            list(dict.fromkeys(key for each in understood for key in each.settings)),
        )
        made = [each if isinstance(each, Problem) else self._made(each, found, asking) for each in requests]
        same: dict[str, list[_Made]] = {}
        for each in made:
            if isinstance(each, _Made):
                same.setdefault(each.record.event_id, []).append(each)

        def write(together: list[_Made]) -> list[Outcome | Problem]:
            return [self._tried(self._keep, each) for each in together]

        with ThreadPoolExecutor(_WRITERS) as pool:
            kept = dict(zip(same, map(iter, pool.map(write, same.values())), strict=True))
        return [each if isinstance(each, Problem) else next(kept[each.record.event_id]) for each in made]

    def reachable(self, merchant_id: str) -> bool:
        """Whether the store can be read now; asks it as a decision would, and counts for the breaker alike."""
        return self._read([], list(document_keys(merchant_id))) is not None

    @staticmethod
    def _tried[**P, T](call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | Problem:
        try:
            return call(*arguments, **named)
        except Problem as problem:
            return problem

    def _understood(self, body: bytes | Problem, asking: Asking) -> _Request:
        if isinstance(body, Problem):
            raise body
        request = parse(body, DecisionRequest)
        check(request, asking.received_at)
        raw = request.transaction(asking.merchant_id, asking.received_at)
        tokeniser, now = self.tokeniser(), self.monotonic()
        transaction, before = tokeniser.apply(raw), tokeniser.previous(raw)
        return _Request(
            transaction,
            before,
            body_digest(body),
            keys=of_both(self.features.keys_read, transaction, before),
            settings=of_both(lambda each: self.settings.keys(each, now), transaction, before),
        )

    def _read(self, keys: list[Key], settings: list[ItemKey]) -> Snapshot | None:
        """What the store holds; None where it cannot be had in time."""
        start = self.monotonic()
        if not self.breaker.admits(start):
            return None
        try:
            try:
                found = self.timer.timed(lambda: self.snapshots.read(keys, settings))
            except UNREACHABLE:
                # One connection that broke is no outage; a second wait would be more than a payment has time for.
                if self.monotonic() - start >= self.patience / 2:
                    raise
                found = self.timer.timed(lambda: self.snapshots.read(keys, settings))
        except UNREACHABLE as error:
            self.breaker.failed(self.monotonic())
            self.failed(error)
            return None
        except CorruptStateError as error:
            # The store itself is well: the next payment has other keys.
            self.failed(error)
            return None
        self.breaker.succeeded()
        return found

    def _made(self, request: _Request, found: Snapshot | None, asking: Asking) -> _Made:
        transaction, live = request.transaction, self.serving()
        if found is None:
            settings = self.settings.last(transaction.merchant_id)
            vector = row_level(self.features, self.features.vector(transaction, {}))
            listed: tuple[str, ...] = ()
            score = Scored()
        else:
            items = [found.settings[key] for key in request.settings if key in found.settings]
            settings = self.settings.take(transaction.merchant_id, request.settings, items, self.monotonic())
            states = {key: found.states[key] for key in request.keys if key in found.states}
            vector = self.features.vector(transaction, states)
            listed = settings.listed(items, transaction.event_time)
            score = scored(live, self.features, vector, transaction.event_id, self.failed)
        judged = decision_on(
            transaction,
            vector,
            score,
            features=self.features,
            live=live,
            settings=settings,
            listed=listed,
            has_history=found is not None,
        )
        decision = judged.decision
        row = decision_row(
            transaction,
            decision,
            features=self.features,
            vector=vector,
            raw_score=score.raw,
            recorded_at=self.clock(),
            rules_version=settings.rules_version,
            shadow=score.shadow,
            previous_tokens=changed(transaction, request.before) if request.before else None,
            correlation_id=asking.correlation_id,
        )
        record = Record(
            event_id=transaction.event_id,
            kind=DECISION,
            digest=request.digest,
            answer=msgspec.json.encode(decision).decode(),
            row=msgspec.json.encode(row).decode(),
        )
        outcome = Outcome(
            record.answer,
            repeated=False,
            degraded=decision.degraded,
            action=decision.decision,
            failed_rules=len(judged.failed),
        )
        return _Made(record, outcome)

    def _keep(self, made: _Made) -> Outcome:
        try:
            kept = self.timer.timed(lambda: self.ledger.put(made.record))
        except UNREACHABLE as error:
            self.failed(error)
            raise unavailable() from error
        if kept is None:
            return made.outcome
        if kept.digest != made.record.digest:
            detail = "This transaction_id was used before, with another body. Use a new id for a new transaction."
            raise Problem(409, "id-reused", "Id used before", detail, "transaction_id")
        return Outcome(kept.answer, repeated=True)

"""The decision on a transaction: one read, features, models, rules and policy, one write."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.exceptions import ConnectionError as BrokenConnectionError

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
from runtime.stores.batches import UnprocessedError
from runtime.stores.decisions import DECISION, DecisionStore, Record
from runtime.stores.documents import ItemKey, document_keys
from runtime.stores.snapshots import Snapshot, Snapshots

from .judging import Scored, decision_on, row_level, scored
from .settings import SettingsCache

__all__ = ["Asking", "Made", "Outcome", "Scorer", "Timer", "Understood", "tried"]


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
    passed : bool
        Whether it would have been declined and was let through; for our own counting, and never answered.
    """

    answer: str
    repeated: bool
    degraded: bool = False
    action: str = ""
    failed_rules: int = 0
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Understood:
    """A request that was understood, and what has to be read for it.

    Attributes
    ----------
    before : Transaction or None
        The same under the token key before, while keys overlap.
    digests : tuple of str
        Of the request, under the secret of the people in it: that of its key, and of the other one of the ring.
    asked_at : float
        When it was found out what to read, in seconds of the wall clock.
    """

    transaction: Transaction
    before: Transaction | None
    digests: tuple[str, ...]
    keys: list[Key]
    settings: list[ItemKey]
    asked_at: float


@dataclass(frozen=True, slots=True)
class Made:
    """A decision that is not written yet.

    Attributes
    ----------
    digests : tuple of str
        Of the request; a record of an earlier one that has any of them is of the same request.
    give_back : callable or None
        Gives back what the decision took of its policy's bounds.
    """

    record: Record
    digests: tuple[str, ...]
    outcome: Outcome
    give_back: Callable[[], None] | None


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
        Wall-clock milliseconds: the moment of the write, and how old is what was kept. Of a process that Lambda
        froze no other clock tells how long it slept.
    monotonic : callable
        Seconds that never go back, for what is waited for within a request.
    patience : float
        Seconds. A read that failed sooner than in half of this, and of itself, is tried once more.
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

    def seconds(self) -> float:
        """The wall clock, for how old is what was kept."""
        return self.clock() / 1_000

    def decide(self, body: bytes, asking: Asking) -> Outcome:
        """Decide, and write the decision once.

        Raises
        ------
        Problem
            400 for a bad body; 409 if the id was used for another one, or for one that cannot be compared; 503
            if the decision could not be kept.
        """
        request = self.understand(body, asking)
        found = self.timer.timed(lambda: self.look(request.keys, request.settings))
        made = self.make(request, found, asking)
        result = self.settle(made, self.timer.timed(lambda: tried(self.keep, made)))
        if isinstance(result, Problem):
            raise result
        return result

    def reachable(self, merchant_id: str) -> bool:
        """Whether the store can be read now; asks it as a decision would, and counts for the breaker alike."""
        nobody = Key(self.features.entities[0].name, "-")
        return self.look([nobody], list(document_keys(merchant_id))) is not None

    @staticmethod
    def settle(made: Made, result: Outcome | Problem) -> Outcome | Problem:
        """Count a payment for its policy's bounds once: not when it was repeated or could not be kept."""
        if made.give_back is not None and (isinstance(result, Problem) or result.repeated):
            made.give_back()
        return result

    def understand(self, body: bytes | Problem, asking: Asking) -> Understood:
        """Check a request, and find out what has to be read for it; raises `Problem`."""
        if isinstance(body, Problem):
            raise body
        request = parse(body, DecisionRequest)
        check(request, asking.received_at)
        raw = request.transaction(asking.merchant_id, asking.received_at)
        tokeniser, now = self.tokeniser(), self.seconds()
        sealed = tokeniser.sealed(raw)
        transaction = sealed[0].transaction
        before = sealed[1].transaction if tokeniser.overlaps(raw.event_time) else None
        return Understood(
            transaction,
            before,
            tuple(body_digest(body, each.secret) for each in sealed),
            keys=of_both(self.features.keys_read, transaction, before),
            settings=of_both(lambda each: self.settings.keys(each, now), transaction, before),
            asked_at=now,
        )

    def look(self, keys: list[Key], settings: list[ItemKey]) -> Snapshot | None:
        """What the store holds; None where it cannot be had in time."""
        start = self.monotonic()
        if not self.breaker.admits(self.seconds()):
            return None
        try:
            try:
                found = self.snapshots.read(keys, settings)
            except UNREACHABLE as error:
                # One call that failed is no outage; a second wait would be more than a payment has time for.
                if not _failed_of_itself(error) or self.monotonic() - start >= self.patience / 2:
                    raise
                found = self.snapshots.read(keys, settings)
        except (CorruptStateError, UnprocessedError) as error:
            # The store itself is well: other payments have other keys, which may be less asked for.
            self.failed(error)
            found = None
        except UNREACHABLE as error:
            self.breaker.failed(self.seconds())
            self.failed(error)
            return None
        self.breaker.succeeded()
        return found

    def make(self, request: Understood, found: Snapshot | None, asking: Asking) -> Made:
        """Decide from what was found, or without it; nothing is written."""
        transaction, live = request.transaction, self.serving()
        if found is None:
            settings = self.settings.last(transaction.merchant_id)
            vector = row_level(self.features, self.features.vector(transaction, {}))
            listed, score = None, Scored()
        else:
            items = [found.settings[key] for key in request.settings if key in found.settings]
            settings = self.settings.take(
                transaction.merchant_id, request.settings, items, since=request.asked_at, now=self.seconds()
            )
            states = {key: found.states[key] for key in request.keys if key in found.states}
            vector = self.features.vector(transaction, states)
            listed = settings.listed(items, transaction.event_time)
            score = scored(live, self.features, vector, transaction.event_id, self.failed)
        policy = settings.policy or live.serving.policy
        allowance = self.settings.allowance(transaction.merchant_id, policy)
        judged = decision_on(
            transaction,
            vector,
            score,
            features=self.features,
            settings=settings,
            policy=policy,
            allowance=allowance,
            listed=listed,
        )
        decision, judgement = judged.decision, judged.judgement
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
            would_be=judgement.would_be,
            propensity=judgement.propensity,
        )
        record = Record(
            event_id=transaction.event_id,
            kind=DECISION,
            digest=request.digests[0],
            answer=msgspec.json.encode(decision).decode(),
            row=msgspec.json.encode(row).decode(),
        )
        outcome = Outcome(
            record.answer,
            repeated=False,
            degraded=decision.degraded,
            action=decision.decision,
            failed_rules=len(judgement.failed),
            passed=bool(judgement.would_be),
        )
        give_back = None
        if allowance is not None and judgement.by_policy is not None:
            give_back = partial(allowance.give_back, judgement.by_policy, judgement.draw)
        return Made(record, request.digests, outcome, give_back)

    def keep(self, made: Made, give_up_at: float = math.inf) -> Outcome:
        """Write a decision once, unless it is too late to begin; raises `Problem`."""
        if self.monotonic() >= give_up_at:
            raise unavailable()
        try:
            kept = self.ledger.put(made.record)
        except UNREACHABLE as error:
            self.failed(error)
            raise unavailable() from error
        if kept is None:
            return made.outcome
        if kept.digest not in made.digests:
            detail = (
                "This transaction_id was used before, with another body or with one that cannot be compared any "
                "more. Use a new id for a new transaction; GET /v1/decisions/{transaction_id} has the decision."
            )
            raise Problem(409, "id-reused", "Id used before", detail, "transaction_id")
        return Outcome(kept.answer, repeated=True)


def _failed_of_itself(error: Exception) -> bool:
    """Whether a call failed for no reason that the next one meets again.

    That is a broken connection, as Lambda ends those of a process that sleeps; or a 5xx of DynamoDB, which asks
    for what it answered so to be repeated.
    """
    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, (BrokenConnectionError, ConnectionClosedError))


def tried[**P, T](call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | Problem:
    """What a call gives, or the problem that it raises."""
    try:
        return call(*arguments, **named)
    except Problem as problem:
        return problem

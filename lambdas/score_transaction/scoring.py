"""The decision on one transaction: state, features, score, policy, one write."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from fraud.codec import CorruptStateError
from fraud.decision import (
    NO_MODEL,
    NO_STATE,
    Decision,
    GivenReason,
    Model,
    decision_row,
    explain,
    signals,
)
from fraud.events import Transaction
from fraud.features import FeatureSet, Key
from fraud.serving import Serving
from fraud.state import State
from fraud.tokens import Tokeniser
from runtime.api import DecisionRequest, body_digest, check_currency, check_occurred_at, parse
from runtime.bundles import ServedModel
from runtime.http import Problem
from runtime.stores.batches import ThrottledError
from runtime.stores.decisions import DECISION, DecisionStore, Record
from runtime.stores.features import FeatureStore

_UNAVAILABLE = {
    NO_MODEL: "No model serves yet: decided by the amount alone",
    NO_STATE: "The history could not be read in time: decided by the amount alone",
}


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
    """

    answer: str
    repeated: bool
    degraded: bool = False
    action: str = ""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Decides on transactions with the model and the policy that serve at the moment.

    Parameters
    ----------
    serving : callable
        The serving document and the model it names, as last refreshed; it never waits.
    failed : callable
        Told why state could not be read, once a failure.
    """

    features: FeatureSet
    states: FeatureStore
    ledger: DecisionStore
    tokeniser: Tokeniser
    serving: Callable[[], tuple[Serving, ServedModel | None]]
    failed: Callable[[Exception], None]
    timer: Timer = field(default_factory=Timer)

    def decide(self, merchant_id: str, body: bytes, *, received_at: int, clock: Callable[[], int]) -> Outcome:
        """Decide, and write the decision once.

        Parameters
        ----------
        received_at : int
            The receipt time that the features look back from, in ms.
        clock : callable
            Wall-clock milliseconds, for the moment of the write.

        Raises
        ------
        Problem
            400 for a bad body; 409 if the id was used for another one.
        """
        request = parse(body, DecisionRequest)
        check_currency(request.currency)
        check_occurred_at(request.occurred_at, received_at)
        transaction = self.tokeniser.apply(request.transaction(merchant_id, received_at))
        states = self._read(self.features.keys_read(transaction))
        vector = self.features.vector(transaction, states or {})
        decision, raw = self._decision(transaction, vector, scorable=states is not None)
        row = decision_row(
            transaction,
            decision,
            features=self.features,
            vector=vector,
            raw_score=raw,
            recorded_at=clock(),
        )
        record = Record(
            event_id=transaction.event_id,
            kind=DECISION,
            digest=body_digest(body),
            answer=msgspec.json.encode(decision).decode(),
            row=msgspec.json.encode(row).decode(),
        )
        kept = self.timer.timed(lambda: self.ledger.put(record))
        if kept is None:
            return Outcome(record.answer, repeated=False, degraded=decision.degraded, action=decision.decision)
        if kept.digest != record.digest:
            detail = "This transaction_id was used before, with another body. Use a new id for a new transaction."
            raise Problem(409, "id-reused", "Id used before", detail, "transaction_id")
        return Outcome(kept.answer, repeated=True)

    def _read(self, keys: list[Key]) -> dict[Key, State] | None:
        try:
            found = self.timer.timed(lambda: self.states.read(keys))
        except (BotoCoreError, ClientError, ThrottledError, CorruptStateError) as error:
            self.failed(error)
            return None
        return {key: versioned.state for key, versioned in found.items()}

    def _decision(
        self, transaction: Transaction, vector: tuple[float, ...], *, scorable: bool
    ) -> tuple[Decision, float | None]:
        serving, model = self.serving()
        raw = score = None
        if model is not None and scorable:
            columns = model.row(self.features.names, vector)
            raw, score = model.score(columns)
            reasons = explain(self.features, model.contributions(columns))
        else:
            code = NO_STATE if not scorable else NO_MODEL
            reasons = (GivenReason(code=code, text=_UNAVAILABLE[code], direction="none"),)
        return Decision(
            transaction_id=transaction.transaction_id,
            decision=serving.policy.decide(transaction, score),
            score=score,
            reasons=reasons,
            signals=signals(self.features, vector) if scorable else {},
            model=Model(name=model.manifest.name, version=model.manifest.version)
            if model is not None and score is not None
            else None,
            policy=serving.policy.version,
            degraded=score is None,
            evaluated_at=transaction.event_time,
        ), raw if raw is None or math.isfinite(raw) else None

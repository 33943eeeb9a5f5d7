"""A scorer over stores in memory, with a small real model, and payments to decide on."""

import json
from collections.abc import Callable

import pytest

from fraud.features import STANDARD
from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from fraud.tokens import Tokeniser
from lambdas.score_transaction.scoring import Asking, Outcome, Scorer
from lambdas.score_transaction.settings import SettingsCache
from runtime.api import parse
from runtime.booster import Booster
from runtime.bundles import Live, ServedModel
from runtime.contract.requests import DecisionRequest
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from runtime.stores.features import MemoryFeatureStore
from runtime.stores.settings import MemorySettingsStore
from runtime.stores.snapshots import MemorySnapshots
from tests.unit.lambdas.deliveries import deliver, updater
from tests.unit.lambdas.support import POLICY, TOKEN_KEY, bundle, lambda_event

NOW = 1_767_261_600_000
TOKENS = Tokeniser(TOKEN_KEY.encode())
# Whatever the score is: declined by the one, approved by the other.
STRICT = Policy(version="strict", thresholds=Thresholds(challenge=0.0, review=0.0, decline=0.0))
MILD = Policy(version="mild", thresholds=Thresholds(challenge=1.0, review=1.0, decline=1.0))
SENT = json.loads(lambda_event("decision_request")["body"])


def body(**changes: object) -> bytes:
    return json.dumps({**SENT, **changes}).encode()


def served() -> ServedModel:
    manifest, model = bundle()
    return ServedModel(manifest, Booster(model, len(manifest.features)))


def scorer(
    states: MemoryFeatureStore | None = None,
    ledger: MemoryDecisionStore | None = None,
    *,
    model: ServedModel | None = None,
    policy: Policy = POLICY,
    tokens: Tokeniser = TOKENS,
    settings: MemorySettingsStore | None = None,
    failed: Callable[[Exception], None] = lambda error: pytest.fail(f"not expected: {error!r}"),
    monotonic: Callable[[], float] = lambda: 0.0,
    wall: Callable[[], float] | None = None,
) -> Scorer:
    """A scorer over what is given; its wall clock goes on as `wall` does, in seconds, or as the other one."""
    passed = wall or monotonic
    return Scorer(
        features=STANDARD,
        snapshots=MemorySnapshots(states if states is not None else MemoryFeatureStore(), settings),
        ledger=ledger if ledger is not None else MemoryDecisionStore(),
        tokeniser=lambda: tokens,
        serving=lambda: Live(
            Serving(policy=policy, champion=model.manifest.version if model else None),
            {model.manifest.version: model} if model else {},
        ),
        settings=SettingsCache(60, failed),
        failed=failed,
        clock=lambda: NOW + 7 + round(passed() * 1_000),
        monotonic=monotonic,
    )


def decide(made: Scorer, sent: bytes | None = None, *, at: int = NOW, merchant: str = "acme") -> Outcome:
    return made.decide(body() if sent is None else sent, Asking(merchant, at))


def history() -> MemoryFeatureStore:
    """States that know the card, the customer and the merchant of the request."""
    store = MemoryFeatureStore()
    earlier = []
    for number in range(9):
        sent = body(transaction_id=f"before-{number}", amount=900 + 450 * number, device={"id": f"d{number % 2}"})
        at = NOW - 200_000 * (number + 1) ** 3
        earlier.append(TOKENS.apply(parse(sent, DecisionRequest).transaction("acme", at)))
    updater(store).apply(list(deliver(earlier)))
    return store


def row(ledger: MemoryDecisionStore, name: str = "acme/order-1001") -> dict[str, object]:
    kept = ledger.get(name, DECISION)
    assert kept is not None
    decoded: dict[str, object] = json.loads(kept.row)
    return decoded

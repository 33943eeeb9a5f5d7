"""Measure what a decision asks of DynamoDB and the bus, with the platform's own code on a generated world.

``python -m tests.unit.capacity.measuring`` writes ops/capacity/measured.json; a test measures again and compares.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import batched
from statistics import mean, quantiles
from typing import Any

import msgspec

from fraud.decision import event_of
from fraud.events import Event
from fraud.features import STANDARD, Key
from fraud.lists import ListDefinition, StoredLists
from fraud.policy import Policy, Thresholds
from fraud.replay import arrival, fold
from fraud.rules.check import check_rules
from fraud.rules.documents import Rule, StoredRules
from fraud.serving import Serving
from fraud.state import State
from fraud.tokens import Tokeniser
from lambdas.record_label.recording import record
from lambdas.score_transaction.scoring import Asking, Scorer
from lambdas.score_transaction.settings import SettingsCache
from lambdas.update_features.updating import Delivery, Updater
from ops.capacity.work import MEASURED
from ops.inputs import World, build_world, decision_body, label_body
from ops.inputs.world import WorldOptions
from runtime.booster import Booster
from runtime.bundles import Live, ServedModel
from runtime.http import Request
from runtime.stores.decisions import DECISION, DynamoDecisionStore
from runtime.stores.documents import document_keys
from runtime.stores.features import DynamoFeatureStore, Versioned
from runtime.stores.settings import MemorySettingsStore
from runtime.stores.snapshots import DynamoSnapshots
from tests.unit.capacity.metered import Meter
from tests.unit.capacity.sizes import item_size
from tests.unit.lambdas.support import TOKEN_KEY, bundle

OPTIONS = WorldOptions(
    history_rows=3_000,
    history_fraud={"card testing": 80, "stolen card": 80, "lost card": 20, "friendly fraud": 20},
    live_rows=400,
    live_days=4,
    live_fraud={"card testing": 10, "stolen card": 10, "account takeover": 10, "bin attack": 10},
)
TOKENS = Tokeniser(TOKEN_KEY.encode())
# Some payments are approved and some not, so that the share with reasons is like life's.
POLICY = Policy(version="1", thresholds=Thresholds(challenge=0.3, review=0.6, decline=0.85))
BATCHES = (1, 10)
"""How many messages an invocation of update_features is given: where little happens, and where much does."""


def measured() -> dict[str, Any]:
    """Sizes in bytes, and calls, items and units for each event of a kind, as measured.json holds them."""
    world = build_world(4, OPTIONS)
    meter = Meter()
    _remember(meter, world)
    _set(meter, world.merchants)
    decisions, labels = _decide(meter, world)
    lines = [item for (_, kind), item in meter.tables["decisions"].items() if kind == DECISION]
    told = [item for (_, kind), item in meter.tables["decisions"].items() if kind != DECISION]
    states: dict[str, list[int]] = defaultdict(list)
    for (name,), item in meter.tables["features"].items():
        states[name.split("#")[1]].append(item_size(item))
    found: dict[str, Any] = {
        "decision": decisions,
        "label": labels,
        "sizes": {
            "decision line": _spread(map(item_size, lines)),
            "label line": _spread(map(item_size, told)),
            "decision event": _spread(len(item["row"]["S"].encode()) for item in lines),
            "label event": _spread(len(item["row"]["S"].encode()) for item in told),
            "decision answer": _spread(len(item["answer"]["S"].encode()) for item in lines),
            **{f"state of {entity}": _spread(sizes) for entity, sizes in sorted(states.items())},
        },
    }
    # Each kind is folded into states of its own, so that the order of the kinds does not matter.
    held = dict(meter.tables["features"])
    for size in BATCHES:
        meter.tables["features"] = dict(held)
        found[f"fold a decision, {size} at once"] = _folded(meter, lines, size)
        found["sizes"]["marker"] = _spread(
            item_size(item) for (name,), item in meter.tables["features"].items() if name.startswith("m#")
        )
    meter.tables["features"] = dict(held)
    found["fold a label, 10 at once"] = _folded(meter, told, 10)
    return found


def _remember(meter: Meter, world: World) -> None:
    """The states of the world's history, written as items."""
    events: list[Event] = []
    for row in world.history:
        payment = TOKENS.apply(row.transaction)
        events.append(payment)
        label = row.label
        if label is not None and label.known_at < world.live_from:
            events.append(msgspec.structs.replace(label, transaction=payment))
    states: dict[Key, State] = defaultdict(State)
    for event in sorted(events, key=arrival):
        fold(event, states)
    store = _features(meter)
    expires_at = (world.live_from + 2 * STANDARD.retention) // 1_000
    for chunk in batched(sorted(states.items()), 50, strict=False):
        written = {key: Versioned(state, 0) for key, state in chunk}
        store.write([], {1: written}, expires_at=expires_at)


def _set(meter: Meter, merchants: Sequence[str]) -> None:
    """Rules and a list of each merchant's, made by the store in memory and copied."""
    store = MemorySettingsStore()
    rules = [
        Rule(id="far", when="amount > 50000 && channel == 'ecommerce'", action="review", stage="after"),
        Rule(id="many", when="card_count_1h > 5", action="challenge", stage="after"),
    ]
    lists = (ListDefinition(name="known", field="email", action="block"),)
    for merchant in merchants:
        said = {"version": 1, "changed_at": 0, "changed_by": "key:k1"}
        store.put(merchant, StoredRules(mode="first_match", rules=check_rules(rules, STANDARD), **said))
        store.put(merchant, StoredLists(lists=lists, **said))
        for item in store.items(document_keys(merchant)):
            meter.tables["settings"][item["id"]["S"], item["part"]["S"]] = dict(item)


def _decide(meter: Meter, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every live payment decided on and every label recorded: calls and units of an average one of each."""
    manifest, model = bundle()
    served = ServedModel(manifest, Booster(model, len(manifest.features)))
    now = [world.live_from]
    scorer = Scorer(
        features=STANDARD,
        snapshots=DynamoSnapshots(_features(meter, consistent=False), "settings"),
        ledger=DynamoDecisionStore(meter, "decisions"),  # type: ignore[arg-type] - the part of a client that is used
        tokeniser=lambda: TOKENS,
        serving=lambda: Live(Serving(policy=POLICY, champion="run-1"), {"run-1": served}),
        # A busy process: a minute of its time has a thousand payments, so documents are hardly ever read again.
        settings=SettingsCache(math.inf, _raise),
        failed=_raise,
        clock=lambda: now[0],
    )
    live = [row.transaction for row in world.live]
    reported = [row.label for row in world.live if row.label is not None]
    meter.counts.clear()
    for payment in live:
        now[0] = payment.event_time + 20
        body = json.dumps(decision_body(payment)).encode()
        outcome = scorer.decide(body, Asking(payment.merchant_id, payment.event_time, "c" * 32))
        if outcome.degraded or outcome.repeated:
            raise RuntimeError(f"payment {payment.event_id} was not decided on as usual")
    decisions = _each(meter, len(live))
    for label in reported:
        body = json.dumps(label_body(label)).encode()
        request = Request(
            merchant_id=label.transaction.merchant_id, request_id="r", body=body, headers={}, path={}
        )
        record(
            request,
            store=DynamoDecisionStore(meter, "decisions"),  # type: ignore[arg-type] - as above
            received_at=label.known_at,
            recorded_at=label.known_at + 20,
        )
    return decisions, _each(meter, len(reported))


def _folded(meter: Meter, lines: Sequence[Any], size: int) -> dict[str, Any]:
    """What update_features asks for an event when it is given `size` at once."""
    deliveries = []
    for number, line in enumerate(lines):
        row = msgspec.json.decode(line["row"]["S"])
        deliveries.append(Delivery(f"m{number}", event_of(row), row["recorded_at"]))
    updater = Updater(
        features=STANDARD,
        store=_features(meter),
        clock=lambda: max(each.recorded_at for each in deliveries),
        pause=lambda _: None,
    )
    meter.counts.clear()
    for chunk in batched(deliveries, size, strict=False):
        report = updater.apply(chunk)
        if report.applied != len(chunk):
            raise RuntimeError(f"a batch was not folded: {report}")
    return _each(meter, len(deliveries))


def _features(meter: Meter, *, consistent: bool = True) -> DynamoFeatureStore:
    return DynamoFeatureStore(meter, "features", consistent=consistent)  # type: ignore[arg-type] - as above


def _each(meter: Meter, events: int) -> dict[str, Any]:
    """Calls, items and units for one event, by operation and table; the meter begins anew."""
    found = {
        f"{operation} {table}": {
            "calls": round(count.calls / events, 4),
            "items": round(count.items / events, 3),
            "units": round(count.units / events, 3),
        }
        for (operation, table), count in sorted(meter.counts.items())
    }
    meter.counts.clear()
    return found


def _spread(values: Iterable[int]) -> dict[str, int]:
    ordered = sorted(values)
    cuts = quantiles(ordered, n=100, method="inclusive")
    return {"mean": round(mean(ordered)), "p50": round(cuts[49]), "p99": round(cuts[98]), "most": ordered[-1]}


def _raise(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    MEASURED.write_text(json.dumps(measured(), indent=2) + "\n", encoding="utf-8")
    sys.stderr.write(f"written to {MEASURED}\n")

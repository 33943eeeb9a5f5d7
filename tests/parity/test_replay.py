"""A replay of what serving decided changes nothing, to the last bit; and of what is changed, exactly that."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.decision import event_of
from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.lists import ListDefinition, StoredLists
from fraud.passing import PassThrough
from fraud.policy import Policy, Thresholds
from fraud.rules import Rule, StoredRules
from fraud.rules.check import check_rules
from fraud.serving import Serving
from lambdas.score_transaction.scoring import Asking, Scorer
from lambdas.score_transaction.settings import SettingsCache
from ops.inputs import build_world, decision_body
from runtime.api import parse
from runtime.bundles import Live
from runtime.contract.requests import DecisionRequest
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from runtime.stores.documents import Entry, StoredPolicy
from runtime.stores.features import MemoryFeatureStore
from runtime.stores.settings import MemorySettingsStore
from runtime.stores.snapshots import MemorySnapshots
from tests.unit.lambdas import deciding
from tests.unit.lambdas.deliveries import deliver, updater
from tests.unit.lambdas.support import bundle
from training.__main__ import main
from training.contract import Contract
from training.replay_plan import MerchantPast, PolicySince, ReplayPlan

ROWS = 240
PLATFORM = Policy(version="platform-1", thresholds=Thresholds(challenge=0.08, review=0.1, decline=0.13))
OTHER = Policy(version="given", thresholds=Thresholds(challenge=0.05, review=0.09, decline=0.11))
BOUNDED = Policy(
    version="own-1",
    thresholds=Thresholds(challenge=0.03, review=0.04, decline=0.05),
    most_declined=0.5,
    pass_through=PassThrough(share=0.2, most_amount=10**9, most_a_day=100_000),
)
RULES = (
    Rule(id="large", when="amount > 20000", action="review"),
    Rule(id="again", when='count(card, "24h") > 1 && score > 0.05', action="challenge", stage="after"),
    Rule(id="watched", when='"watched" in lists', action="decline"),
)
LISTS = (
    ListDefinition(name="friends", field="customer", action="allow"),
    ListDefinition(name="watched", field="device", action="none"),
)


@dataclass
class Played:
    """What a scorer decided, row by row as the lake has it, and what its merchants had set."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    merchants: dict[str, MerchantPast] = field(default_factory=dict)


@pytest.fixture(scope="module")
def played() -> Played:
    """A small world through the scorer: rules and lists of one merchant, a bounded policy of another."""
    world = build_world(5)
    paid = sorted(world.live, key=lambda row: row.order)[:ROWS]
    first, second = [name for name, _ in Counter(each.transaction.merchant_id for each in paid).most_common(2)]
    settings, states, ledger = MemorySettingsStore(), MemoryFeatureStore(), MemoryDecisionStore()
    settings.put(first, StoredLists(version=1, lists=LISTS, changed_at=1, changed_by="t"))
    rules = check_rules(RULES, STANDARD, {each.name: True for each in LISTS})
    settings.put(first, StoredRules(version=1, mode="all_matches", rules=rules, changed_at=2, changed_by="t"))
    settings.put(second, StoredPolicy(version=1, policy=BOUNDED, changed_at=1, changed_by="t"))
    of_first = [each.transaction for each in paid if each.transaction.merchant_id == first]
    for list_name, value_of, those in (
        ("friends", "customer", of_first[:4]),
        ("watched", "device", of_first[-20:]),
    ):
        tokens = [getattr(_tokenised(each), value_of) for each in those]
        entries = [Entry(value=each, added_at=1, added_by="t") for each in dict.fromkeys(tokens) if each]
        settings.change_entries(first, list_name, value_of, add=entries, now=1, by="key:k1")
    model = deciding.served()
    scorer = Scorer(
        features=STANDARD,
        snapshots=MemorySnapshots(states, settings),
        ledger=ledger,
        tokeniser=lambda: deciding.TOKENS,
        serving=lambda: Live(
            Serving(policy=PLATFORM, champion=model.manifest.version), {model.manifest.version: model}
        ),
        settings=SettingsCache(60, lambda error: pytest.fail(f"not expected: {error!r}")),
        failed=lambda _error: None,
        clock=lambda: deciding.NOW,
    )
    folding = updater(states)
    found = Played()
    for number, each in enumerate(paid):
        transaction = each.transaction
        body = json.dumps(decision_body(transaction)).encode()
        asking = Asking(transaction.merchant_id, transaction.event_time)
        if number % 12 == 11:  # the history cannot be read
            request = scorer.understand(body, asking)
            scorer.keep(scorer.make(request, None, asking))
        else:
            scorer.decide(body, asking)
        record = ledger.get(transaction.event_id, DECISION)
        assert record is not None
        found.rows.append(json.loads(record.row))
        folding.apply(list(deliver([event_of(found.rows[-1])])))
    found.merchants = {
        first: MerchantPast(
            rules={"1": _stored(settings, first, StoredRules)}, lists=(_stored(settings, first, StoredLists),)
        ),
        second: MerchantPast(policies={"own-1": BOUNDED}),
    }
    return found


def _stored(settings: MemorySettingsStore, merchant: str, kind: Any) -> Any:
    return settings.get(merchant, kind)


def _tokenised(paid: Transaction) -> Transaction:
    body = json.dumps(decision_body(paid)).encode()
    sent = parse(body, DecisionRequest).transaction(paid.merchant_id, paid.event_time)
    return deciding.TOKENS.apply(sent)


def write_lake(root: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows of decisions as Firehose writes them."""
    pairs = pa.map_(pa.string(), pa.float64())
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = [each[name] for each in rows]
        if name in ("features", "shadow"):
            columns[name] = pa.array([list(each.items()) for each in values], pairs)
        elif name in ("rules", "lists"):
            columns[name] = pa.array(values, pa.list_(pa.string()))
        elif name != "previous_tokens":
            columns[name] = pa.array(values)
    path = root / "processing" / "input" / "decisions" / "day=2026-01-01" / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def replayed(root: Path, played: Played, rows: list[dict[str, Any]] | None = None, **asked: Any) -> dict[str, Any]:
    """Run the program over a lake of these rows."""
    write_lake(root, played.rows if rows is None else rows)
    inputs = root / "processing" / "input"
    manifest, model = bundle()
    folder = inputs / "bundles" / manifest.version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (folder / "model.ubj").write_bytes(model)
    times = [each["event_time"] for each in played.rows]
    plan = ReplayPlan(
        **{
            "id": "r",
            "since": min(times),
            "until": max(times) + 1,
            "as_of": max(times) + 1,
            "platform": (PolicySince(at=1, policy=PLATFORM),),
            "merchants": played.merchants,
            **asked,
        }
    )
    (inputs / "plan").mkdir(exist_ok=True)
    (inputs / "plan" / "plan.json").write_bytes(msgspec.json.encode(plan))
    assert main(["replay"], Contract(root, cpus=1)) == 0, (root / "output" / "message").read_text()
    told: dict[str, Any] = json.loads((root / "processing" / "output" / "report" / "replay.json").read_bytes())
    return told


def test_a_replay_as_served_changes_nothing_to_the_last_bit(played: Played, tmp_path: Path) -> None:
    # Rules, lists, a bound, draws and decisions without history are all in it, or this would show little.
    assert {name for row in played.rows for name in row["rules"]} == {"large", "again", "watched"}
    assert {name for row in played.rows for name in row["lists"]} == {"friends", "watched"}
    assert {row["would_be"] for row in played.rows} == {"", "decline"}
    told = replayed(tmp_path, played, rows=[*played.rows, *played.rows[:7]])
    assert told["identical"], told["sentence"]
    assert (told["decisions"], told["replayed"], told["changed"], told["repeated"]) == (ROWS, ROWS, 0, 7)
    scored = sum(row["score"] is not None for row in played.rows)
    assert told["scores"]["compared"] == told["scores"]["equal"] == scored
    assert told["notes"]["without_score"] == ROWS // 12
    assert told["notes"]["let_through"] == sum(row["would_be"] == "decline" for row in played.rows)
    assert told["notes"]["within_a_bound"] > 0
    changes = tmp_path / "processing" / "output" / "report" / "changes.parquet"
    assert pq.read_metadata(changes).num_rows == 0


@pytest.mark.parametrize("name", ["score", "decision", "rules"])
def test_a_record_that_was_changed_is_found(played: Played, tmp_path: Path, name: str) -> None:
    place = next(place for place, row in enumerate(played.rows) if row["score"] and not row["would_be"])
    rows = [dict(row) for row in played.rows]
    other = {
        "score": math.nextafter(rows[place]["score"], 1.0),
        "decision": "review" if rows[place]["decision"] != "review" else "approve",
        "rules": [*rows[place]["rules"], "made-up"],
    }
    rows[place][name] = other[name]
    told = replayed(tmp_path, played, rows=rows)
    assert not told["identical"]
    assert told["scores"]["compared"] - told["scores"]["equal"] == (name == "score")
    assert told["changed"] == (name == "decision")


def test_another_policy_and_other_rules_change_what_an_independent_count_says(
    played: Played, tmp_path: Path
) -> None:
    given = check_rules([Rule(id="costly", when="amount > 15000", action="review")], STANDARD, {})
    rules = StoredRules(version=1, mode="first_match", rules=given, changed_at=0, changed_by="replay")
    told = replayed(tmp_path, played, rules="given", policy="given", given_rules=rules, given_policy=OTHER)

    def by_hand(row: dict[str, Any]) -> str:
        if "friends" in row["lists"]:
            return "approve"
        if row["amount"] > 15_000:
            return "review"
        if row["score"] is None:
            return "approve" if row["amount"] <= OTHER.unscored_limit else "review"
        if row["score"] >= 0.11:
            return "approve" if row["would_be"] == "decline" else "decline"
        return "review" if row["score"] >= 0.09 else "challenge" if row["score"] >= 0.05 else "approve"

    counted = Counter((row["currency"], row["decision"], by_hand(row)) for row in played.rows)
    found = {(each["currency"], each["from"], each["to"]): each["all"]["count"] for each in told["ways"]}
    assert found == dict(counted)
    assert told["changed"] == sum(count for (_, was, becomes), count in counted.items() if was != becomes) > 0
    folder = tmp_path / "processing" / "output" / "report"
    changes = pq.read_table(folder / "changes.parquet").to_pylist()
    assert {each["event_id"]: each["to"] for each in changes} == {
        row["event_id"]: by_hand(row) for row in played.rows if by_hand(row) != row["decision"]
    }
    assert len(told["largest"]) == min(25, told["changed"])
    assert told["rules"]["costly"]["after"] > 0
    assert "What would have been" in (folder / "report.html").read_text()


def test_features_computed_anew_without_lag_are_those_that_served(played: Played, tmp_path: Path) -> None:
    told = replayed(tmp_path, played, features="standard")
    assert told["identical"], told["sentence"]
    named = replayed(tmp_path, played, features="standard", model=bundle()[0].version)
    # Payments of which the history could not be read have one now.
    assert named["scores"]["scored_anew"] == ROWS // 12
    assert named["scores"]["equal"] == named["scores"]["compared"] == ROWS - ROWS // 12


def test_what_cannot_be_replayed_is_counted_and_not_hidden(played: Played, tmp_path: Path) -> None:
    told = replayed(tmp_path, Played(played.rows, {}))
    of_rules = sum(row["rules_version"] != "" for row in played.rows)
    of_policy = sum(row["policy_version"] == "own-1" for row in played.rows)
    assert told["cannot_be_replayed"] == {"policy_not_kept": of_policy, "rules_not_kept": of_rules}
    assert told["replayed"] == ROWS - of_rules - of_policy
    rows = [{**row, "model_version": "gone" if row["model_version"] else ""} for row in played.rows]
    gone = replayed(tmp_path / "gone", played, rows=rows)
    assert gone["cannot_be_replayed"] == {"model_not_kept": sum(row["score"] is not None for row in rows)}

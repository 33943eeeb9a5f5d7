"""Past decisions made once more: equal to the last bit, and whatever was changed since is told."""

import io
import json
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from fraud.features import STANDARD
from fraud.lists import ListDefinition, StoredLists
from fraud.passing import PassThrough
from fraud.policy import Action, Costs, Policy, Thresholds
from fraud.rules import Rule, StoredRules
from fraud.rules.check import check_rules
from fraud.serving import Canary, Serving
from lambdas.score_transaction.scoring import Scorer
from lambdas.score_transaction.settings import SettingsCache
from ops import cli
from ops.explaining import commands, finding
from ops.explaining.finding import Found, in_ledger, row_in
from ops.explaining.models import Explanation
from ops.explaining.replaying import Replayer
from ops.explaining.settings import SETTLING
from ops.explaining.tables import shown
from runtime.bundles import BundleStore, Live, ServedModel
from runtime.stores.decisions import MemoryDecisionStore
from runtime.stores.documents import StoredPolicy
from runtime.stores.lineages import Served
from runtime.stores.releases import MemoryReleaseStore
from runtime.stores.settings import MemorySettingsStore
from runtime.stores.snapshots import MemorySnapshots
from tests.unit.lambdas.deciding import NOW, TOKENS, body, decide, history
from tests.unit.lambdas.support import bundle

SHOWN = next(each.name for each in STANDARD.features if each.shown)
ACTIONS: tuple[Action, ...] = ("approve", "challenge", "review", "decline")
HISTORY = history()


class Bundles(BundleStore):
    """Bundles in memory; those that are gone raise as S3 would."""

    def __init__(self, *versions: str) -> None:
        self.held = {version: bundle(version) for version in versions}

    def _get(self, version: str, name: str) -> bytes:
        if version not in self.held:
            from fraud.bundle import CorruptBundleError

            raise CorruptBundleError(f"bundle {version}: there is no {name}")
        manifest, model = self.held[version]
        return model if name == "model.ubj" else msgspec.json.encode(manifest)


BUNDLES = Bundles("run-1", "run-2", "run-3")
MODELS = {version: BUNDLES.load(version, STANDARD.names) for version in BUNDLES.held}


class World:
    """A deployment in memory that decides, and whose settings and releases have a history."""

    def __init__(self, serving: Serving, models: dict[str, ServedModel] | None = None) -> None:
        self.settings, self.releases, self.ledger = (
            MemorySettingsStore(),
            MemoryReleaseStore(),
            MemoryDecisionStore(),
        )
        self.live = Live(serving, MODELS if models is None else models)
        self.releases.serves(Served(number=1, document=serving, at=1, by="t", reason="t", configuration="1"))
        self.scorer = Scorer(
            features=STANDARD,
            snapshots=MemorySnapshots(HISTORY, self.settings),
            ledger=self.ledger,
            tokeniser=lambda: TOKENS,
            serving=lambda: self.live,
            settings=SettingsCache(60, lambda error: pytest.fail(f"not expected: {error!r}")),
            failed=lambda error: pytest.fail(f"not expected: {error!r}"),
            clock=lambda: NOW + 7,
        )

    def found(self, name: str = "order-1001") -> Found:
        kept = in_ledger(self.ledger, "acme", name)
        assert kept is not None
        return kept

    def explain(self, name: str = "order-1001", **changed: Any) -> Explanation:
        found = self.found(name)
        return self.replayer().explain({**found.row, **changed}, found.answer, found.source)

    def replayer(self, bundles: BundleStore = BUNDLES) -> Replayer:
        return Replayer(STANDARD, bundles, self.settings, self.releases)

    def rules(self, *rules: Rule, version: int = 1) -> None:
        checked = check_rules(rules, STANDARD, ["l"])
        self.settings.put(
            "acme", StoredRules(version=version, mode="all_matches", rules=checked, changed_at=1, changed_by="t")
        )

    def policy(self, policy: Policy, version: int = 1) -> None:
        self.settings.put("acme", StoredPolicy(version=version, policy=policy, changed_at=1, changed_by="t"))


PLATFORM = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))


def world(policy: Policy = PLATFORM, **more: Any) -> World:
    return World(Serving(policy=policy, champion="run-1", **more))


def told(explanation: Explanation, equal: bool | None) -> list[str]:
    return [each.name for each in explanation.checks if each.equal is equal]


steps = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)
policies = st.builds(
    Policy,
    version=st.sampled_from(["p1", "p2"]),
    thresholds=steps.map(lambda at: Thresholds(challenge=at[0], review=at[1], decline=at[2])),
    unscored_limit=st.sampled_from([0, 10**9]),
    most_declined=st.sampled_from([None, 0.0, 0.5]),
    most_reviewed=st.sampled_from([None, 0.0]),
    pass_through=st.none() | st.builds(PassThrough, share=st.just(0.2), most_amount=st.just(10**9)),
) | st.builds(Policy, version=st.just("p3"), costs=st.builds(Costs, goodwill=st.integers(0, 10_000)))
conditions = st.sampled_from(
    [
        "amount > 5000",
        "score > 0.5",
        'count(card, "24h") > 1',
        'channel == "pos"',
        "degraded",
        "1 / (amount - amount) > 0",
    ]
)
rules = st.builds(
    lambda number, when, action, stage: Rule(id=f"r{number}", when=when, action=action, stage=stage),
    st.integers(0, 9),
    conditions,
    st.sampled_from(ACTIONS),
    st.sampled_from(["before", "after"]),
)


@settings(max_examples=60, deadline=None)
@given(
    policies,
    policies | st.none(),
    st.lists(rules, max_size=4, unique_by=lambda rule: rule.id),
    st.none() | st.floats(0, 1),
    st.lists(st.integers(0, 500_000), min_size=1, max_size=4),
    st.sampled_from(["run-1", None]),
)
def test_a_replay_is_equal_to_the_last_bit(
    platform: Policy,
    own: Policy | None,
    rules: list[Rule],
    canary: float | None,
    amounts: list[int],
    champion: str | None,
) -> None:
    tried = Canary(version="run-2", share=canary) if canary is not None else None
    made = World(Serving(policy=platform, champion=champion, challengers=("run-3",), canary=tried))
    made.rules(*rules)
    if own is not None:
        made.policy(msgspec.structs.replace(own, version="own-1"))
    for number, amount in enumerate(amounts):
        decide(made.scorer, body(transaction_id=f"t{number}", amount=amount))
    for number in range(len(amounts)):
        explanation = made.explain(f"t{number}")
        assert told(explanation, False) == []
        assert told(explanation, None) == []
        assert not explanation.differs
        assert [each.id for each in explanation.rules if each.matched] == sorted(explanation.kept.rules) or rules


@pytest.mark.parametrize(
    ("name", "change", "where"),
    [
        ("score", lambda _: 0.123, "score"),
        ("raw_score", lambda raw: raw * (1 + 2**-40), "raw score"),
        ("decision", lambda _: "review", "decision"),
        ("amount", lambda amount: amount + 1, "features of the payment itself"),
        ("rules", lambda _: ["r"], "rules"),
        ("lists", lambda _: ["vip"], "answer: all else"),
        ("degraded", lambda _: True, "degraded"),
        ("would_be", lambda _: "decline", "would be"),
        ("propensity", lambda _: 0.5, "propensity"),
        ("shadow", lambda _: {"run-3": 0.5}, "shadow score of run-3"),
        ("model_version", lambda _: "run-2", "model that served"),
        ("features", lambda found: {**found, SHOWN: found[SHOWN] + 1}, "answer: all else"),
    ],
)
def test_what_was_changed_is_told(name: str, change: Any, where: str) -> None:
    made = world(
        Policy(version="p1", thresholds=Thresholds(challenge=0, review=0.99, decline=1)), challengers=("run-3",)
    )
    decide(made.scorer)
    row = made.found().row
    assert not made.explain().differs
    changed = made.explain(**{name: change(row[name])})
    assert where in told(changed, False)
    assert changed.differs


def test_a_payment_that_was_let_through_is_told_as_one() -> None:
    passing = PassThrough(share=0.2, most_amount=10**9)
    made = world(
        Policy(version="p1", thresholds=Thresholds(challenge=0, review=0, decline=0), pass_through=passing)
    )
    name = next(f"t{n}" for n in range(99) if passing.takes(f"acme/t{n}", 0.2))
    lost = next(f"t{n}" for n in range(99) if not passing.takes(f"acme/t{n}", 0.2))
    answered = json.loads(decide(made.scorer, body(transaction_id=name)).answer)
    assert (answered["decision"], answered["reasons"]) == ("approve", [])
    assert "let through" not in json.dumps(answered)
    decide(made.scorer, body(transaction_id=lost))
    explanation = made.explain(name)
    assert (explanation.kept.would_be, explanation.kept.propensity) == ("decline", 0.2)
    assert not explanation.differs
    assert any("let through" in each.note for each in explanation.checks)
    assert "propensity" in told(made.explain(name, propensity=0.21), False)
    assert {"decision", "would be"} <= set(told(made.explain(name, propensity=1e-9), False))
    assert "would be" in told(made.explain(lost, would_be="decline", decision="approve", propensity=0.2), False)
    assert any("drawn" in each for each in made.explain(lost).not_replayed)


def test_a_bound_that_was_reached_is_said_and_none_is_made_up() -> None:
    strict = Policy(version="p1", thresholds=Thresholds(challenge=0, review=0, decline=0), most_declined=0.0)
    made = world(strict)
    for number in range(2):
        decide(made.scorer, body(transaction_id=f"t{number}"))
    first, second = made.explain("t0"), made.explain("t1")
    assert (first.kept.decision, second.kept.decision) == ("decline", "review")
    assert not first.differs
    assert not second.differs
    assert [any("bound" in each for each in one.not_replayed) for one in (first, second)] == [False, True]
    # Reviews are not bounded: nothing leads on to a challenge.
    assert "decision" in told(made.explain("t1", decision="challenge"), False)


def test_the_documents_of_that_moment_count_and_not_todays() -> None:
    made = world()
    made.rules(Rule(id="old", when="amount >= 0", action="review"))
    made.policy(Policy(version="own-1", thresholds=Thresholds(challenge=0, review=0, decline=0)))
    decide(made.scorer)
    made.rules(Rule(id="new", when="amount >= 0", action="decline"), version=2)
    made.policy(Policy(version="own-2", costs=Costs()), version=2)
    later = Serving(policy=msgspec.structs.replace(PLATFORM, version="p2"), champion="run-2")
    made.releases.serves(Served(number=2, document=later, at=NOW + 8, by="t", reason="t", configuration="2"))
    explanation = made.explain()
    assert not explanation.differs
    assert [rule.id for rule in explanation.rules] == ["old"]
    assert (explanation.champion, explanation.kept.policy_version) == ("run-1", "own-1")


@pytest.mark.parametrize(("ago", "differs"), [(SETTLING // 2, False), (SETTLING * 2, True)])
def test_a_document_counts_a_little_longer_than_it_serves(ago: int, differs: bool) -> None:
    made = world()
    decide(made.scorer)
    later = Serving(policy=PLATFORM, champion="run-2")
    made.releases.serves(Served(number=2, document=later, at=NOW + 7 - ago, by="t", reason="t", configuration="2"))
    assert ("model that served" in told(made.explain(), False)) == differs


def test_a_list_counts_as_it_was_defined_then() -> None:
    made = world(Policy(version="p1", thresholds=Thresholds(challenge=1, review=1, decline=1)))

    def define(action: Any, version: int, at: int) -> None:
        lists = (ListDefinition(name="l", field="card", action=action),)
        made.settings.put("acme", StoredLists(version=version, lists=lists, changed_at=at, changed_by="t"))

    define("block", 1, NOW - SETTLING)
    define("none", 2, NOW + 6)
    decide(made.scorer)
    assert made.found().row["decision"] == "approve"
    blocked = made.explain(lists=["l"], decision="decline", propensity=0.0)
    assert "decision" not in told(blocked, False)  # a process that had not seen the change yet would have
    define("allow", 3, NOW + 8)
    assert "decision" in told(made.explain(lists=["l"], decision="review"), False)


def test_a_row_of_an_earlier_version_is_replayed_with_what_it_has() -> None:
    made = world()
    decide(made.scorer)
    found = made.found()
    lacking = ("would_be", "propensity", "previous_tokens", "correlation_id")
    old = {name: value for name, value in found.row.items() if name not in lacking}
    explanation = made.replayer().explain(old, found.answer, "ledger")
    assert not explanation.differs
    assert "propensity" not in told(explanation, True)


def test_another_feature_set_a_lost_model_and_a_lost_policy_are_said() -> None:
    made = world()
    decide(made.scorer)
    other = made.explain(feature_set="0" * 12)
    assert (told(other, None), other.differs) == (["answer"], False)
    assert "feature set" in " ".join(other.not_replayed)
    found = made.found()
    gone = made.replayer(Bundles()).explain(found.row, found.answer, "ledger")
    assert {"raw score", "score", "answer"} <= set(told(gone, None))
    assert not gone.differs
    assert told(made.explain(policy_version="p9"), None) == ["decision"]
    assert told(made.explain(rules_version="9"), None) == ["rules"]
    unknown = made.explain(recorded_at=0)
    assert "model that served" in told(unknown, None)


def test_a_row_of_the_lake_is_read_and_replayed_as_well() -> None:
    made = world(challengers=("run-3",))
    decide(made.scorer)
    row = made.found().row
    maps = {
        name: pa.map_(pa.string(), kind)
        for name, kind in {"features": pa.float64(), "shadow": pa.float64()}.items()
    }
    columns = {
        name: pa.array([list(value.items()) if isinstance(value, dict) else value], maps.get(name))
        for name, value in row.items()
        if name not in ("previous_tokens", "would_be")
    }
    file = io.BytesIO()
    pq.write_table(pa.table({**columns, "would_be": pa.array([None], pa.string())}), file)
    read = row_in(file.getvalue(), "acme/order-1001")
    assert read is not None
    explanation = made.replayer().explain(read, None, "lake")
    assert (explanation.differs, told(explanation, None)) == (False, ["answer"])
    assert row_in(file.getvalue(), "acme/order-1002") is None


class Deployment:
    """What the command asks of one."""

    def __init__(self, made: World) -> None:
        self.settings, self.releases = (lambda: made.settings), (lambda: made.releases)

    def client(self, _service: str) -> None:
        return None

    def __getitem__(self, name: str) -> str:
        return name


def test_the_command_tells_people_and_machines_and_its_exit_code_tells_scripts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = world(Policy(version="p1", costs=Costs()), challengers=("run-3",))
    made.rules(Rule(id="large", when="amount > 1", action="review"))
    decide(made.scorer)
    found = made.found()
    monkeypatch.setattr(commands, "connect", lambda *_given, **_named: Deployment(made))
    monkeypatch.setattr("runtime.bundles.BundleStore", lambda *_given: BUNDLES)
    monkeypatch.setattr(finding, "find", lambda *_given: found)
    words = ["explain", "order-1001", "-m", "acme"]
    people = CliRunner().invoke(cli.app, words, env={"COLUMNS": "200"})
    assert people.exit_code == 0
    for each in ("large", "matched", "run-1", "equal to the last bit", "shadow score of run-3"):
        assert each in people.stdout
    machine = CliRunner().invoke(cli.app, [*words, "--json"])
    assert json.loads(machine.stdout)["kept"]["decision"] == "review"
    found = Found({**found.row, "score": 0.5}, found.answer, "ledger")
    wrong = CliRunner().invoke(cli.app, words, env={"COLUMNS": "200"})
    assert wrong.exit_code == 1
    assert "DIFFERENT" in wrong.stdout


def test_tables_are_there_for_what_has_something_to_tell() -> None:
    made = world()
    made.live = Live(made.live.serving, {})
    decide(made.scorer)
    console = Console(width=200, record=True, file=io.StringIO())
    for each in shown(made.explain()):
        console.print(each)
    text = console.export_text()
    assert "without a score" in text
    assert "approve up to" in text
    assert "log-odds" not in text

"""`paywarden policy pass-through`: the cost by hand, and a change only after it was told."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from fraud.backtest import Draft, Past
from fraud.events import Transaction
from fraud.passing import PassThrough
from fraud.policy import Costs, Policy, Thresholds
from fraud.windows import DAY
from infra.environments import lookup
from ops import cli
from ops.backtests.trying import BacktestError
from ops.settings import Desk, RefusedError, passing
from ops.settings.expectation import Money, expect
from runtime.stores.documents import StoredPolicy
from runtime.stores.settings import MemorySettingsStore
from tests.unit.lambdas.lake import AthenaClient
from tests.unit.lambdas.test_backtest_rules import decision
from tests.unit.ops.test_settings_commands import desk_of

STEPS = Thresholds(challenge=0.2, review=0.5, decline=0.8)
UNTIL = 20_454 * DAY
ASKED = ("--share", "0.1", "--most-amount", "20000")


def draft(costs: Costs | None = None, **bounds: Any) -> Draft:
    given = PassThrough(**{"share": 0.1, "most_amount": 10_000, "most_a_day": 100_000, **bounds})
    return Draft(Policy(version="1", thresholds=None if costs else STEPS, costs=costs, pass_through=given))


def past(
    name: str, score: float | None, amount: int = 10_000, *, at: int = UNTIL - DAY, currency: str = "EUR"
) -> Past:
    transaction = Transaction(
        transaction_id=name,
        merchant_id="acme",
        event_time=at,
        amount=amount,
        currency=currency,
        card="",
        customer="",
    )
    return Past(transaction, "decline", score)


def test_the_cost_of_two_declines_is_as_by_hand() -> None:
    decisions = [
        past("a", 0.9, at=UNTIL - 2 * DAY),
        past("b", 0.8, 5_000),
        past("too large", 0.9, 10_001),
        past("reviewed", 0.79),
        past("unscored", None),
    ]
    told = expect(decisions, draft(), until=UNTIL)
    assert (told.decisions, told.declined, told.eligible, told.days) == (5, 3, 2, 2.0)
    # A fraud costs the amount and 2000, a genuine payment turned away a fifth of the amount and 500.
    money = Money(lost=0.1 * (0.9 * 12_000 + 0.8 * 7_000), regained=0.1 * (0.1 * 2_500 + 0.2 * 1_500))
    for part in (told.within, told.most):
        assert part.payments == pytest.approx(0.2, rel=1e-5)
        assert part.frauds == pytest.approx(0.17, rel=1e-5)
        assert part.money["EUR"].lost == pytest.approx(money.lost, rel=1e-5)
        assert part.money["EUR"].regained == pytest.approx(money.regained, rel=1e-5)
        assert part.money["EUR"].net == pytest.approx(1_640 - 55, rel=1e-5)
    assert told.per(30, told.most.payments) == pytest.approx(3.0)
    assert told.counts_for == pytest.approx(0.2, rel=1e-5)
    assert told.smallest == pytest.approx(0.1, rel=1e-5)


def test_a_bound_that_binds_lowers_what_is_expected_and_what_is_learned() -> None:
    told = expect([past(f"t{number}", 0.9) for number in range(3)], draft(share=0.2, most_a_day=1), until=UNTIL)
    # Each takes a fifth of what is left: 0.2, 0.2 * 0.8, 0.2 * 0.64.
    assert told.within.payments == pytest.approx(0.2 + 0.16 + 0.128)
    assert told.most.payments == pytest.approx(0.6)
    assert told.smallest == pytest.approx(0.128)
    assert told.counts_for == pytest.approx(9 / (1 / 0.2 + 1 / 0.16 + 1 / 0.128))


def test_the_policys_own_costs_count_and_no_currency_is_mixed_with_another() -> None:
    own = Costs(loss_share=0.5, chargeback_fee=0, margin_share=0.0, goodwill=100)
    decisions = [past("a", 0.9), past("b", 0.5, 4_000, currency="JPY")]
    told = expect(decisions, draft(own), until=UNTIL)
    assert list(told.currencies) == ["EUR", "JPY"]
    assert told.most.money["EUR"] == Money(pytest.approx(0.1 * 0.9 * 5_000), pytest.approx(0.1 * 0.1 * 100))
    assert told.most.money["JPY"] == Money(pytest.approx(0.1 * 0.5 * 2_000), pytest.approx(0.1 * 0.5 * 100))


def test_nothing_to_let_through_costs_nothing_and_teaches_nothing() -> None:
    told = expect([past("a", 0.1)], draft(), until=UNTIL)
    assert (told.eligible, told.within.payments, told.counts_for, told.smallest) == (0, 0.0, 0.0, None)
    assert expect([], draft(), until=UNTIL).days == 1.0
    with pytest.raises(ValueError, match="pass_through"):
        expect([], Draft(Policy(version="1", thresholds=STEPS)), until=UNTIL)


def test_the_salt_changes_nothing_of_what_is_expected() -> None:
    decisions = [past(f"t{number}", 0.9) for number in range(50)]
    told = [expect(decisions, draft(salt=salt), until=UNTIL) for salt in ("", "another")]
    assert told[0] == told[1]


@dataclass
class Lake:
    """A deployment whose lake is in memory."""

    lake: AthenaClient = field(default_factory=AthenaClient)
    environment: Any = field(default_factory=lambda: lookup("local"))

    def client(self, _service: str) -> AthenaClient:
        return self.lake

    def __getitem__(self, name: str) -> str:
        return name


@pytest.fixture
def store() -> MemorySettingsStore:
    return MemorySettingsStore()


@pytest.fixture
def deployment(store: MemorySettingsStore, monkeypatch: pytest.MonkeyPatch) -> Lake:
    made = Lake()
    made.lake.decisions = [
        decision("a", taken="decline", score=0.9, amount=10_000),
        decision("b", taken="decline", score=0.8, amount=6_000),
        decision("c", score=0.1),
    ]
    monkeypatch.setattr(passing, "connect", lambda *_given, **_named: made)
    monkeypatch.setattr(passing, "console", Console(stderr=True, width=200))
    monkeypatch.setattr(Desk, "of", lambda _deployment, _merchant, by="": desk_of(store, by))
    return made


def run(*words: str, says: str | None = None, by: str = "jane") -> Result:
    named = ["--by", by] if by else []
    return CliRunner().invoke(cli.app, ["policy", "pass-through", "-m", "acme", *named, *words], input=says)


def held(store: MemorySettingsStore) -> Policy | None:
    stored = store.get("acme", StoredPolicy)
    return stored.policy if stored else None


def told(done: Result) -> str:
    return " ".join(re.sub("[│┃]", " ", done.stderr).split())


@pytest.mark.usefixtures("deployment")
def test_the_cost_is_told_before_it_is_asked_and_no_means_no(store: MemorySettingsStore) -> None:
    done = run(*ASKED, says="n\n")
    assert done.exit_code == 1
    said = told(done)
    assert "3 decisions of 1.0 days: the policy declines 2.0 a day, of which 2.0 could be let through" in said
    # The first takes its 0.1 of the 20 a day, so the second has 0.1 * (1 - 0.1 / 20) = 0.0995. In cents:
    # lost 30 * (0.1 * 0.9 * 12000 + 0.0995 * 0.8 * 8000), regained 30 * (0.1 * 0.1 * 2500 + 0.0995 * 0.2 * 1700).
    assert "payments, each with a label in the end 6.0 6.0" in said
    assert "lost by frauds, EUR 515.04 516.00" in said
    assert "regained of genuine, EUR 17.65 17.70" in said
    assert "net cost, EUR 497.39 498.30" in said
    assert "6.0 labels in 30 days, 5.1 of them of frauds" in said
    assert "at a net cost of 497.39 EUR by the default costs" in said
    assert said.index("net cost") < said.index("Let declines of merchant acme through in local?")
    assert "makes that its own" in said
    assert held(store) is None


def test_yes_writes_the_policy_that_counts_with_a_salt_of_its_own(
    store: MemorySettingsStore, deployment: Lake
) -> None:
    assert run(*ASKED, says="y\n").exit_code == 0
    first = held(store)
    assert first is not None
    assert first.thresholds == desk_of(store).default().thresholds
    assert first.pass_through is not None
    assert (first.pass_through.share, first.pass_through.most_amount) == (0.1, 20_000)
    # Digits might read as a card number, and the change be refused.
    assert re.fullmatch("[a-z]{16}", first.pass_through.salt)
    again = run("--share", "0.05", "--most-a-day", "7", "--yes")
    assert "version 2, lets declines through" in told(again)
    assert "makes that its own" not in told(again)
    second = held(store)
    assert second is not None
    assert second.pass_through == PassThrough(
        share=0.05, most_amount=20_000, most_a_day=7, salt=first.pass_through.salt
    )
    assert "operator:jane" in json.dumps(desk_of(store).ask(desk_of(store).policy.versions))
    asked = len(deployment.lake.queries)
    assert "lets nothing through any more" in told(run("--off"))
    assert len(deployment.lake.queries) == asked
    third = held(store)
    assert third is not None
    assert third.pass_through is None
    assert third.thresholds == first.thresholds


@pytest.mark.usefixtures("deployment")
def test_a_dry_run_needs_no_name_and_changes_nothing(store: MemorySettingsStore) -> None:
    dry = run(*ASKED, "--dry-run", by="")
    assert (dry.exit_code, held(store)) == (0, None)
    assert "net cost, EUR" in told(dry)
    run(*ASKED, "--yes")
    before = held(store)
    assert "would be let through" in told(run("--off", "--dry-run", by=""))
    assert before is not None
    assert held(store) == before


def test_a_policy_that_changed_while_the_question_stood_is_left_alone(
    store: MemorySettingsStore, deployment: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deployment.lake.decisions

    def meanwhile(*_given: Any, **_named: Any) -> bool:
        desk_of(store, "jim").ask(desk_of(store, "jim").policy.change, body=b'{"costs": {}}')
        return True

    monkeypatch.setattr(passing.typer, "confirm", meanwhile)
    assert isinstance(run(*ASKED).exception, RefusedError)
    kept = held(store)
    assert kept is not None
    assert kept.pass_through is None


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize(
    ("words", "by", "named"),
    [
        (ASKED, "", "--by"),
        (("--share", "0.1"), "jane", "--most-amount"),
        (("--most-amount", "100"), "jane", "--share"),
        (("--off", "--share", "0.1"), "jane", "--off"),
        ((*ASKED, "--days", "0"), "jane", "--days"),
    ],
)
def test_what_is_missing_or_too_much_is_named(words: tuple[str, ...], by: str, named: str) -> None:
    done = run(*words, by=by)
    assert done.exit_code == 2
    assert named in done.stderr


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("--share", "0.3", "--most-amount", "100"), "share"),
        (("--share", "0.1", "--most-amount", "0"), "most_amount"),
        ((*ASKED, "--most-money-a-day", "1999"), "most_money_a_day"),
    ],
)
def test_what_no_policy_can_say_is_refused(words: tuple[str, ...], place: str) -> None:
    assert re.search(rf"pass_through: .*{place}", str(run(*words).exception))


def test_tight_bounds_are_warned_of_and_the_remedy_is_named(deployment: Lake) -> None:
    deployment.lake.decisions = [decision(f"t{number:02}", score=0.9) for number in range(40)]
    said = told(run("--share", "0.2", "--most-amount", "20000", "--most-a-day", "2", "--dry-run"))
    # 0.2 * 0.9 ** 39 is the last payment's.
    assert f"can stand for {1 / (0.2 * 0.9**39):,.0f} others" in said
    assert "A smaller --share" in said


def test_without_anything_to_let_through_it_says_so(deployment: Lake) -> None:
    deployment.lake.decisions = [decision("c", score=0.1)]
    assert "Nothing would be learned" in told(run(*ASKED, "--dry-run"))
    assert "Nothing is let through already" in told(run("--off"))


def test_where_times_are_those_of_the_clock_the_days_end_now(deployment: Lake) -> None:
    deployment.environment = lookup("prod")
    nothing = run(*ASKED).exception
    assert isinstance(nothing, BacktestError)
    assert str(nothing).endswith("name more --days")
    assert all(" AND day >= " in each for each in deployment.lake.queries[:1])
    deployment.lake.decisions = []
    assert "wait" in str(run(*ASKED).exception)
    deployment.environment = lookup("local")
    deployment.lake.broken = "HIVE_CURSOR_ERROR"
    assert "HIVE_CURSOR_ERROR; try a shorter time" in str(run(*ASKED).exception)

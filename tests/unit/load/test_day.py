"""The plan of a day, and what is told of it."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.load.day import ATTACKS, MOST_PAYMENTS, SALE_AT, Day, hours_of, planned
from tests.load.day_report import told_day
from tests.load.generator import Exchange
from tests.load.plan import Call

HOUR = 2.0


@pytest.fixture(scope="module")
def day() -> Day:
    return planned(800, HOUR, seed=1)


def payments(day: Day) -> list[Call]:
    return [call for call in day.calls if call.kind == "payment"]


def test_a_day_is_as_long_as_it_is_said_to_be_and_the_same_for_a_seed(day: Day) -> None:
    assert len(payments(day)) == 800
    assert all(0 <= call.at < 24 * HOUR for call in day.calls)
    assert all(before.at <= after.at for before, after in pairwise(day.calls))
    assert planned(800, HOUR, seed=1) == day
    assert planned(800, HOUR, seed=2) != day


def test_people_sleep_a_sale_bursts_and_every_attack_comes(day: Day) -> None:
    kinds = Counter(day.scenarios.values())
    assert set(ATTACKS) <= kinds.keys()
    assert kinds["flash sale"] == 80
    usual = Counter(
        int(call.at / HOUR)
        for call in payments(day)
        if day.scenarios[f"{call.merchant}/{json.loads(call.body)['transaction_id']}"]
        not in (*ATTACKS, "flash sale")
    )
    assert sum(usual[hour] for hour in (1, 2, 3)) < sum(usual[hour] for hour in (17, 18, 19)) / 3
    sale = [call.at / HOUR for call in payments(day) if SALE_AT <= call.at / HOUR < SALE_AT + 0.2]
    assert len(sale) >= 80


def test_nothing_claims_to_have_happened_at_another_time(day: Day) -> None:
    assert all("occurred_at" not in json.loads(call.body) for call in day.calls)


@pytest.mark.parametrize("count", [99, MOST_PAYMENTS + 1])
def test_a_day_is_bounded(count: int) -> None:
    with pytest.raises(ValueError, match="payments: between"):
        planned(count, HOUR, seed=1)


def test_each_hour_is_told(day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.dumps(
        {
            "transaction_id": "t",
            "decision": "approve",
            "score": 0.1,
            "model_version": "run-1",
            "policy_version": "1",
            "rules_version": "",
        }
    )
    exchanges = []
    for number, call in enumerate(day.calls):
        sent = round(call.at * 1_000)
        broken = number == 5
        exchanges.append(
            Exchange(call, sent + 30, sent + 130, 100.0 if number % 2 else 50.0, 503 if broken else 202, answer)
        )
    fresh = dict.fromkeys(day.scenarios, 70.0)
    hours = hours_of(exchanges, day.scenarios, fresh, 0, HOUR)
    assert sum(hour.calls for hour in hours) == len(day.calls)
    assert sum(hour.errors for hour in hours) == 1
    assert sum(hour.attacks for hour in hours) == sum(scenario in ATTACKS for scenario in day.scenarios.values())
    assert max(hour.calls for hour in hours) == next(
        hour.calls for hour in hours if hour.hour == f"{SALE_AT:02.0f}"
    )
    assert all(hour.fresh_p50 == 70 and hour.waited == pytest.approx(30, abs=1) for hour in hours)
    code = told_day(hours, day, HOUR, picture=tmp_path / "day.png", path=tmp_path / "day.json")
    assert code == 1
    assert "1 errors" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "day.json").read_text())["hours"]) == len(hours)
    assert (tmp_path / "day.png").read_bytes()[:4] == b"\x89PNG"

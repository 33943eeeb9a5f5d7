"""The model of capacity and cost: held to what is measured, and to what it says of itself."""

import json
import math
import random

import pytest
from typer.testing import CliRunner

from infra.environments import PROD
from ops.capacity.concurrency import running
from ops.capacity.cost import by_service, decisions_in_month, lines, metrics, provisioned, replicated
from ops.capacity.jobs import MOST_ROWS, monitored_days, reading, replay_of
from ops.capacity.pages import pages
from ops.capacity.quotas import LIMITS, ends_at
from ops.capacity.tables import asked, heat, share_in_batch
from ops.capacity.work import MEASURED, RATES
from ops.cli import app
from tests.unit.capacity.measuring import measured

AGAIN = "if this is meant: `python -m tests.unit.capacity.measuring` and `paywarden capacity --write`"


def test_a_decision_asks_for_what_the_model_says() -> None:
    """Calls, items and units exactly; sizes to 2 %, since an item of another size is seldom another unit."""
    kept, found = json.loads(MEASURED.read_text(encoding="utf-8")), measured()
    sizes, now = kept.pop("sizes"), found.pop("sizes")
    assert found == kept, AGAIN
    assert now.keys() == sizes.keys()
    for name, spread in sizes.items():
        assert now[name] == pytest.approx(spread, rel=0.02), f"{name}: {AGAIN}"


def test_the_pages_say_what_the_model_says() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path.name}: make it anew with `paywarden capacity --write`"
        )


def test_the_copies_suffice_nearly_always() -> None:
    """Against a simulation of arrivals that know nothing of each other."""
    each = next(one for one in running(1_000) if one.function.name == "score_transaction")
    rng, ends, over, moments = random.Random(5), [], 0, 40_000
    now = 0.0
    for _ in range(moments):
        now += rng.expovariate(each.calls)
        ends = [end for end in ends if end > now]
        over += len(ends) > each.copies
        ends.append(now + rng.expovariate(1_000 / each.mean_ms))
    assert over / moments < 0.005
    assert each.mean == pytest.approx(15, rel=0.2)


def test_a_batch_writes_a_shared_item_once() -> None:
    rng = random.Random(2)
    share, batch, rounds = 0.03, 10, 20_000
    seen = sum(any(rng.random() < share for _ in range(batch)) for _ in range(rounds)) / rounds
    assert share_in_batch(share, batch) == pytest.approx(seen, abs=0.01)


def test_more_decisions_ask_for_more_of_everything() -> None:
    for limit in LIMITS:
        # From 500 on batches are full, which asks for less than before.
        for rates in ((100, 200, 400), (600, 1_000, 4_000, 10_000)):
            needs = [limit.need(rate) for rate in rates]
            assert needs == sorted(needs) or limit.name == "one shard of the ledger's stream", limit.name
        end = ends_at(limit)
        if end is not None and end < 90_000:
            assert limit.used(end * 0.99) < 1 <= limit.used(end * 1.01)


def test_what_ends_first_is_told_plainly() -> None:
    """Ours before the quotas: who changes the shards, the batch or the item of generations has to look here."""
    ends = {limit.name: ends_at(limit) or math.inf for limit in LIMITS}
    assert min(ends, key=lambda name: ends[name]) == "races for the busiest merchant's states"
    assert 3_000 < ends["the one item that says which generation serves"] < 10_000
    assert ends["throttle of the API's stage in prod"] == pytest.approx(PROD.stage_throttle.rate / 1.2, rel=0.01)
    hottest = max(heat(10_000), key=lambda each: each.used)
    assert "merchant" in hottest.item
    assert hottest.races > 1


def test_lines_add_up_and_idle_costs_little() -> None:
    for rate in (0, *RATES):
        assert sum(by_service(rate).values()) == pytest.approx(sum(each.dollars for each in lines(rate)))
    assert sum(by_service(0).values()) < 150
    million = [sum(by_service(rate).values()) / decisions_in_month(rate) * 1e6 for rate in RATES]
    assert million == sorted(million, reverse=True)


def test_jobs_cost_what_they_read() -> None:
    """Days, machines and disks are those that are asked for; hours follow the bytes until a job is full."""
    # The window, all that its features look back on, and a day.
    assert monitored_days() == PROD.monitoring_policy.days + 91 + 1
    small, large, full = (reading(rate, 99) for rate in (0.01, 4, 40))
    assert (small.machines.type, large.machines.type) == ("ml.m5.xlarge", "ml.m5.4xlarge")
    assert large.bytes / small.bytes == pytest.approx(400)
    assert large.machines.volume_gb > large.bytes / 1e9
    assert small.hours < 0.1 < large.hours < full.hours
    # What does not fit is told, and not counted as if it ran.
    assert full.rows == MOST_ROWS < full.wanted
    assert reading(400, 99).hours == full.hours
    month, day = replay_of(100, 30), replay_of(100, 1)
    assert month.bytes / day.bytes == pytest.approx(32 / 3)
    assert 20 < month.hours / day.hours * 3 < 32


def test_metrics_are_counted_by_tier_and_never_by_merchant() -> None:
    assert 50 < metrics() < 300


def test_provisioned_costs_less_for_an_even_load_and_a_replica_less_than_the_first_region() -> None:
    for each in asked(1_000):
        demand, steady = provisioned(each)
        assert 0.3 < steady / demand < 0.5
    assert sum(replicated(1_000).values()) < sum(by_service(1_000).values())


def test_the_command_takes_a_rate_of_ones_own() -> None:
    result = CliRunner().invoke(app, ["capacity", "--rate", "2500"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "2,500/s" in result.stderr
    assert "races for the busiest" in result.stderr

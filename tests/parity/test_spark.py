"""The Spark engine against the vectorised one, in real sessions: the same bits, however keys are cut."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from fraud.events import Event
from fraud.features import STANDARD, FeatureSet
from fraud.features.standard import MERCHANT
from fraud.windows import DAY
from tests.unit.fraud.strategies import follow_up, history, payment, world
from tests.unit.training.jobs import JAVA
from training.engines import spark, vectorised
from training.engines.events import EventTableError, table_of
from training.engines.spark import ROW, Limits
from training.engines.spark_session import spark_session
from training.engines.spark_slices import TASK, divided
from training.engines.spark_tasks import OWN

HANDBOOK = Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook" / "transactions_visible.parquet"
CUSTOMERS = 30

pytestmark = pytest.mark.skipif(
    shutil.which("java") is None, reason="there is no java on the PATH, and Spark needs Java 17 or later"
)


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*next(iter(JAVA.items())))
        with spark_session("local[2]", driver_memory="1g") as running:
            yield running


def same_bits(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> bool:
    """Whether two matrices are equal to the last bit, NaN being equal to NaN."""
    if first.shape != second.shape:
        return False
    equal = first.view(np.uint64) == second.view(np.uint64)
    return bool((equal | (np.isnan(first) & np.isnan(second))).all())


def of_merchant() -> FeatureSet:
    return FeatureSet(*(each for each in STANDARD.windowed if each.entity == MERCHANT))


def busy_shop(events: int = 1_500, days: int = 200) -> list[Event]:
    """Half of all payments at one shop, some of them frauds that become known days or months later."""
    rng = random.Random(5)
    told = []
    for number in range(events):
        paid = payment(
            at=1_700_000_000_000 + rng.randrange(days) * DAY + rng.choice([0, 0, rng.randrange(DAY)]),
            amount=rng.randrange(10**6),
            merchant_id="busy" if number % 2 else f"m{rng.randrange(40)}",
            card=f"c{rng.randrange(90)}",
        )
        known = {"chargeback": rng.choice([0, rng.randrange(20 * DAY), rng.randrange(90 * DAY)])}
        told.append((paid, known if rng.random() < 0.3 else {}))
    return history(told)  # type: ignore[arg-type]


def test_all_standard_features_of_a_generated_world(session: SparkSession) -> None:
    events = world(11, 1_500, wide=4)
    random.Random(3).shuffle(events)
    table = table_of(events)
    told: list[tuple[str, int, int]] = []
    got = spark.compute(table, STANDARD, session=session, progress=lambda *each: told.append(each))
    assert same_bits(got, vectorised.compute(table, STANDARD))
    assert np.isfinite(got).any(axis=0).sum() > 80
    assert told
    assert all(what == "spark" and 0 <= done <= known for what, done, known in told)


def test_a_table_whose_columns_are_cut_at_different_places(session: SparkSession) -> None:
    whole = table_of(world(12, 300, wide=4))
    pieces = {}
    for number, name in enumerate(whole.column_names):
        column, cut = whole[name].combine_chunks(), 1 + number * 37 % 200
        pieces[name] = pa.chunked_array([column.slice(0, cut), column.slice(cut)])
    expected = vectorised.compute(whole, STANDARD)
    assert same_bits(vectorised.compute(pa.table(pieces), STANDARD), expected)
    assert same_bits(spark.compute(pa.table(pieces), STANDARD, session=session), expected)


@pytest.mark.skipif(
    not HANDBOOK.is_file(), reason=f"the handbook data is not at {HANDBOOK}; it is not part of this repository"
)
def test_all_standard_features_of_real_payments_with_busy_keys_sliced(session: SparkSession) -> None:
    chosen = pq.read_table(HANDBOOK, filters=pc.field("CUSTOMER_ID") < CUSTOMERS)
    times = chosen["TX_DATETIME"].cast(pa.timestamp("ms")).cast(pa.int64())
    columns = {
        "transaction_id": chosen["TRANSACTION_ID"].cast(pa.string()),
        "merchant_id": pc.binary_join_element_wise(
            "m", (pc.bit_wise_and(chosen["TERMINAL_ID"], 31)).cast("string"), ""
        ),
        "event_time": times,
        "amount": pc.cast(pc.round(pc.multiply(chosen["TX_AMOUNT"], 100.0)), pa.int64()),
        "card": chosen["CUSTOMER_ID"].cast(pa.string()),
        "customer": chosen["CUSTOMER_ID"].cast(pa.string()),
    }
    paid = pa.table(
        {**columns, "event": pa.repeat("transaction", len(chosen)), "kind": pa.repeat("", len(chosen))}
    )
    paid = paid.append_column("at", times)
    frauds = paid.filter(pc.equal(pc.bit_wise_and(chosen["TRANSACTION_ID"].cast(pa.int64()), 15), 0))
    labels = frauds.drop_columns(["event", "kind", "at"])
    labels = labels.append_column("event", pa.repeat("label", len(frauds)))
    labels = labels.append_column("kind", pa.repeat("chargeback", len(frauds)))
    labels = labels.append_column("at", pc.add(frauds["event_time"], 9 * DAY))
    table = pa.concat_tables([paid, labels])
    assert table.num_rows > 5_000
    limits = Limits(task_events=1 << 18, key_events=table.num_rows // 20)
    got = spark.compute(table, STANDARD, session=session, limits=limits)
    assert same_bits(got, vectorised.compute(table, STANDARD))


def test_a_key_with_half_of_all_events_is_cut_by_time_and_stays_exact(session: SparkSession) -> None:
    table, features = table_of(busy_shop()), of_merchant()
    numbered = table.append_column(ROW, pa.array(np.arange(len(table))))
    frame, limits = session.createDataFrame(numbered), Limits(key_events=150)
    cut, tasks = divided(frame, features, total=len(table), cores=2, limits=limits)
    placed = cut.where("merchant_id = 'busy'").select(TASK, OWN, ROW, "event").toPandas()
    sizes = placed.groupby(TASK).size()
    busy = int(pc.sum(pc.equal(table["merchant_id"], "busy")).as_py())
    assert tasks > 5
    assert set(sizes.index) <= set(range(tasks))
    # A slice has its own payments and the history that its windows reach back to, and no more than that.
    assert sizes.max() < busy / 2
    own = placed[(placed["event"] == "transaction") & placed[OWN]]
    assert own[ROW].is_unique
    assert len(own) == int((placed["event"] == "transaction").groupby(placed[ROW]).max().sum())
    got = spark.compute(frame, features, limits=limits)
    assert same_bits(got, vectorised.compute(table, features))


def test_frames_of_parquet_files_whose_numbers_have_gaps(session: SparkSession, tmp_path: Path) -> None:
    table = table_of(world(2, 150))
    numbered = table.append_column(ROW, pa.array(7 * np.arange(len(table))))
    pq.write_table(numbered, tmp_path / "events.parquet")
    features = of_merchant()
    got = spark.compute(session.read.parquet(str(tmp_path)), features)
    assert same_bits(got, vectorised.compute(table, features))


def test_nothing_gives_nothing(session: SparkSession) -> None:
    empty = table_of([])
    assert spark.compute(empty, STANDARD, session=session).shape == (0, len(STANDARD.names))
    paid = payment()
    labels = table_of([follow_up(paid, "chargeback", DAY)])
    assert spark.compute(labels, STANDARD, session=session).shape == (0, len(STANDARD.names))
    numbered = empty.append_column(ROW, pa.array([], pa.int64()))
    frame = session.createDataFrame(numbered)
    assert spark.compute(frame, of_merchant()).shape == (0, len(of_merchant().names))


def test_what_no_event_can_hold_is_told_as_on_one_machine(session: SparkSession) -> None:
    table = table_of(world(2, 20))
    numbered = table.append_column(ROW, pa.array(np.arange(len(table))))
    place = table.column_names.index("amount")
    refunds = numbered.set_column(place, "amount", pa.array(np.full(len(table), -1)))
    with pytest.raises(EventTableError, match=r"column 'amount': .* leave refunds out"):
        spark.compute(session.createDataFrame(refunds), of_merchant())
    halves = numbered.set_column(place, "amount", pa.array(np.full(len(table), 0.5)))
    with pytest.raises(EventTableError, match="column 'amount' is no whole number"):
        spark.compute(session.createDataFrame(halves), of_merchant())
    with pytest.raises(EventTableError, match=f"no column '{ROW}'"):
        spark.compute(session.createDataFrame(table), of_merchant())

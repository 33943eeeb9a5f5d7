"""A file of labels: what is news is recorded once, and every row that is not is told."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fraud.decision import event_of
from fraud.events import Label
from ops.labels import commands
from ops.labels.importing import import_labels
from ops.labels.reading import LabelFileError, read_labels
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from tests.unit.lambdas.reported import PAID, PAYMENT, decided

DAY = 86_400_000
NOW = PAID + 100 * DAY
FILE = """known_at,merchant_id,transaction_id,label,source,confidence,note
2026-03-01T10:00:00Z,acme,order-1001,chargeback,issuer,,third
2026-01-05T09:00:00-01:00,acme,order-1001,confirmed_fraud,alert,0.4,first
1770000000000,acme,order-1001,confirmed_genuine,analyst,1,second
2026-01-05T10:00:00Z,acme,order-1001,confirmed_fraud,alert,0.4,again
2026-01-05T10:00:00Z,acme,order-77,chargeback,,,never decided
2026-01-05T10:00:00Z,other,order-1001,chargeback,,,of somebody else
2026-01-05T10:00:00Z,acme,order-1001,fraud,,,no such word
2026-01-05T10:00:00,acme,order-1001,chargeback,,,no offset
2025-12-31T10:00:00Z,acme,order-1001,chargeback,,,before the payment
2026-01-05T10:00:00Z,acme,order-1001,chargeback,issuer,high,no number
,acme,order-1001,chargeback,,,no time
2026-01-05T10:00:00Z,,order-1001,chargeback,,,no merchant
2026-01-05T10:00:00Z,acme,4242424242424242,chargeback,,,a card number
2026-01-05T10:00:00Z,acme,,chargeback,,,no id
"""
ERRORS = [
    (7, "label"),
    (8, "known_at"),
    (9, "known_at"),
    (10, "confidence"),
    (11, "known_at"),
    (12, "merchant_id"),
    (13, "transaction_id"),
    (14, "transaction_id"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(FILE, encoding="utf-8")
    return path


def kept(store: MemoryDecisionStore) -> list[Label]:
    found = [
        event_of(msgspec.json.decode(line.row)) for (_, kind), line in store.records.items() if kind != DECISION
    ]
    return [each for each in found if isinstance(each, Label)]


def test_every_row_is_recorded_repeated_unknown_or_told_and_once_more_changes_nothing(file: Path) -> None:
    store = decided()
    seen: list[int] = []
    done = import_labels(read_labels(file), store=store, clock=NOW, progress=seen.append)
    assert (done.recorded, done.repeated, seen[-1]) == (3, 1, 14)
    assert [each.row for each in done.unknown] == [5, 6]
    assert [(each.row, each.field) for each in done.problems] == ERRORS
    assert all(each.remedy.endswith(".") for each in done.problems)
    assert not [each for each in done.problems if "4242" in each.remedy or "high" in each.remedy]
    # In the order in which they became known, though the file has another.
    assert [(each.kind, each.source, each.confidence) for each in kept(store)] == [
        ("confirmed_fraud", "alert", 0.4),
        ("confirmed_genuine", "analyst", 1.0),
        ("chargeback", "issuer", 1.0),
    ]
    before = dict(store.records)
    again = import_labels(read_labels(file), store=store, clock=NOW + DAY)
    assert (again.recorded, again.repeated) == (0, 4)
    assert store.records == before


def test_a_dry_run_tells_the_same_and_writes_nothing(file: Path) -> None:
    store = decided()
    before = dict(store.records)
    tried = import_labels(read_labels(file), store=store, clock=NOW, dry_run=True)
    assert store.records == before
    assert tried == import_labels(read_labels(file), store=store, clock=NOW)


def test_the_order_is_that_of_the_moments_and_not_of_how_they_are_written(tmp_path: Path) -> None:
    """12:30 in New York comes after 14:00 in Berlin."""
    path = tmp_path / "labels.csv"
    head = "merchant_id,transaction_id,label,known_at\n"
    rows = ("confirmed_genuine,2026-01-05T12:30:00-05:00", "chargeback,2026-01-05T14:00:00+01:00")
    path.write_text(head + "".join(f"acme,order-1001,{row}\n" for row in rows), encoding="utf-8")
    store = decided()
    import_labels(read_labels(path), store=store, clock=NOW)
    assert [each.kind for each in kept(store)] == ["chargeback", "confirmed_genuine"]


@pytest.mark.parametrize("kind", ["ms", "us", "int", "text"])
def test_parquet_may_hold_times_numbers_or_texts(tmp_path: Path, kind: str) -> None:
    known_at = datetime.fromtimestamp((PAID + DAY) / 1_000, UTC)
    columns: dict[str, Any] = {
        "ms": pa.array([known_at], pa.timestamp("ms", "UTC")),
        "us": pa.array([known_at], pa.timestamp("us", "Europe/Paris")),
        "int": pa.array([PAID + DAY]),
        "text": pa.array([known_at.isoformat()]),
    }
    texts = {"merchant_id": ["acme"], "transaction_id": ["order-1001"], "label": ["chargeback"]}
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table({**texts, "known_at": columns[kind], "confidence": [0.5]}), path)
    store = decided()
    assert import_labels(read_labels(path), store=store, clock=NOW).recorded == 1
    assert kept(store) == [Label(transaction=PAYMENT, kind="chargeback", known_at=PAID + DAY, confidence=0.5)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", b"merchant_id,transaction_id,label\na,b,c\n", "it has no column known_at; its columns are"),
        ("labels.parquet", b"merchant_id", "it cannot be read"),
        ("labels.csv", b"merchant_id,transaction_id\na,b,c,d\n", "it cannot be read"),
        ("absent.csv", None, "there is no such file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelFileError, match=said):
        list(read_labels(tmp_path / name))


def test_the_command_sums_up_and_lists_what_was_left_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = decided()
    deployment = SimpleNamespace(client=lambda _service: None)
    monkeypatch.setattr(commands, "connect", lambda _env, *, port: _Deployed(deployment, port))
    monkeypatch.setattr("runtime.stores.decisions.DynamoDecisionStore", lambda _client, _table: store)
    monkeypatch.setattr(commands.console, "width", 250)
    done = CliRunner().invoke(commands.labels_app, ["import", str(file)])
    assert done.exit_code == 1
    assert "14 rows: 3 labels recorded, 1 said nothing new, 2 of unknown payments, 8 with errors." in done.output
    assert "row 8, known_at: Write the time with its offset from UTC" in done.output
    with file.with_name("labels.errors.csv").open(encoding="utf-8") as errors:
        assert [(int(each["row"]), each["field"]) for each in csv.DictReader(errors)] == ERRORS
    with file.with_name("labels.unknown.csv").open(encoding="utf-8") as unknown:
        assert [
            (each["row"], each["merchant_id"], each["transaction_id"]) for each in csv.DictReader(unknown)
        ] == [
            ("5", "acme", "order-77"),
            ("6", "other", "order-1001"),
        ]
    file.write_text("\n".join(FILE.splitlines()[:5]), encoding="utf-8")
    tried = CliRunner().invoke(commands.labels_app, ["import", str(file), "--dry-run"])
    assert tried.exit_code == 0
    assert "0 labels would be recorded, 4 said nothing new" in tried.output


class _Deployed:
    """A deployment with a table of decisions."""

    def __init__(self, inner: SimpleNamespace, port: int) -> None:
        self.client, self.port = inner.client, port

    def __getitem__(self, name: str) -> str:
        return {"DecisionsTable": "decisions"}[name]

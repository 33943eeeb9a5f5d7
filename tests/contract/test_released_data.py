"""What the last release stored is read by this code; and what this code stores, by the last release where it must.

The files in released/ were written by the last release and are never edited: a new form of a document gets a new
entry, recorded once it is released. docs/upgrades.md says which change needs what.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.bundle import Manifest
from fraud.codec import decode, encode
from fraud.decision import event_of
from fraud.events import Transaction
from fraud.lists import StoredLists
from fraud.rules import StoredRules
from fraud.serving import Serving
from infra.constructs.lake import DECISION_COLUMNS, LABEL_COLUMNS, OUTCOME_COLUMNS
from lambdas.update_features.updating import Delivery
from runtime.stores.documents import Entry, StoredPolicy
from runtime.stores.generations import Generations
from runtime.stores.lineages import Lineage, Served, Waiting
from training.lake_files import lake_files

RELEASED = Path(__file__).parent / "released"

STRICT: Mapping[str, type[Any]] = {
    "serving": Serving,
    "serving by costs": Serving,
    "policy": StoredPolicy,
    "lists": StoredLists,
    "rules": StoredRules,
    "manifest": Manifest,
}
"""Documents that decide about money: code that does not know all of one refuses it and goes on with the last."""

TOLERANT: Mapping[str, type[Any]] = {
    "entry": Entry,
    "generations": Generations,
    "lineage": Lineage,
    "served": Served,
    "waiting": Waiting,
}
"""Records in which old code passes over what it does not know."""


def released(name: str) -> Any:
    return json.loads((RELEASED / f"{name}.json").read_text())


def read(name: str, document: Any) -> Any:
    return msgspec.json.decode(json.dumps(document), type={**STRICT, **TOLERANT}[name])


def written(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def test_every_document_is_recorded() -> None:
    assert released("documents").keys() == {*STRICT, *TOLERANT}


@pytest.mark.parametrize("name", STRICT)
def test_a_strict_document_that_uses_nothing_new_is_written_as_the_last_release_reads_it(name: str) -> None:
    document = released("documents")[name]
    assert written(read(name, document)) == document, (
        "the last release refuses fields that it does not know: give a new one `UNSET` as its default, so that it "
        "is stored only where it is used, and let nobody use it before all code reads it"
    )


@pytest.mark.parametrize("name", STRICT)
def test_a_strict_document_with_something_unknown_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        read(name, released("documents")[name] | {"of_a_later_release": 1})


@pytest.mark.parametrize("name", TOLERANT)
def test_a_tolerant_record_loses_nothing_and_may_have_more(name: str) -> None:
    document = released("documents")[name]
    assert document.items() <= written(read(name, document | {"of_a_later_release": 1})).items()


@pytest.mark.parametrize("name", ["decision", "label", "outcome"])
def test_a_row_of_the_ledger_is_the_event_that_it_was_whatever_is_added_to_it(name: str) -> None:
    row = released("rows")[name]
    event = event_of(row)
    assert event_of(row | {"of_a_later_release": 1}) == event
    # Or a message that comes again after the upgrade is another event under a used id, and ends as a dead letter.
    assert Delivery("", event, 0).digest == released("digests")[name]


def test_a_field_that_a_release_adds_makes_no_other_event_of_one_from_before() -> None:
    class Later(Transaction, frozen=True, kw_only=True):
        wallet: str = ""

    row = released("rows")["decision"]
    before, after = msgspec.convert(row, Transaction), msgspec.convert(row, Later)
    assert Delivery("", after, 0).digest == Delivery("", before, 0).digest
    used = msgspec.convert(row | {"wallet": "w"}, Later)
    assert Delivery("", used, 0).digest != Delivery("", before, 0).digest


def test_packed_states_are_read_and_written_in_the_same_bytes() -> None:
    states = released("states")
    assert len(states) > 3
    for packed in map(bytes.fromhex, states.values()):
        assert encode(decode(packed), packed[0]) == packed


@pytest.mark.parametrize(
    ("name", "columns"),
    [("decisions", DECISION_COLUMNS), ("labels", LABEL_COLUMNS), ("outcomes", OUTCOME_COLUMNS)],
)
def test_no_column_of_the_lake_is_dropped_or_of_another_type(name: str, columns: Mapping[str, str]) -> None:
    assert released("columns")[name].items() <= columns.items()


def test_files_with_fewer_columns_are_read_beside_those_with_all(tmp_path: Path) -> None:
    """Fewer than a release had, or more than this code knows: defaults stand in, new ones are passed over."""
    row = {name: value for name, value in released("rows")["outcome"].items() if name in OUTCOME_COLUMNS}
    older = {name: value for name, value in row.items() if name not in ("three_ds", "mcc", "correlation_id")}
    for name, each in (("a", older), ("b", row), ("c", row | {"of_a_later_release": "x"})):
        pq.write_table(pa.Table.from_pylist([each]), tmp_path / f"{name}.parquet")
    tables = [table for _, table in lake_files(tmp_path, ("outcome",), ("correlation_id",))]
    assert [table.num_rows for table in tables] == [1, 1, 1]
    assert tables[0]["three_ds"].to_pylist() == ["none"]
    assert tables[1].equals(tables[2])
    assert tables[1]["three_ds"].to_pylist() == [row["three_ds"]]
    assert "of_a_later_release" not in tables[2].column_names

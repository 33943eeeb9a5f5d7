"""Tokens of before a change of the key become those of after it, over any number of changes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.features import STANDARD
from tests.unit.training.synthetic import transactions, write_decisions
from training.contract import ProgramError
from training.engines.events import table_of
from training.lake import read_decisions
from training.rotation import LINKS, PREVIOUS, relinked

FOUND = transactions(1, 6)[0]
BEFORE = [{"card": f"old-{each.card}", "device": ""} for each in FOUND]
PAIRS = pa.array([list(each.items()) for each in BEFORE], pa.map_(pa.string(), pa.string()))
COLUMNS: dict[str, "pa.Array[Any]"] = {
    "a map": PAIRS,
    "records": PAIRS.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))),
    "one record": pa.array([{"card": each["card"], "email": None} for each in BEFORE]),
}


def links(*told: tuple[str, str, int]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(LINKS.names, each, strict=True)) for each in told], schema=LINKS)


def read(tmp_path: Path, column: "pa.Array[Any]") -> pa.Table:
    path = write_decisions(tmp_path, FOUND, [{"amount": 1.0}] * len(FOUND))
    pq.write_table(pq.read_table(path).append_column(PREVIOUS, column), path)
    return read_decisions(tmp_path / "processing" / "input" / "decisions", STANDARD.names).links


@pytest.mark.parametrize("form", COLUMNS)
def test_decisions_tell_what_their_tokens_were(tmp_path: Path, form: str) -> None:
    first: dict[str, int] = {}
    for each in FOUND:
        first.setdefault(each.card, each.event_time)
    expected = sorted((f"old-{card}", card, at) for card, at in first.items())
    assert sorted(tuple(row.values()) for row in read(tmp_path, COLUMNS[form]).to_pylist()) == expected


def test_decisions_without_the_column_or_with_an_empty_one_link_nothing(tmp_path: Path) -> None:
    write_decisions(tmp_path, FOUND, [{"amount": 1.0}] * len(FOUND))
    folder = tmp_path / "processing" / "input" / "decisions"
    assert read_decisions(folder, STANDARD.names).links.num_rows == 0
    assert read(tmp_path, pa.nulls(len(FOUND))).num_rows == 0
    assert read(tmp_path, pa.array([[]] * len(FOUND), pa.map_(pa.string(), pa.string()))).num_rows == 0


def test_a_column_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"'previous_tokens' of .*part-0\.parquet is string"):
        read(tmp_path, pa.array(["?"] * len(FOUND)))


def test_a_chain_of_changes_ends_at_the_last_token() -> None:
    names = [f"t{number}" for number in range(9)]
    chain = links(*((old, new, 5) for old, new in pairwise(names)))
    events = table_of([msgspec.structs.replace(FOUND[0], card=name, device="other", email=name) for name in names])
    found = relinked(events, chain, as_of=9)
    assert set(found["card"].to_pylist()) == set(found["email"].to_pylist()) == {"t8"}
    assert set(found["device"].to_pylist()) == {"other"}
    assert found.schema == events.schema


def test_what_was_learnt_later_has_no_influence() -> None:
    events = table_of([msgspec.structs.replace(FOUND[0], card="t0")])
    chain = links(("t0", "t1", 5), ("t1", "t2", 7))
    assert [relinked(events, chain, as_of=at)["card"].to_pylist() for at in (4, 5, 7)] == [["t0"], ["t1"], ["t2"]]


def test_the_later_of_two_words_counts_and_a_circle_ends() -> None:
    events = table_of([msgspec.structs.replace(FOUND[0], card="t0")])
    assert relinked(events, links(("t0", "t1", 5), ("t0", "t2", 6)), as_of=9)["card"].to_pylist() == ["t2"]
    [ended] = relinked(events, links(("t0", "t1", 5), ("t1", "t0", 6)), as_of=9)["card"].to_pylist()
    assert ended in ("t0", "t1")

"""Feast's online read beside ours: as many features of as many entities, both from SQLite on this disk.

What Feast reads was computed before; ours are packed states, and their windows are summed when they are read.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from fraud.codec import decode
from fraud.features import STANDARD
from tests.benchmarks.online import Warm, warm
from tests.benchmarks.results import Row, missing
from tests.benchmarks.timing import latencies

__all__ = ["feast_rows"]

NAME = "online read from SQLite, median"
CALLS = 500


def feast_rows() -> Iterator[Row]:
    """A row for the median and one for the 99th percentile."""
    try:
        import feast
    except ImportError as error:
        yield missing(NAME, f"Feast does not run here ({error.name})")
        return
    at = warm()
    with TemporaryDirectory() as folder:
        ours = latencies(_ours(at, Path(folder)), CALLS)
        theirs = latencies(_feast(at, Path(folder)), CALLS)
    work = (
        f"{len(STANDARD.windowed)} features of {len(STANDARD.entities)} entities of one payment; "
        f"ours are computed from states when read, Feast's were stored as values"
    )
    for name, mine, other in zip((NAME, NAME.replace("median", "p99")), ours, theirs, strict=True):
        yield Row(name, work, mine, "us", "feast", feast.__version__, other, other / mine)


def _ours(at: Warm, folder: Path) -> Any:
    """Reads the vector of a payment from a table of packed states."""
    base = sqlite3.connect(folder / "ours.db")
    base.execute("create table states (key text primary key, packed blob) without rowid")
    base.executemany("insert into states values (?, ?)", [(str(key), packed) for key, packed in at.packed.items()])
    base.commit()

    def read(call: int) -> tuple[float, ...]:
        payment = at.payments[call % len(at.payments)]
        keys = {str(key): key for key in STANDARD.keys_read(payment)}
        marks = ", ".join("?" * len(keys))
        found = base.execute(f"select key, packed from states where key in ({marks})", list(keys))  # noqa: S608 - only '?'
        return STANDARD.vector(payment, {keys[key]: decode(packed) for key, packed in found})

    return read


def _feast(at: Warm, folder: Path) -> Any:
    """Reads as many values of the same entities through Feast's online store."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    config = RepoConfig(
        project="benchmark",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "feast.db")},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    names = {
        entity.name: [each.name for each in STANDARD.windowed if each.entity == entity]
        for entity in STANDARD.entities
    }
    now = datetime.now(UTC)
    views, wanted = [], []
    for entity, columns in names.items():
        path = folder / f"{entity}.parquet"
        tokens = sorted({key.token for key in at.packed if key.entity == entity})
        frame = pd.DataFrame({column: float(n) for n, column in enumerate(columns)}, index=range(len(tokens)))
        frame.insert(0, entity, tokens)
        frame["event_timestamp"] = now
        frame.to_parquet(path)
        keyed = Entity(name=entity, join_keys=[entity], value_type=ValueType.STRING)
        view = FeatureView(
            name=f"{entity}_view",
            entities=[keyed],
            ttl=timedelta(days=90),
            schema=[Field(name=column, dtype=Float64) for column in columns],
            source=FileSource(path=str(path), timestamp_field="event_timestamp"),
        )
        views.append((view, frame))
        store.apply([keyed, view])
        wanted += [f"{view.name}:{column}" for column in columns]
    for view, frame in views:
        store.write_to_online_store(view.name, frame)

    def read(call: int) -> dict[str, list[Any]]:
        payment = at.payments[call % len(at.payments)]
        row = {entity.name: entity.token(payment) for entity in STANDARD.entities}
        found: dict[str, list[Any]] = store.get_online_features(features=wanted, entity_rows=[row]).to_dict()
        return found

    read(0)
    return read

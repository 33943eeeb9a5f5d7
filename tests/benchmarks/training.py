"""Training: how time grows with the rows, what memory it takes, and what a second machine brings.

Every figure is of fresh processes of the container program, as a job runs it, imports included.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.events import Event, Label, Transaction
from tests.benchmarks.data import ROOT
from tests.benchmarks.results import Row, measured
from tests.benchmarks.worlds import events
from training.rows import Rows, write_dataset
from training.split import Cuts

__all__ = ["training_rows"]

SIZES = (1, 2, 4, 8)
BASE_ROWS = 12_500
ROUNDS = 60
# Of numbers alone, for memory and several machines: no world makes so many payments in reasonable time.
MATRIX_ROWS, MATRIX_COLUMNS, MATRIX_ROUNDS = 200_000, 40, 20
START = 1_750_000_000_000
HOSTS = ("127.0.0.1", "127.0.0.2")
# The program, and at its end the peak of its memory in kB as the kernel keeps it for this program alone: what the
# parent learns of a child counts what the parent itself had when it made the child.
PROGRAM = """
import re, sys
from pathlib import Path
from training.__main__ import main
from training.contract import Contract
code = main(sys.argv[1:], Contract.from_env())
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def training_rows() -> Iterator[Row]:
    """Every row about training."""
    with TemporaryDirectory(prefix="paywarden-bench-") as folder:
        yield from _growth(Path(folder))
    with TemporaryDirectory(prefix="paywarden-bench-") as folder:
        yield from _memory(Path(folder))
    with TemporaryDirectory(prefix="paywarden-bench-") as folder:
        yield from _machines(Path(folder))


def _growth(folder: Path) -> Iterator[Row]:
    seconds: dict[str, list[float]] = {"dataset": [], "train": []}
    for size in SIZES:
        root = folder / f"{size}x"
        as_of = _history(root, events(BASE_ROWS * size))
        asked = ["dataset", "--as-of", str(as_of), "--minimum-frauds", "5"]
        seconds["dataset"].append(_run([(root, asked)])[0])
        (root / "input").mkdir()
        (root / "input" / "data").symlink_to(root / "processing" / "output" / "dataset")
        # No early stopping, so that each size does the same work on each of its rows.
        _parameters(root, rounds=ROUNDS, early_stopping_rounds=ROUNDS)
        seconds["train"].append(_run([(root, ["train"])])[0])
    for step, taken in seconds.items():
        for size, each in zip(SIZES, taken, strict=True):
            work = f"{BASE_ROWS * size:,} generated payments" + (f", {ROUNDS} trees" if step == "train" else "")
            yield measured(f"training, {step}, {size}x the rows", work, each, "s")
        work = f"seconds at {SIZES[-1]}x over seconds at 1x"
        yield measured(f"training, {step}, growth from 1x to {SIZES[-1]}x", work, taken[-1] / taken[0], "times")


def _memory(folder: Path) -> Iterator[Row]:
    for size in (1, 4):
        rows = MATRIX_ROWS * size
        dataset = _matrix(folder / f"dataset-{size}", rows)
        for memory in ("resident", "external"):
            root = folder / f"{memory}-{size}"
            _staged(root, dataset, memory=memory)
            seconds, peak = _run([(root, ["train"])])
            work = f"{rows:,} rows of {MATRIX_COLUMNS} columns, {MATRIX_ROUNDS} trees; peak of the process"
            yield measured(f"training, memory {memory}, {size}x the rows", work, peak / 1e6, "MB")
            yield measured(f"training, time {memory}, {size}x the rows", work, seconds, "s")


def _machines(folder: Path) -> Iterator[Row]:
    rows = MATRIX_ROWS * 2
    dataset = _matrix(folder / "dataset", rows)
    alone = folder / "alone"
    _staged(alone, dataset, nthread=1)
    work = f"{rows:,} rows of {MATRIX_COLUMNS} columns, {MATRIX_ROUNDS} trees, one thread a process"
    yield measured("training, one process", work, _run([(alone, ["train"])])[0], "s")
    machines: list[tuple[Path, Sequence[str]]] = []
    for number, host in enumerate(HOSTS):
        root = folder / host
        _staged(root, dataset, shared=(number, len(HOSTS)), nthread=1)
        (root / "input" / "config" / "resourceconfig.json").write_text(
            json.dumps({"current_host": host, "hosts": HOSTS})
        )
        machines.append((root, ["train"]))
    yield measured("training, two processes as two machines", work, _run(machines)[0], "s")


def _run(jobs: Sequence[tuple[Path, Sequence[str]]]) -> tuple[float, int]:
    """Seconds until all of these have ended, and the bytes at the peak of the largest."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "fraud" / "python")])
    begun = perf_counter()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *asked],
            env={
                **os.environ,
                "ML_ROOT": str(root),
                "PYTHONPATH": paths,
                "TRAINING_JOB_NAME": f"bench-{os.getpid()}",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for root, asked in jobs
    ]
    told = [process.communicate()[0] for process in started]
    seconds = perf_counter() - begun
    for process, (_, asked) in zip(started, jobs, strict=True):
        if process.returncode:
            raise RuntimeError(f"{asked[0]} ended with {process.returncode}; its reason is above")
    return seconds, max(int(each.split()[-1]) * 1024 for each in told)


def _history(root: Path, told: Sequence[Event]) -> int:
    """Payments as an import leaves them, and a moment (ms) at which all of them are old enough."""
    known = {each.transaction.event_id: each for each in told if isinstance(each, Label)}
    payments = [each for each in told if isinstance(each, Transaction)]
    labels = [known.get(each.event_id) for each in payments]
    columns: dict[str, object] = {
        name: [getattr(each, name) for each in payments] for name in Transaction.__struct_fields__
    }
    columns["is_fraud"] = pa.array([each and each.is_fraud for each in labels], pa.bool_())
    columns["known_at"] = pa.array([each and each.known_at for each in labels], pa.int64())
    path = root / "processing" / "input" / "history" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path)
    return max(each.event_time for each in payments) + 30 * 86_400_000


def _matrix(folder: Path, count: int) -> Path:
    """A dataset of random numbers, of which a few tell the frauds."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(count, MATRIX_COLUMNS)).astype(np.float32).astype(np.float64)
    odds = -4.5 + vectors[:, 0] + vectors[:, 1] * vectors[:, 2]
    rows = Rows(
        event_ids=[f"e{number}" for number in range(count)],
        times=START + np.arange(count, dtype=np.int64) * 1_000,
        amounts=np.full(count, 1_000, dtype=np.int64),
        cards=[f"c{number % 5_000}" for number in range(count)],
        merchants=["m"] * count,
        countries=["FR"] * count,
        new_cards=np.zeros(count, dtype=np.bool_),
        weights=np.ones(count),
        names=tuple(f"column_{number}" for number in range(MATRIX_COLUMNS)),
        vectors=vectors,
        labels=(rng.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int8),
    )
    cuts = Cuts(validation=count * 8 // 10, evaluation=count * 9 // 10)
    write_dataset(folder, rows, cuts, feature_set="made", about={"as_of": START}, rows_a_file=count // 10)
    return folder


def _staged(root: Path, dataset: Path, *, shared: tuple[int, int] = (0, 1), **parameters: object) -> None:
    """A machine's folders; `shared` is its number and how many share the files of the train part."""
    channels = root / "input" / "data"
    (channels / "train").mkdir(parents=True)
    for name in ("about", "validation"):
        (channels / name).symlink_to(dataset / name)
    for place, path in enumerate(sorted((dataset / "train").iterdir())):
        if place % shared[1] == shared[0]:
            (channels / "train" / path.name).symlink_to(path)
    _parameters(root, rounds=MATRIX_ROUNDS, early_stopping_rounds=MATRIX_ROUNDS, **parameters)


def _parameters(root: Path, **parameters: object) -> None:
    config = root / "input" / "config" / "hyperparameters.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"run_id": "bench", **{name: str(each) for name, each in parameters.items()}}))

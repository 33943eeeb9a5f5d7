"""Several machines, here as processes with loopback addresses: one model, and no waiting for the dead."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from fraud.bundle import Manifest
from tests.unit.training.jobs import REPOSITORY, fails, stage_training
from tests.unit.training.learnable import rows, write
from training.__main__ import main
from training.boosting import Alone, Machines
from training.collective import joined
from training.contract import Contract, ProgramError
from training.hosts import Hosts
from training.parameters import read_parameters
from training.train import train
from training.watcher import port_of

PARAMETERS: dict[str, object] = {"run_id": "run-1", "rounds": "40", "nthread": "1", "patience_seconds": "60"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("dataset"), rows(9_000), rows_a_file=750)
    assert len(list((folder / "train").iterdir())) == 8
    return folder


def _stage(root: Path, dataset: Path, parameters: dict[str, object], count: int) -> list[Path]:
    """A root for each machine, with its share of the train part as ShardedByS3Key gives it."""
    hosts = [f"127.0.0.{number + 1}" for number in range(count)]
    staged = []
    for number, host in enumerate(hosts):
        machine = stage_training(root / host, dataset, parameters)
        (machine / "input" / "config" / "resourceconfig.json").write_text(
            json.dumps({"current_host": host, "hosts": hosts, "network_interface_name": "lo"})
        )
        for place, path in enumerate(sorted((machine / "input" / "data" / "train").iterdir())):
            if place % count != number:
                path.unlink()
        staged.append(machine)
    return staged


def _start(root: Path) -> subprocess.Popen[str]:
    paths = [str(REPOSITORY), str(REPOSITORY / "layers" / "fraud" / "python")]
    # Job and tests of other processes have other names, and so other ports.
    name = f"{root.parent.name}-{os.getpid()}"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "training", "train"],
        env={
            **os.environ,
            "ML_ROOT": str(root),
            "TRAINING_JOB_NAME": name,
            "PYTHONPATH": os.pathsep.join(paths),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
            stack.callback(process.kill)
        return [(*process.communicate(timeout=270), process.returncode)[::-1] for process in processes]


def _terminate(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.terminate()


def _metrics(root: Path) -> dict[str, float]:
    return msgspec.json.decode((root / "model" / "manifest.json").read_bytes(), type=Manifest).metrics


def _meanwhile(processes: list[subprocess.Popen[str]], act: Callable[[], None]) -> list[tuple[int, str, str]]:
    """Do something once some rounds are done, and wait for all to end."""
    try:
        assert processes[0].stdout is not None
        while not (line := processes[0].stdout.readline()).startswith("round=10 "):
            assert line
        act()
    finally:
        ended = _finish(processes)
    return ended


@pytest.fixture(scope="module")
def alone(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    root = stage_training(tmp_path_factory.mktemp("alone"), dataset, PARAMETERS)
    assert main(["train"], Contract(root, cpus=1)) == 0
    return _metrics(root)


def test_four_machines_together_learn_what_one_learns(
    dataset: Path, tmp_path: Path, alone: dict[str, float]
) -> None:
    # Four that start at once on few cores take their time to meet.
    roots = _stage(tmp_path / "four", dataset, PARAMETERS | {"patience_seconds": "200"}, 4)
    ended = _finish([_start(root) for root in roots])
    assert [code for code, *_ in ended] == [0] * 4, ended
    histories = [[line for line in out.splitlines() if line.startswith("round=")] for _, _, out in ended]
    assert len(histories[0]) >= 3
    assert all(history == histories[0] for history in histories)
    assert [(root / "model").exists() for root in roots] == [True, False, False, False]
    _alike(_metrics(roots[0]), alone)


def test_two_machines_that_are_taken_away_go_on_from_one_checkpoint_on_disk_too(
    dataset: Path, tmp_path: Path, alone: dict[str, float]
) -> None:
    slow = PARAMETERS | {"rounds": "150", "eta": "0.04", "early_stopping_rounds": "150", "memory": "external"}
    roots = _stage(tmp_path / "spot", dataset, slow, 2)
    processes = [_start(root) for root in roots]
    ended = _meanwhile(processes, lambda: _terminate(processes))
    assert [code for code, *_ in ended] == [143, 143]
    (kept,) = (roots[0] / "checkpoints").glob("*.checkpoint")
    assert not (roots[1] / "checkpoints").exists()
    again = _stage(tmp_path / "spot-again", dataset, slow, 2)
    shutil.copytree(kept.parent, again[0] / "checkpoints")
    resumed = _finish([_start(root) for root in again])
    assert [code for code, *_ in resumed] == [0, 0], resumed
    assert all("resumed round=" in out and "kept on disk" in out for _, _, out in resumed)
    _alike(_metrics(again[0]), alone)


def _alike(many: dict[str, float], one: dict[str, float]) -> None:
    assert many["validation_auc"] == pytest.approx(one["validation_auc"], abs=0.02)
    assert many["validation_log_loss"] == pytest.approx(one["validation_log_loss"], abs=0.006)


def test_a_dead_worker_fails_the_job_on_all_machines_with_a_reason(dataset: Path, tmp_path: Path) -> None:
    endless = PARAMETERS | {"rounds": "9000", "early_stopping_rounds": "9000"}
    roots = _stage(tmp_path / "dead", dataset, endless, 2)
    processes = [_start(root) for root in roots]

    def kill() -> None:
        (worker,) = Path(f"/proc/{processes[1].pid}/task/{processes[1].pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)

    assert [code for code, *_ in _meanwhile(processes, kill)] == [1, 1]
    reasons = [(root / "output" / "failure").read_text() for root in roots]
    assert "was killed, most often for want of memory" in reasons[1]
    assert "Another of the 2 machines of this training was lost" in reasons[0]


class Together:
    """Machines that are threads of this process, for what they do before XGBoost has its turn."""

    def __init__(self, count: int) -> None:
        self._barrier = threading.Barrier(count, timeout=60)
        self._told: dict[int, np.ndarray[Any, np.dtype[np.float64]]] = {}

    @contextmanager
    def join(self, hosts: Hosts, _port: int, _patience: int) -> Iterator[Machines]:
        yield Member(self, hosts.rank)

    def total(self, rank: int, values: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
        self._told[rank] = values
        self._barrier.wait()
        return sum(self._told.values())


@dataclass
class Member(Alone):
    """One of them."""

    group: Together
    rank: int

    def total(self, values: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
        return self.group.total(self.rank, values)


def test_a_machine_without_rows_fails_all_with_the_remedy(dataset: Path, tmp_path: Path) -> None:
    roots = _stage(tmp_path / "empty", dataset, PARAMETERS, 2)
    for path in (roots[1] / "input" / "data" / "train").iterdir():
        path.unlink()
    group = Together(2)

    def reason(root: Path) -> str:
        contract = Contract(root, cpus=1)
        hosts = Hosts.read(contract.training_resources)
        with pytest.raises(ProgramError) as told:
            train(contract, read_parameters(contract), hosts, 0, join=group.join)
        return str(told.value)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(reason, roots)
    assert "127.0.0.2 cannot use its share" in first
    assert second.startswith("The machine 127.0.0.2 got no file of the train part")
    assert "Use fewer instances" in second


# XGBoost logs by way of warnings, here that nobody listens yet.
@pytest.mark.filterwarnings("ignore:.*Failed to connect:UserWarning")
def test_a_machine_that_nobody_meets_gives_up_in_time() -> None:
    hosts = Hosts("127.0.0.2", ("127.0.0.1", "127.0.0.2"))
    wanted = r"Not all of the 2 machines met on 127\.0\.0\.1 within 1 s"
    with pytest.raises(ProgramError, match=wanted), joined(hosts, port_of(f"lonely-{os.getpid()}", 0), 1):
        pass


def test_all_machines_derive_the_same_port() -> None:
    assert port_of("a-train-r0", 0) == port_of("a-train-r0", 0) != port_of("b-train-r0", 0)
    assert 20_000 <= port_of("a-train-r0", 0) < 30_000


def test_a_resource_file_that_does_not_name_this_machine_is_refused(dataset: Path, tmp_path: Path) -> None:
    root = stage_training(tmp_path, dataset, PARAMETERS)
    config = root / "input" / "config" / "resourceconfig.json"
    config.write_text('{"current_host": "algo-3", "hosts": ["algo-1", "algo-2"]}')
    assert "not among its hosts" in fails(root, "train")

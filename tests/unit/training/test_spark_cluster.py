"""Spark over several machines: processes of this one, each with an address of its own on the loopback network."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.unit.training.jobs import JAVA, REPOSITORY
from tests.waiting import until
from training import cluster
from training.cluster import Hosts, run_over
from training.contract import ProgramError

PAIR = ("127.0.0.1", "127.0.0.2")

PROGRAM = """
import sys
from pathlib import Path
from training.cluster import Hosts, run_over

def work():
    from pyspark.sql import SparkSession
    from training.engines.spark_session import spark_session
    with spark_session() as session:  # the one that is there, so that programs need not be handed it
        assert session is SparkSession.getActiveSession()
        def machine(batches):
            import os
            import pyarrow as pa
            for batch in batches:
                yield pa.RecordBatch.from_pydict({"folder": [os.getcwd()], "rows": [len(batch)]})
        found = session.range(400, numPartitions=8).mapInArrow(machine, "folder string, rows bigint").toArrow()
    folders = len(set(found["folder"].to_pylist()))
    Path(sys.argv[3]).write_text(f"{sum(found['rows'].to_pylist())} rows in {folders} places")

run_over(Hosts.read(Path(sys.argv[1])), work, port=int(sys.argv[2]), patience=100)
"""


def write_hosts(folder: Path, current: Any, names: Any = PAIR) -> Path:
    path = folder / f"{current}.json"
    path.write_text(json.dumps({"current_host": current, "hosts": names, "network_interface_name": "lo"}))
    return path


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind((PAIR[0], 0))
        return int(free.getsockname()[1])


def test_the_first_by_name_leads_whatever_the_order(tmp_path: Path) -> None:
    hosts = Hosts.read(write_hosts(tmp_path, "algo-2", ["algo-2", "algo-1"]))
    assert (hosts.current, hosts.leader, hosts.names) == ("algo-2", "algo-1", ("algo-1", "algo-2"))


def test_a_machine_that_is_told_nothing_is_alone(tmp_path: Path) -> None:
    alone = Hosts.read(tmp_path / "resourceconfig.json")
    assert alone.names == (alone.leader,) == (alone.current,)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"current_host": "a"}', '{"current_host": "a", "hosts": ["b"]}']
)
def test_a_file_that_does_not_name_this_machine_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resourceconfig.json"
    path.write_text(text)
    with pytest.raises(ProgramError, match=r"resourceconfig\.json .*current_host.* correct or remove it"):
        Hosts.read(path)


def test_one_that_follows_says_so_when_nobody_leads(port: int) -> None:
    with pytest.raises(ProgramError, match=r"Spark's master on 127\.0\.0\.1 does not answer: waited 0 s"):
        run_over(Hosts(PAIR[1], PAIR), _never, port=port, patience=0.0)


def test_one_that_follows_says_so_when_its_worker_ends_too_early(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_worker", _ended)
    with (
        socket.create_server((PAIR[0], port)),
        pytest.raises(ProgramError, match="ended with 3 before the work was done"),
    ):
        run_over(Hosts(PAIR[1], PAIR), _never, port=port, patience=5.0)


def test_one_that_leads_does_not_work_without_the_others(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(cluster, "_daemon", _recorded(started))
    monkeypatch.setattr(cluster, "spark_session", _recorded(started))
    monkeypatch.setattr(cluster, "_executors", lambda _session: 1)
    with (
        socket.create_server((PAIR[0], port)),
        pytest.raises(ProgramError, match="not all of the 2 machines joined Spark"),
    ):
        run_over(Hosts(PAIR[0], PAIR), _never, port=port, patience=0.0)
    assert [command[0].rpartition(".")[-1] for command in started[:2]] == ["Master", "Worker"]
    assert started[2] == (f"spark://127.0.0.1:{port}",)


@pytest.mark.skipif(shutil.which("java") is None, reason="there is no java on the PATH, and Spark needs it")
def test_two_machines_share_the_work_and_both_end(tmp_path: Path, port: int) -> None:
    result = tmp_path / "result"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    paths = f"{REPOSITORY}:{REPOSITORY / 'layers' / 'fraud' / 'python'}"
    # One core each, as what is shared between machines is the question, not within one.
    environment = {
        **JAVA,
        "PATH": _path(),
        "PYTHONPATH": paths,
        "TMPDIR": str(tmp_path),
        "HOME": str(tmp_path),
        "SPARK_WORKER_CORES": "1",
    }
    started = []
    for name in reversed(PAIR):
        command = [sys.executable, str(program), str(write_hosts(tmp_path, name)), str(port), str(result)]
        with (tmp_path / f"{name}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    try:
        codes = [process.wait(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    logs = "".join((tmp_path / f"{name}.log").read_text()[-3_000:] for name in PAIR)
    assert codes == [0, 0], logs
    assert result.read_text() == "400 rows in 2 places"
    until(lambda: not _at(port), what="the end of all processes that name the port")


def _path() -> str:
    java = shutil.which("java")
    assert java is not None
    return f"{Path(java).parent}:/usr/local/bin:/usr/bin:/bin"


def _at(port: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if f":{port}" in " ".join(_command(process))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _never() -> None:
    raise AssertionError("there was nobody to work with")


class _Fake:
    """A process that goes on, or has ended with a code."""

    def __init__(self, returncode: int | None = None) -> None:
        self.returncode = returncode

    def poll(self) -> int | None:
        return self.returncode


@contextmanager
def _ended(*_command: str) -> Iterator[_Fake]:
    yield _Fake(3)


def _recorded(started: list[tuple[str, ...]]) -> Callable[..., Any]:
    @contextmanager
    def start(*command: str, **_options: Any) -> Iterator[_Fake]:
        started.append(command)
        yield _Fake()

    return start

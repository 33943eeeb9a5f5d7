"""Starting and ending the local cloud: nothing is left, no stranger is touched."""

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops.localcloud import control
from ops.localcloud.errors import LocalCloudError
from tests.ports import free_port
from tests.waiting import until

from .conftest import make_roles, training_request, zipped

pytestmark = pytest.mark.integration


@pytest.fixture
def port() -> Iterator[int]:
    """A port of the test's own, in the place of the shared local cloud's."""
    number = free_port()
    yield number
    shutil.rmtree(control.state_directory(number), ignore_errors=True)


def survivors(family: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_nothing_is_left_after_down(port: int, tmp_path: Path, images: Path) -> None:
    started = control.up(port, state_dir=tmp_path, images=images)
    try:
        assert started.healthy
        assert control.up(port).pid == started.pid, "a second start must leave the first alone"
        session = control.session(port)
        make_roles(session)
        functions = session.client("lambda")
        functions.create_function(
            FunctionName="warm",
            Runtime="python3.13",
            Role="arn:aws:iam::000000000000:role/function",
            Handler="index.handler",
            Code={"ZipFile": zipped("def handler(event, context): return event")},
        )
        assert json.load(functions.invoke(FunctionName="warm", Payload=b'{"a": 1}')["Payload"]) == {"a": 1}
        s3 = session.client("s3")
        s3.create_bucket(Bucket="jobs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket="jobs", Key="data/a.csv", Body=b"1\n")
        session.client("sagemaker").create_training_job(**training_request("sleeps", "jobs", mode="sleep"))
        server = psutil.Process(started.pid)
        # The function's worker, the job, and the child the job starts.
        until(lambda: len(server.children(recursive=True)) >= 3, what="three processes")
        family = [server, *server.children(recursive=True)]
    finally:
        ended = control.down(port)
    assert ended
    assert survivors(family) == []
    assert not control.status(port).running
    assert not control.down(port)
    # Lambda workers unpack their code and layers here.
    assert list((tmp_path / "tmp").glob("*")) == []


def test_taken_port_is_named(port: int, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(LocalCloudError, match=rf"port {port} of 127\.0\.0\.1 is taken by process \d+ \("):
            control.up(port, state_dir=tmp_path)
    assert not control.status(port).running


def test_down_spares_a_stranger_with_the_same_number(port: int) -> None:
    stranger = psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        record = control.state_directory(port) / "server.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        claim = {"pid": stranger.pid, "created": stranger.create_time()}
        record.write_text(json.dumps(claim))
        assert not control.down(port)
        assert stranger.is_running()
    finally:
        stranger.kill()
        stranger.wait()


def test_start_that_fails_says_why(port: int, tmp_path: Path) -> None:
    broken = tmp_path / "images.json"
    broken.write_text("{")
    with pytest.raises(LocalCloudError, match="cannot read the image file"):
        control.up(port, state_dir=tmp_path, images=broken)

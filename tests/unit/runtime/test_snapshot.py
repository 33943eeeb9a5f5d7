"""SnapStart's hooks, as Lambda's runtime calls them."""

import random
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread

import pytest

from runtime import clients, snapshot
from tests.unit.runtime.snapshots import Runtime


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    made = Runtime()
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", made)
    return made


def test_closings_run_in_their_order_and_renewals_at_every_restore(runtime: Runtime) -> None:
    ran: list[str] = []
    snapshot.before_snapshot(lambda: ran.append("close"), lambda: ran.append("flush"))
    snapshot.after_restore(lambda: ran.append("keys"), lambda: ran.append("models"), failed=pytest.fail)
    assert ran == []
    runtime.freeze()
    assert ran == ["close", "flush"]
    for restores in (1, 2):
        runtime.restore()
        assert sorted(ran[2:]) == ["keys"] * restores + ["models"] * restores


def test_a_renewal_that_fails_is_told_and_keeps_no_other_back(runtime: Runtime) -> None:
    ran: list[str] = []
    told: list[Exception] = []

    def unreachable() -> None:
        raise ConnectionError("no network yet")

    snapshot.after_restore(unreachable, lambda: ran.append("models"), failed=told.append)
    runtime.restore()
    assert ran == ["models"]
    assert [str(error) for error in told] == ["no network yet"]


def test_a_renewal_that_hangs_is_told_and_keeps_neither_another_nor_the_request_waiting(runtime: Runtime) -> None:
    answered, late = Event(), Event()
    ran: list[str] = []
    told: list[Exception] = []

    def hangs() -> None:
        answered.wait(timeout=60)
        late.set()

    snapshot.after_restore(hangs, lambda: ran.append("keys"), failed=told.append, patience=1.0)
    runtime.restore()
    assert ran == ["keys"]
    assert [type(error) for error in told] == [TimeoutError]
    assert not late.is_set()
    answered.set()
    assert late.wait(timeout=60), "it goes on beside the requests"


def test_a_copy_is_ready_long_before_lambda_gives_it_up() -> None:
    assert 0 < snapshot.PATIENCE <= 3


def test_a_closing_that_fails_stops_the_snapshot(runtime: Runtime) -> None:
    def broken() -> None:
        raise RuntimeError("cannot be frozen")

    snapshot.before_snapshot(broken)
    with pytest.raises(RuntimeError, match="cannot be frozen"):
        runtime.freeze()


def test_copies_of_one_snapshot_draw_different_numbers(runtime: Runtime) -> None:
    snapshot.after_restore(failed=pytest.fail)
    state = random.getstate()
    drawn = set()
    for _ in range(3):
        random.setstate(state)
        runtime.restore()
        drawn.add(random.random())
    assert len(drawn) == 3


def test_outside_of_lambda_there_are_no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    snapshot.before_snapshot(pytest.fail)
    snapshot.after_restore(pytest.fail, failed=pytest.fail)


class Empty(BaseHTTPRequestHandler):
    """An S3 that has no bucket, and keeps its connections."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        type(self).connections += 1
        super().setup()

    def do_GET(self) -> None:
        body = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


def test_no_connection_survives_and_the_clients_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Empty)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    try:
        client = clients.s3()
        for _ in range(2):
            client.list_buckets()
        assert Empty.connections == 1
        clients.disconnect()
        client.list_buckets()
        assert Empty.connections == 2
    finally:
        clients.disconnect()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)

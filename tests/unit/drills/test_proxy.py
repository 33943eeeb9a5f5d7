"""The proxy hands on, and answers in AWS's place when a rule says so."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ops.localcloud import control
from tests.drills.proxy import Faults, proxied, rule


class Store(BaseHTTPRequestHandler):
    """A DynamoDB that has no table."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"TableNames":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def faults() -> Iterator[Faults]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with proxied(server.server_port, services=("dynamodb",)) as found:
            yield found
        server.shutdown()
        thread.join()


def test_a_rule_counts_until_its_block_ends(faults: Faults) -> None:
    config = Config(retries={"total_max_attempts": 1})
    client = control.session(1).client("dynamodb", endpoint_url=f"http://127.0.0.1:{faults.port}", config=config)
    assert client.list_tables()["TableNames"] == []
    throttled = rule("dynamodb", "ListTables", code="ProvisionedThroughputExceededException")
    with faults.injected(throttled), pytest.raises(ClientError) as raised:
        client.list_tables()
    assert raised.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert client.list_tables()["TableNames"] == []
    assert faults.fired(0.0) == {("dynamodb", "ListTables"): 1}
    assert faults.wait_for("ListTables", 0.0, 1)
    assert not faults.wait_for("PutItem", 0.0, 0.1)

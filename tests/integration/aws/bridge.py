"""DynamoDB in memory behind a real port, for functions that run in processes of their own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

__all__ = ["Hook", "serve"]

REGION = "eu-west-1"
type Hook = Callable[[str, bool], bool]
"""Told of each call (its name, and whether it took effect already); False drops the connection."""


@contextmanager
def serve(hook: Hook) -> Iterator[str]:
    """Serve moto's DynamoDB on a free port of this machine; needs an active `mock_aws`.

    Yields
    ------
    str
        The endpoint's URL.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            if not hook(operation, False):
                self.close_connection = True
                return
            kept = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
            answer = requests.post(
                f"https://dynamodb.{REGION}.amazonaws.com/",
                data=body,
                headers={name: self.headers[name] for name in kept if name in self.headers},
                timeout=10,
            )
            if not hook(operation, True):
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

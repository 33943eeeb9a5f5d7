"""An AWS that answers at once, on loopback in a process of its own: what a call costs the caller, and no more.

It holds items of DynamoDB tables, one secret, one AppConfig document and files of S3, and takes every write. Run
as ``python -m tests.benchmarks.loopback FILE``, with what it holds in a JSON file; it prints its port.
"""

import json
import socketserver
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Held", "item_name", "served"]

type Held = Mapping[str, Any]
"""``tables``: items by table and by `item_name`; ``secret``, ``document``: texts; ``files``: paths by key."""


def item_name(key: Mapping[str, Any]) -> str:
    """An item's name among those of its table, from its key as DynamoDB writes it."""
    return "\n".join(next(iter(value.values())) for _, value in sorted(key.items()))


@contextmanager
def served(held: Held, folder: Path) -> Iterator[int]:
    """Start the server, and give the port it listens on."""
    path = folder / "held.json"
    path.write_text(json.dumps(held))
    command = [sys.executable, "-m", "tests.benchmarks.loopback", str(path)]
    with Popen(command, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, held: Held) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.tables = {
            table: {name: json.dumps(item, separators=(",", ":")) for name, item in items.items()}
            for table, items in held.get("tables", {}).items()
        }
        self.held = held

    def answer(self, path: str, target: str, body: bytes) -> tuple[bytes, str]:
        """The body of an answer and further header lines."""
        operation = target.rpartition(".")[2]
        asked = json.loads(body) if operation else {}
        match operation:
            case "BatchGetItem":
                return self._items(asked["RequestItems"]).encode(), ""
            case "PutItem":
                return b"{}", ""
            case "GetSecretValue":
                return json.dumps({"SecretString": self.held["secret"]}).encode(), ""
        where = urlsplit(path).path
        if where == "/configurationsessions":
            return b'{"InitialConfigurationToken":"first"}', ""
        if where == "/configuration":
            header = "Next-Poll-Configuration-Token: next\r\nNext-Poll-Interval-In-Seconds: 60\r\n"
            # As AppConfig does: a session is told a document once.
            return (self.held["document"].encode() if "=first" in path else b""), header
        return Path(self.held["files"][where.lstrip("/")]).read_bytes(), ""

    def _items(self, wanted: Mapping[str, Any]) -> str:
        parts = []
        for table, request in wanted.items():
            there = self.tables.get(table, {})
            names = map(item_name, request["Keys"])
            parts.append(f'"{table}":[{",".join([there[name] for name in names if name in there])}]')
        return f'{{"Responses":{{{",".join(parts)}}},"UnprocessedKeys":{{}}}}'


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        while line := self.rfile.readline():
            path = line.split(b" ")[1].decode()
            headers = {}
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                headers[name.lower()] = value.strip().decode()
            if headers.get(b"expect"):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(headers.get(b"content-length", 0)))
            content, more = self.server.answer(path, headers.get(b"x-amz-target", ""), body)
            self.wfile.write(
                (
                    "HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Mon, 01 Jun 2026 10:00:00 GMT\r\n"
                    "Content-Type: application/x-amz-json-1.0\r\n"
                    f"Content-Length: {len(content)}\r\nConnection: keep-alive\r\n"
                    "x-amzn-RequestId: 3VE0HT5QJ1V1S0RQE3JQKCDQ4RVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
                    f"x-amz-crc32: {zlib.crc32(content)}\r\n{more}\r\n"
                ).encode()
                + content
            )


if __name__ == "__main__":
    with _Server(json.loads(Path(sys.argv[1]).read_text())) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - read by the process that started it
        server.serve_forever()

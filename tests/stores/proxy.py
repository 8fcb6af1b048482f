"""A proxy before an S3 server that spoils the answers it is told to spoil."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SLOW = 0.3
FAULTS = ("503", "500", "429", "409", "reset before", "reset after", "slow")
OPERATIONS = (
    "list", "head", "get", "put", "put new", "delete", "begin upload", "upload part", "copy part", "complete",
)  # fmt: skip


@dataclass
class Faults:
    """What is spoilt: an operation, or the `nth` request of any; how; and whether always or once."""

    operation: str = ""
    fault: str = ""
    always: bool = False
    nth: int = 0
    forgets_conditions: bool = False
    seen: Counter[str] = field(default_factory=Counter)
    spoilt: int = 0

    def strikes(self, operation: str) -> str:
        """The fault that an operation meets now; empty for none."""
        self.seen[operation] += 1
        if self.nth and self.seen.total() == self.nth:
            self.spoilt += 1
            return self.fault
        if operation != self.operation or (self.spoilt and not self.always):
            return ""
        self.spoilt += 1
        return self.fault


def operation_of(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Names what a request is for."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if method == "GET":
        return "list" if "list-type" in query else "get"
    if method == "POST" and "delete" in query:
        return "delete"
    if method == "POST":
        return "begin upload" if "uploads" in query else "complete"
    if method == "PUT" and "partNumber" in query:
        return "copy part" if "x-amz-copy-source" in headers else "upload part"
    if method == "PUT":
        return "put new" if "if-none-match" in headers else "put"
    return method.lower()


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: "Proxy"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def handle_any(self) -> None:
        """Passes a request on, or not."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        operation = operation_of(
            self.command, self.path, {name.lower(): value for name, value in self.headers.items()}
        )
        fault = self.server.faults.strikes(operation)
        if fault == "reset before":
            self._reset()
        elif fault.isdigit():
            self._answer(int(fault), [], b"<Error><Code>Spoilt</Code></Error>")
        else:
            if fault == "slow":
                time.sleep(SLOW)
            answer = self._forward(body)
            if fault == "reset after":
                self._reset()
            else:
                self._answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the library's names

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = dict(self.headers.items())
        if self.server.faults.forgets_conditions:
            headers = {name: value for name, value in headers.items() if name.lower() != "if-none-match"}
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        has_length = False
        for name, value in headers:
            if name.lower() in ("transfer-encoding", "connection"):
                continue
            has_length = has_length or name.lower() == "content-length"
            self.send_header(name, value)
        if not has_length:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class Proxy(ThreadingHTTPServer):
    """Listens on loopback, before `upstream` (host:port)."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        """Finds a port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.faults = Faults()

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Says nothing: broken connections are its trade."""


@contextlib.contextmanager
def proxy(endpoint: str) -> Iterator[Proxy]:
    """Runs a proxy before a server."""
    with Proxy(urlsplit(endpoint).netloc) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

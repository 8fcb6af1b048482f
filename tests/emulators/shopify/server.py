"""The HTTP server: paths, tokens, versions, headers, faults, and a record of every request."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from tests.emulators.shopify import api, bulk, oauth
from tests.emulators.shopify.api import Answer, Call
from tests.emulators.shopify.control import PREFIX, control
from tests.emulators.shopify.cost import TokenBucket
from tests.emulators.shopify.errors import JSONObject, error
from tests.emulators.shopify.faults import Faults, Rule, spoil_cursors
from tests.emulators.shopify.made import Maker
from tests.emulators.shopify.schema import admin_schema, served_version
from tests.emulators.shopify.store import Size, Store

GRAPHQL_PATH = re.compile(r"/admin/api/(?P<version>[^/]+)/graphql\.json")
SHOP_PATH = re.compile(r"/admin/api/[^/]+/shop\.json")
"""The one path of the REST API, which other taps ask for."""
BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"  # noqa: S105 - a message
RANGE = r"bytes=(\d+)-"
RESULT = "bulkResult"
"""What a fault names as its `root` to hit the download of a bulk result."""
NO_QUERY = {"errors": {"query": "Required parameter missing or invalid"}}


@dataclass(frozen=True)
class RequestRecord:
    """One GraphQL request as it came in, and how it ended. Header names are in lower case."""

    path: str
    root_fields: tuple[str, ...]
    operation_name: str | None
    query: str
    variables: dict[str, Any]
    headers: dict[str, str]
    status: int
    points: int | None

    def summary(self) -> JSONObject:
        """Return what is worth showing to another process; the token is not."""
        return {
            "path": self.path,
            "root_fields": self.root_fields,
            "status": self.status,
            "points": self.points,
        }


class ShopifyServer:
    """A Shopify shop on loopback, to be used as a context manager or with `start` and `stop`.

    Args:
        shop: the shop's permanent domain, which `shop { myshopifyDomain }` answers.
        token: the only access token that is good.
        orders: how many orders to seed.
        customers: how many customers to seed.
        products: how many products to seed.
        seed: another seed gives other data.
        port: 0 takes a free one.
        bucket: the points to spend; a fresh standard bucket by default.
    """

    def __init__(  # noqa: PLR0913 - all of it describes one shop, all by keyword
        self,
        *,
        shop: str = "acme.myshopify.com",
        token: str = "shpat_test",  # noqa: S107 - not a secret: it opens this server only
        orders: int = 250,
        customers: int = 40,
        products: int = 30,
        seed: int = 7,
        port: int = 0,
        bucket: TokenBucket | None = None,
    ) -> None:
        self.shop = shop
        self.token = token
        self.bucket = bucket or TokenBucket()
        self.faults = Faults()
        self.requests: list[RequestRecord] = []
        self.store = Store(shop, Size(orders, customers, products), seed, Maker(admin_schema()))
        self.watch: Callable[[str], object] = lambda _: None
        """Called when a GraphQL request is `asked` and when it is `answered`; a test may kill who asked."""
        self.oauth = oauth.OAuth(lambda: self.store.now)
        self.stopping = threading.Event()
        self._http = Listener(self, port)
        self.store.bulk = bulk.BulkOperations(self.store, self.url)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def opens(self, token: str) -> bool:
        """Tell whether an access token is good now."""
        return token == self.token or self.oauth.is_good(token)

    @property
    def domain(self) -> str:
        """Host and port, such as `127.0.0.1:43211`."""
        return f"127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        """The origin, such as `http://127.0.0.1:43211`."""
        return f"http://{self.domain}"

    def start(self) -> Self:
        """Begin to answer; the port listens from construction on, so no request is refused in between."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering, cut what is open, and wait for every thread."""
        self.stopping.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.cut_connections()
        self._http.server_close()
        self.store.bulk.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, path: str, headers: dict[str, str], call: Call | None, rule: Rule | None) -> Answer:
        """Answer a POST, or fail as the rule wants it."""
        matched = GRAPHQL_PATH.fullmatch(path)
        version = served_version(matched["version"]) if matched else None
        hosts = {self.domain, self.domain.replace("127.0.0.1", "localhost"), self.shop}
        if version is None or headers.get("host") not in hosts:
            return Answer(404, {"errors": "Not Found"})
        if not self.opens(headers.get("x-shopify-access-token", "")):
            return Answer(401, {"errors": BAD_TOKEN})
        if call is None:
            return Answer(400, NO_QUERY)
        if rule and rule.fault.kind == "error":
            answer = Answer(payload={"errors": [error(rule.fault.body, rule.fault.where)]})
        else:
            refuse = rule is not None and rule.fault.kind == "throttled"
            answer = api.run(replace(call, version=version), self.store, self.bucket, refuse=refuse)
        if rule and rule.fault.kind == "null data":
            answer.payload["data"] = None
        if rule and rule.fault.kind == "partial":
            answer.payload["errors"] = [error(rule.fault.body, rule.fault.where)]
        if rule and rule.fault.kind in {"cursor", "null cursor"}:
            spoil_cursors(rule, answer.payload.get("data"))
        answer.headers["X-Shopify-API-Version"] = version
        return answer


class Listener(ThreadingHTTPServer):
    """A threading server that knows its open connections, so that it can end them and their threads."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, shop: ShopifyServer, port: int) -> None:
        self.shop = shop
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server what the loopback address is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note a new connection."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End what is open: a client that keeps its connection alive would keep a thread waiting for ever."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that went away; show anything else, for it is a fault of the emulator."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads a request and writes the answer, spoilt where a fault wants it."""

    protocol_version = "HTTP/1.1"
    server_version = "emulator"
    sys_version = ""
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Listener

    def do_POST(self) -> None:
        """Answer a GraphQL request or a control request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shop = self.server.shop
        if self.path.startswith(PREFIX):
            self.reply(control(shop, self.command, self.path, body))
            return
        if self.path == oauth.PATH:
            self.reply(Answer(*shop.oauth.answer(body, self.headers.get("Content-Type", ""))))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        shop.watch("asked")
        call = api.read_call(body)
        roots = call.checked.root_fields if call else ()
        rule = shop.faults.take(roots)
        kind = rule.fault.kind if rule else ""
        if rule and kind == "slow":
            shop.stopping.wait(rule.fault.seconds)
        if rule and kind == "status":
            answer = Answer(rule.fault.code, headers=dict(rule.fault.headers))
        else:
            answer = shop.answer(self.path, headers, call, rule)
        shop.requests.append(
            RequestRecord(
                self.path,
                roots,
                call.operation_name if call else None,
                call.text if call else "",
                call.variables if call else {},
                headers,
                answer.status,
                answer.points,
            )
        )
        self.reply(answer, rule)
        shop.watch("answered")

    def do_GET(self) -> None:
        """Answer a control request, send the result of a bulk operation, or the shop as REST has it."""
        answer = Answer(404, {"errors": "Not Found"})
        if self.path.startswith(bulk.PATH):
            self.send_result()
            return
        if self.path.startswith(PREFIX):
            answer = control(self.server.shop, self.command, self.path, b"")
        elif (
            SHOP_PATH.fullmatch(self.path)
            and self.headers.get("X-Shopify-Access-Token") == self.server.shop.token
        ):
            answer = Answer(payload={"shop": self.server.shop.store.rest_shop()})
        self.reply(answer)

    def send_result(self) -> None:
        """Send a bulk result as the storage behind it does: from a byte on, if asked so; cut by a fault."""
        shop = self.server.shop
        shop.watch("asked")
        rule = shop.faults.take((RESULT,))
        kind = rule.fault.kind if rule else ""
        file = shop.store.bulk.file(self.path)
        status = rule.fault.code if rule and kind == "status" else 200 if file else 404
        headers = {name.lower(): value for name, value in self.headers.items()}
        shop.requests.append(RequestRecord(self.path, (RESULT,), None, "", {}, headers, status, None))
        if rule and kind == "cut" and rule.fault.where == "start":
            self.hang_up()
            return
        if status != 200 or file is None:
            self.reply(Answer(status, {"errors": "AccessDenied"}))
            return
        size = file.stat().st_size
        asked = re.fullmatch(RANGE, headers.get("range", ""))
        start = min(int(asked[1]), size) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Content-Length", str(size - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        left = (size - start) // 2 if kind == "cut" else size - start
        with file.open("rb") as source:
            source.seek(start)
            while left and (chunk := source.read(min(left, 1 << 20))):
                self.wfile.write(chunk)
                left -= len(chunk)
        self.wfile.flush()
        if kind == "cut":
            self.hang_up()
        shop.watch("answered")

    def do_DELETE(self) -> None:
        """Answer a control request."""
        self.do_GET()

    def reply(self, answer: Answer, rule: Rule | None = None) -> None:
        """Write an answer, or as much of it as the fault lets through."""
        kind = rule.fault.kind if rule else ""
        if rule and kind == "cut" and rule.fault.where == "start":
            self.hang_up()
            return
        body = json.dumps(answer.payload, ensure_ascii=False, separators=(",", ":")).encode()
        if rule and kind == "status":
            body = rule.fault.body.encode()
        if kind == "truncated":
            body = body[: len(body) // 2]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Request-ID": str(uuid.uuid4()),
            "Content-Length": str(len(body)),
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if rule and kind == "cut":
            body = b"" if rule.fault.where == "headers" else body[: len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if kind == "cut":
            self.hang_up()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the shop's clock for the `Date` header; clients may take their own time from it."""
        del timestamp
        return format_datetime(self.server.shop.store.now, usegmt=True)

    def hang_up(self) -> None:
        """End the connection at once."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: `server.requests` is the log."""

"""Google Cloud Storage's XML interface before an S3 server: the part of it that obstore speaks.

No emulator that can be installed speaks that part. It is S3's but for credentials, conditions and the names
of headers; this follows Google's page on them (cloud.google.com/storage/docs/xml-api/reference-headers).
"""

import contextlib
import http.client
import json
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ACCOUNT = "lake@canary.example"
ANYONE = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""What moto takes for a signature."""

PASSED_ON = ("range", "content-type", "content-length", "if-match", "if-none-match")


class Google(ThreadingHTTPServer):
    """Listens on loopback; takes the requests that its one service account signed."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        """Finds a port, and makes up the account's key."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = urlsplit(upstream).netloc
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.condition = threading.Lock()
        self.forgets_conditions = False

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def write_credentials(self, file: Path) -> Path:
        """The account's key, as Google hands it out."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        account = {"type": "service_account", "client_email": ACCOUNT, "private_key": pem}
        file.write_text(json.dumps(account | {"private_key_id": "1", "project_id": "canary"}))
        return file

    def knows(self, authorization: str) -> bool:
        """Tells whether its account signed a request's token."""
        signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        try:
            self.key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), SHA256())
            return bool(json.loads(_decoded(signed.partition(".")[2]))["iss"] == ACCOUNT)
        except (InvalidSignature, ValueError):
            return False

    def handle_error(self, *_: object) -> None:
        """Says nothing."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Google

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def handle_any(self) -> None:
        """Translates a request, if its condition holds."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path, _, query = self.path.partition("?")
        path = quote(unquote(path))
        if not self.server.knows(self.headers.get("authorization", "")):
            self._answer(HTTPStatus.UNAUTHORIZED, {}, b"<Error><Code>AuthenticationRequired</Code></Error>")
            return
        headers = {"authorization": ANYONE}
        headers |= {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        if source := self.headers.get("x-goog-copy-source"):
            headers["x-amz-copy-source"] = quote(unquote(source))
        target = f"{path}?{query}" if query else path
        if "x-goog-if-generation-match" not in self.headers or self.server.forgets_conditions:
            self._answer(*self._ask(self.command, target, body, headers))
            return
        assert self.headers["x-goog-if-generation-match"] == "0", "only `must not be there yet` is known here"
        with self.server.condition:
            status, _, _ = self._ask("HEAD", path, b"", {"authorization": ANYONE})
            if status == HTTPStatus.OK:
                self._answer(
                    HTTPStatus.PRECONDITION_FAILED, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
                )
            else:
                self._answer(*self._ask(self.command, target, body, headers))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the library's names

    def _ask(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(http.client.HTTPConnection(self.server.upstream, timeout=60)) as connection:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.getheaders()}
            return response.status, answered, response.read()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        headers = {"content-length": str(len(body))} | headers
        for name, value in headers.items():
            if name not in ("transfer-encoding", "connection") and not name.startswith("x-amz-"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@contextlib.contextmanager
def google(upstream: str) -> Iterator[Google]:
    """Runs it before an S3 server."""
    with Google(upstream) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""JSON over HTTP, asked politely: retried where that helps, never redirected, never trusted.

`JsonApi.post` hands a Reply on or raises: RetryableError where asking again may help, ApiError where not.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import requests

from tap_common.errors import ApiError, RetryableError
from tap_common.redact import foreign
from tap_common.retry import http_date, retry_after, retrying

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
REDIRECTS = range(300, 400)
REFUSED = 400
REQUEST_ID = "X-Request-ID"

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers, and the body as parsed JSON; None where a refusal is no JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


class JsonApi:
    """One API on one origin; several threads may ask it at once.

    `retry_base` is the first wait in seconds; tests lower it.
    """

    retry_base = 1.0
    connect_timeout = 15.0
    read_timeout = 120.0

    def __init__(self, origin: str, headers: Mapping[str, str], *, tries: int = 8) -> None:
        self.origin = origin
        self.tries = tries
        self.has_told = False
        """Whether a reply has told the server's clock."""
        self._clock = datetime.now(UTC), time.monotonic()
        self._headers = headers
        self._idle: deque[requests.Session] = deque()

    def now(self) -> datetime:
        """Return the server's clock as its replies tell it; this machine's where they do not."""
        told, told_at = self._clock
        return told + timedelta(seconds=time.monotonic() - told_at)

    def retry(self, call: Callable[[], T], tries: int | None = None) -> T:
        """Return what the call returns, asking again where that may help.

        The call sends its request anew each time, so it may send a smaller one; and it reads the reply, so
        an API that hides an error in a 200 may raise RetryableError.

        Raises:
            ApiError: The server refused, redirected, or could not be reached in the given number of tries.
        """
        return retrying(call, tries=tries or self.tries, base=self.retry_base)

    def post(self, path: str, body: object, what: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON once and return the reply; `what` names the request in errors.

        Raises:
            RetryableError: Asking again may help.
            ApiError: It will not.
        """
        return self._send(path, msgspec.json.encode(body), "application/json", what, headers or {})

    def post_form(self, path: str, fields: Mapping[str, str], what: str) -> Reply:
        """Send a form once and return the reply, as `post` does."""
        return self._send(path, urlencode(fields).encode(), "application/x-www-form-urlencoded", what, {})

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """Lend a session to one thread at a time: nothing says that several may share one."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = requests.Session()
            session.headers.update(self._headers)
            if urlsplit(self.origin).hostname in LOOPBACK:
                session.trust_env = False  # a proxy cannot reach this machine's own servers
        try:
            yield session
        finally:
            self._idle.append(session)

    def _send(self, path: str, data: bytes, kind: str, what: str, headers: Mapping[str, str]) -> Reply:
        where = f"{what}: {self.origin}"
        try:
            # `content` reads the whole body here: a connection cut in the middle is seen as such.
            with self._session() as session:
                response = session.post(
                    self.origin + path,
                    data=data,
                    headers={"Content-Type": kind, **headers},
                    timeout=(self.connect_timeout, self.read_timeout),
                    allow_redirects=False,  # custom auth headers would follow to another host
                )
                content = response.content
        except requests.exceptions.SSLError as error:
            raise ApiError(f"{what}: no safe connection to {self.origin}: {foreign(error)}") from error
        except requests.exceptions.Timeout as error:
            raise RetryableError(f"{where} did not answer in time.") from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise RetryableError(f"{where} broke off in the middle of its answer.") from error
        except requests.exceptions.ConnectionError as error:
            reason = f"{where} cannot be reached: {_reason(error)}."
            raise RetryableError(f"{reason} Check the address and the network, and run again.") from error
        except requests.exceptions.RequestException as error:
            raise ApiError(f"{where} cannot be asked: {foreign(error)}") from error
        if (moment := http_date(response.headers.get("Date"))) is not None:
            self._clock, self.has_told = (moment, time.monotonic()), True
        return _judge(response, content, where)


def _judge(response: requests.Response, content: bytes, where: str) -> Reply:
    """Tell a reply from a refusal; only the former carries a body that may be read."""
    status = response.status_code
    request = response.headers.get(REQUEST_ID)
    where += f" (request {foreign(request, 60)})" if request else ""
    if status in REDIRECTS:
        target = urlsplit(response.headers.get("Location", ""))
        place = f"{target.scheme}://{target.netloc}" if target.netloc else "another page"
        raise ApiError(
            f"{where} redirects to {foreign(place)}. The tap does not follow: its credentials "
            "would go along. Set the address that answers by itself."
        )
    if status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
        raise RetryableError(
            f"{where} answered HTTP {status} ({foreign(response.reason)}).",
            retry_after=retry_after(response.headers.get("Retry-After")),
            heavy=status != TOO_MANY_REQUESTS,
        )
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if status >= REFUSED:
            body = None  # a page of somebody in between, which may say anything
        else:
            raise RetryableError(f"{where} answered something that is not JSON.") from error
    return Reply(status, response.headers, body)


def _reason(error: requests.exceptions.ConnectionError) -> str:
    """Return the bottom cause in a few words; requests wraps it in three layers of class names."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return foreign(text or type(cause).__name__, 120).rstrip(".")

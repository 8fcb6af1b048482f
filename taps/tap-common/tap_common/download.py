"""A file behind a URL in; its lines out, as they arrive, taken up again where a connection broke off.

The URL is one that an API handed out: it is a secret by itself, and no credentials go with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests

from tap_common.errors import ApiError, RetryableError
from tap_common.http import LOOPBACK, SERVER_ERROR, TOO_MANY_REQUESTS, JsonApi
from tap_common.redact import foreign, protect
from tap_common.retry import retry_after, waits

CHUNK_BYTES = 1 << 20
OK, PARTIAL = 200, 206
logger = logging.getLogger(__name__)


class Download:
    """One file; `what` names it in errors, which never show its URL."""

    def __init__(self, url: str, what: str, *, tries: int) -> None:
        parts = urlsplit(url)
        is_local = parts.hostname in LOOPBACK
        if parts.scheme != "https" and not is_local:
            raise ApiError(f"{what}: the address to download from is not https, so it is not used.")
        protect([parts.query])  # what opens the file
        self.what = what
        self.tries = tries
        self.size = 0
        """Bytes of the file that came so far."""
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = not is_local

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file, without their ends.

        Raises:
            ApiError: It is not to be had, or broke off too often.
        """
        rest = b""
        for chunk in self._chunks():
            first, *others = chunk.split(b"\n")
            rest += first
            if others:
                yield rest
                rest = others.pop()
                yield from others
        if rest:
            yield rest

    def _chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, each once; a connection that breaks off is followed by the next."""
        failures = 0
        while True:
            try:
                for chunk in self._from(self.size):
                    self.size += len(chunk)
                    failures = 0
                    yield chunk
                return
            except RetryableError as error:
                failures += 1
                if failures == 1:
                    delays = waits(JsonApi.retry_base)
                    next(delays)
                if failures >= self.tries:
                    raise
                delay = delays.send(error)
                logger.warning("%s Going on at byte %d in %.1f s.", error, self.size, delay)
                time.sleep(delay)

    def _from(self, position: int) -> Iterator[bytes]:
        """Yield what one request brings of the file from a byte on."""
        # Identity: a position counts bytes of the file, which must be those of the body.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={position}-"} if position else {})
        timeout = (JsonApi.connect_timeout, JsonApi.read_timeout)
        try:
            with self._session.get(
                self._url, headers=headers, timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                self._check(response)
                skip = position if response.status_code == OK else 0
                for chunk in response.iter_content(CHUNK_BYTES):
                    if skip < len(chunk):
                        yield chunk[skip:] if skip else chunk
                    skip = max(0, skip - len(chunk))
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise RetryableError(f"{self.what}: the download broke off.") from error
        except requests.exceptions.Timeout as error:
            raise RetryableError(f"{self.what}: the download did not go on in time.") from error

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if status in {OK, PARTIAL}:
            return
        said = f"{self.what}: the storage answered HTTP {status} ({foreign(response.reason)})."
        if status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
            raise RetryableError(said, retry_after=retry_after(response.headers.get("Retry-After")))
        raise ApiError(said)

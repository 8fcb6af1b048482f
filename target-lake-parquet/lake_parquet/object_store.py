"""A lake in an object store: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Credentials and endpoints come from the environment, by each cloud's own names. Answers can get lost: whether
a small file is ours is read back from it, and a finished file is the same whoever publishes it.
"""

import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.files import make_folder
from lake_parquet.ranges import RangeReader
from lake_parquet.store import inner

T = TypeVar("T")

MOST_BYTES = 5 * 2**30
"""The largest file that one copy on S3 can name."""

PART_BYTES = 8 * 2**20
TRIES = 3
"""How often something is asked here; each time obstore asks again by itself, `RETRIES` times at most."""

RETRIES = 5
PATIENCE = timedelta(minutes=3)
PAUSE = 0.5
"""Seconds before the second try; before each further one twice as long."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
PROBE = f"{paths.META}/probe"

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""The names by which the environment gives them most simply."""

_SECRET = re.compile(r"(?<=://)[^/@\s]*@|\?\S*|\[\d+(, \d+)*\]")  # the last: bytes of a key that is none
_MACHINES_OWN = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")


class ObjectStore:
    """A bucket, or a prefix in one."""

    keeps_workplace = False

    def __init__(self, url: str, *, single_writer: bool = False) -> None:
        """Names the place; nothing is asked of it yet."""
        self.url = url
        self._single_writer = single_writer
        scheme = urlsplit(url).scheme
        self._allow_http = any(urlsplit(os.environ.get(name, "")).hostname in LOOPBACK for name in ENDPOINTS)
        config: dict[str, Any] = {}
        if scheme == "s3" and not os.environ.get("AWS_COPY_IF_NOT_EXISTS"):
            config["copy_if_not_exists"] = "multipart"
        client: dict[str, Any] = {"timeout": "5m", "connect_timeout": "10s"}
        if self._allow_http:
            client["allow_http"] = True
        patience = {"max_retries": RETRIES, "retry_timeout": PATIENCE}
        try:
            self._store = from_url(
                url,
                config=cast("Any", config or None),
                client_options=cast("Any", client),
                retry_config=cast("Any", patience),
            )
        except (BaseError, ValueError) as error:
            raise LakeError(
                f"{url} cannot be opened ({_reason(error)}): the environment must say how, as by "
                f"{CREDENTIALS[scheme]}"
            ) from error
        self.workplace = _workplace(url)

    def prepare(self) -> None:
        """Proves that the store takes files, and that it refuses to replace one when told so.

        Raises:
            LakeError: it does not, so that one of two writers could undo the other's work unseen.
        """
        make_folder(self.workplace)
        if self._single_writer:
            self.write(PROBE, secrets.token_bytes(8))
            return
        for _ in range(2):  # where the first one is new, the second finds it
            if self._refuses_another(PROBE):
                return
        raise LakeError(
            f"{self.url}: the store replaces files that it was told not to replace (it ignores "
            "If-None-Match), so two runs at once could lose rows: use another store, or set single_writer "
            "to true and never run two at once"
        )

    def _refuses_another(self, path: str) -> bool:
        def put() -> bool:
            try:
                obstore.put(self._store, path, secrets.token_bytes(8), mode="create", use_multipart=False)
            except AlreadyExistsError:
                return True
            except FileNotFoundError as error:
                raise LakeError(
                    f"{self.url}: there is no such bucket ({_reason(error)}): make it first"
                ) from error
            return False

        return self._ask("write", path, put)

    def exists(self) -> bool:
        """Tells whether any file is there."""
        return self._ask("list", "", lambda: bool(next(iter(obstore.list(self._store, chunk_size=1)), ())))

    def folders(self, folder: str) -> list[str]:
        """The last parts of the prefixes below one."""
        found = self._ask("list", folder, lambda: obstore.list_with_delimiter(self._store, _prefix(folder)))
        return _names(folder, found["common_prefixes"])

    def files(self, folder: str) -> list[str]:
        """The last parts of the keys directly below a prefix."""
        found = self._ask("list", folder, lambda: obstore.list_with_delimiter(self._store, _prefix(folder)))
        return _names(folder, [one["path"] for one in found["objects"]])

    def read(self, path: str) -> bytes:
        """A small object's contents."""
        key = _key(path)
        return self._ask("read", path, lambda: bytes(obstore.get(self._store, key).bytes()))

    def open(self, path: str) -> BinaryIO:
        """Reads an object by ranges; its last ones, where a footer stands, at once."""
        key, size = _key(path), self.size(path)
        if size is None:
            raise FileNotFoundError(path)

        def get(start: int, end: int) -> bytes:
            return self._ask(
                "read", path, lambda: bytes(obstore.get_range(self._store, key, start=start, end=end))
            )

        return cast("BinaryIO", RangeReader(get, size))

    def size(self, path: str) -> int | None:
        """An object's bytes."""
        key = _key(path)
        try:
            return self._ask("read", path, lambda: int(obstore.head(self._store, key)["size"]))
        except FileNotFoundError:
            return None

    def address(self, path: str) -> str:
        """The object's URL."""
        return f"{self.url}/{_key(path)}"

    def options(self) -> dict[str, str] | None:
        """Polars reads the same environment; plain HTTP, to this machine alone, it must be allowed."""
        return {"allow_http": "true"} if self._allow_http else None

    def fetch(self, path: str, folder: Path) -> Path:
        """Copies an object to a file in `folder`, in pieces."""
        key, file = _key(path), folder / f"fetched.{path.replace('/', '.')}"

        def copy() -> Path:
            got = obstore.get(self._store, key)
            with file.open("wb") as handle:
                for piece in got.stream(min_chunk_size=PART_BYTES):
                    handle.write(piece)
            if file.stat().st_size != got.meta["size"]:
                raise ConnectionError("the answer was cut short")
            return file

        return self._ask("read", path, copy)

    def create(self, path: str, content: bytes) -> bool:
        """Puts a small object where none is; where the answer is lost or doubtful, what is there tells."""
        key = _key(path)
        problem: Exception | None = None
        for turn in range(TRIES):
            try:
                self._put_new(key, content)
                return True
            except AlreadyExistsError as error:  # ours, if a first answer was lost; or said of nothing (409)
                problem = error
            except (BaseError, ConnectionError) as error:
                _give_up_if_refused(self.url, "write", path, error)
                problem = error
            try:
                return self.read(path) == content
            except FileNotFoundError:
                time.sleep(PAUSE * 2**turn)
        raise LakeError(f"{self.url}: {path} cannot be written ({_reason(problem)}): run again") from problem

    def _put_new(self, key: str, content: bytes) -> None:
        if not self._single_writer:
            obstore.put(self._store, key, content, mode="create", use_multipart=False)
        elif self.size(key) is None:
            obstore.put(self._store, key, content, use_multipart=False)
        else:
            raise AlreadyExistsError(key)

    def write(self, path: str, content: bytes) -> None:
        """Puts a small object, over another where there is one."""
        key = _key(path)
        self._ask("write", path, lambda: obstore.put(self._store, key, content, use_multipart=False))

    def take_in(self, file: Path, path: str) -> int:
        """Uploads a file in parts; an upload that breaks off leaves nothing to be seen."""
        key, size = _key(path), file.stat().st_size
        if size > MOST_BYTES:
            raise LakeError(
                f"{path}: {size / 2**30:.1f} GiB are more than the {MOST_BYTES / 2**30:.0f} GiB that one "
                "file may have in an object store; nothing was published. Split the stream (stream_maps with "
                "filters), or compress harder (compression_level)"
            )

        def put() -> None:
            obstore.put(self._store, key, file, chunk_size=PART_BYTES, max_concurrency=4)

        self._ask("write", path, put)
        file.unlink()
        return size

    def publish(self, source: str, path: str) -> bool:
        """Copies an object within the store to its final key, where none is."""
        key, source_key = _key(path), _key(source)

        def copy() -> bool:
            if self._single_writer and self.size(path) is not None:
                return False
            try:
                obstore.copy(self._store, source_key, key, overwrite=self._single_writer)
            except AlreadyExistsError:
                if self.size(path) is None:  # said of nothing
                    raise
                return False
            return True

        return self._ask("publish", path, copy)

    def delete(self, path: str) -> None:
        """Removes an object."""
        key = _key(path)
        with suppress(FileNotFoundError):
            self._ask("delete", path, lambda: obstore.delete(self._store, key))

    def turn(self, name: str, *, waits: bool = True) -> AbstractContextManager[bool]:  # noqa: ARG002 - the protocol's
        """Waits for nobody: object stores have no locks."""
        return nullcontext(enter_result=False)

    def _ask(self, verb: str, path: str, question: Callable[[], T]) -> T:
        """Asks something that may be asked again, a few times.

        Raises:
            FileNotFoundError: what it is about is not there.
            LakeError: the store refuses, or does not answer.
        """
        for turn in range(TRIES):
            try:
                return question()
            except FileNotFoundError:
                raise
            except (BaseError, ConnectionError) as error:
                _give_up_if_refused(self.url, verb, path, error)
                if turn == TRIES - 1:
                    raise LakeError(
                        f"{self.url}: cannot {verb} {path} ({_reason(error)}): the store does not answer as "
                        "it should; run again"
                    ) from error
                time.sleep(PAUSE * 2**turn)
        raise AssertionError


def _give_up_if_refused(url: str, verb: str, path: str, error: Exception) -> None:
    """What no second try can mend."""
    if _MACHINES_OWN.search(str(error)):  # where a cloud's machine would find its role
        raise LakeError(
            f"{url}: cannot {verb} {path}: the environment holds no credentials, and this machine has "
            f"none of its own: set {CREDENTIALS[urlsplit(url).scheme]}"
        ) from error
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        raise LakeError(
            f"{url}: may not {verb} {path} ({_reason(error)}): give the environment credentials that may"
        ) from error
    if isinstance(error, NotSupportedError):
        raise LakeError(
            f"{url}: cannot {verb} {path}: the store does not support it ({_reason(error)})"
        ) from error


def _reason(error: Exception | None) -> str:
    """An error's first line, without what may be secret: user names and queries in URLs."""
    text = str(error).strip() or type(error).__name__
    code = re.search(r"<Code>(\w+)</Code>", text)
    line = _SECRET.sub("", text.splitlines()[0].split("<?xml")[0]).strip()
    return f"{code[1]}: {line}" if code else line


def _key(path: str) -> str:
    return "/".join(inner(path))


def _names(folder: str, keys: Sequence[str]) -> list[str]:
    """The last parts of keys below a folder; some stores list the folder itself, too."""
    return sorted(key.removeprefix(f"{folder}/").rstrip("/") for key in keys if key.startswith(f"{folder}/"))


def _prefix(folder: str) -> str:
    return f"{_key(folder)}/"


def _workplace(url: str) -> Path:
    """A private local folder for a lake's files in the making; `TMPDIR` moves it.

    Raises:
        LakeError: somebody else has put something in its place.
    """
    parent = Path(tempfile.gettempdir()) / f"lake-parquet-{os.getuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    found = parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LakeError(f"{parent} is not this user's alone: remove it, or set TMPDIR to another folder")
    return parent / hashlib.sha256(url.encode()).hexdigest()[:16]

"""Where a lake stands, as the few operations it needs: a local folder or an object store.

Paths are relative to the lake's root, with `/`. Nothing but a store's own room knows what is behind them.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from lake_parquet.errors import LakeError, UsageError

SCHEMES = ("s3", "gs", "az")
_UNSAFE = re.compile(r"[\\\0]")


class TurnTaken(Exception):  # noqa: N818 - nothing went wrong
    """Another writer is at a dataset, and the caller does not want to wait."""


class Store(Protocol):
    """A place for files that appear whole or not at all, and never change under their final name.

    `url` names it in messages, without secrets. `workplace` is a local folder for files in the making;
    `keeps_workplace` says whether that folder is as durable as the lake itself. All methods raise a
    `LakeError` where the store does not answer, refuses, or is asked for a path outside the lake.
    """

    @property
    def url(self) -> str: ...  # noqa: D102 - the class says it

    @property
    def workplace(self) -> Path: ...  # noqa: D102

    @property
    def keeps_workplace(self) -> bool: ...  # noqa: D102

    def prepare(self) -> None:
        """Makes sure that a run may write here; called once a run, before anything is written."""

    def exists(self) -> bool:
        """Tells whether there is anything where the lake is to stand."""

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder, in order; none where it does not exist."""

    def files(self, folder: str) -> list[str]:
        """The names of the files directly in a folder, in order; none where it does not exist."""

    def read(self, path: str) -> bytes:
        """A small file's contents; `FileNotFoundError` where there is none."""

    def open(self, path: str) -> BinaryIO:
        """Opens a file for reading at any place; `FileNotFoundError` where there is none."""

    def size(self, path: str) -> int | None:
        """A file's bytes; None where there is none."""

    def address(self, path: str) -> str:
        """The path or URL by which Polars reads a file."""

    def options(self) -> dict[str, str] | None:
        """What Polars must be told besides, to read from an address."""

    def fetch(self, path: str, folder: Path) -> Path:
        """A local file with the contents of a stored one: itself, or a copy in `folder`."""

    def create(self, path: str, content: bytes) -> bool:
        """Puts a small file where none is; False where another stands there.

        `content` must be unique: where an answer was lost, it tells whose file it is. Losing it in a power
        cut is allowed.
        """

    def write(self, path: str, content: bytes) -> None:
        """Puts a small file, over another where there is one."""

    def take_in(self, file: Path, path: str) -> int:
        """Moves a finished local file to a private path; returns its bytes.

        The contents are durable; the entry may be lost in a power cut until it is published.
        """

    def publish(self, source: str, path: str) -> bool:
        """Gives a file that was taken in its final name too, durably; False where that name is taken.

        Raises `FileNotFoundError` where `source` is gone.
        """

    def delete(self, path: str) -> None:
        """Removes a file; nothing happens where there is none."""

    def turn(self, name: str, *, waits: bool = True) -> AbstractContextManager[bool]:
        """Waits until no other writer is at `name`, where the store has locks; gives whether it has.

        It saves writers from merging in vain; safe they are without it.

        Raises:
            TurnTaken: another writer is there, and `waits` is false.
        """


def inner(path: str) -> Sequence[str]:
    """The parts of a path inside the lake.

    Raises:
        LakeError: it leads out of the lake.
    """
    parts = path.split("/")
    if _UNSAFE.search(path) or any(part in ("", ".", "..") for part in parts):
        raise LakeError(f"{path!r} is no path inside the lake")
    return parts


def open_store(lake_root: str, *, single_writer: bool = False) -> Store:
    """Opens the folder or object store that a `lake_root` names; nothing is written or asked yet.

    `single_writer` is the user's word that no two runs write at once: for stores without create-if-absent.

    Raises:
        UsageError: it is a URL of another kind, or holds credentials.
        LakeError: the environment does not say how to reach the store.
    """
    if "://" not in lake_root or lake_root.startswith("file://"):
        from lake_parquet.local_store import LocalStore  # noqa: PLC0415 - each kind is imported where used

        return LocalStore(Path(lake_root.removeprefix("file://")).expanduser())
    parts = urlsplit(lake_root)
    if parts.scheme not in SCHEMES:
        raise UsageError(
            f"lake_root {parts.scheme}://... is no kind of store that a lake can stand in: "
            "name a folder, or an s3://, gs:// or az:// URL"
        )
    if parts.username or parts.password or parts.query or parts.fragment or not parts.netloc:
        raise UsageError(
            f"lake_root must be plain {parts.scheme}://bucket/prefix: credentials and options come from "
            "the environment"
        )
    from lake_parquet.object_store import ObjectStore  # noqa: PLC0415 - each kind is imported where used

    return ObjectStore(lake_root.rstrip("/"), single_writer=single_writer)

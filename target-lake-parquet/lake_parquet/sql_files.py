"""A lake in an object store in, a file system that DuckDB reads its latest snapshots through out.

DuckDB's own way to a bucket is an extension that it downloads, with credentials of its own. This one asks the
lake's store: the same credentials, retries and messages; ranges of a file alone, as a query needs them.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.sql import SCHEME
from lake_parquet.store import Store


class SnapshotFiles(AbstractFileSystem):  # type: ignore[misc]
    """Files of a lake, by their paths in it; only those it is told of can be opened, and only read."""

    protocol = "lake"
    cachable = False

    def __init__(self, store: Store, files: Collection[str]) -> None:
        """Reads `files`, relative to the root of `store`."""
        super().__init__()
        self._store = store
        self._files = frozenset(files)
        self._sizes: dict[str, int] = {}

    def glob(self, path: str, **_: object) -> list[str]:
        """The file of that name: names are no patterns here."""
        return [path] if path.removeprefix(SCHEME) in self._files else []

    def exists(self, path: str, **_: object) -> bool:
        """Tells whether it may be read."""
        return path.removeprefix(SCHEME) in self._files

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """A file's size; it is asked for once, for a snapshot never changes."""
        path = path.removeprefix(SCHEME)
        if path not in self._sizes:
            size = self._store.size(path) if path in self._files else None
            if size is None:
                raise _gone(path)
            self._sizes[path] = size
        return {"name": path, "size": self._sizes[path], "type": "file"}

    def modified(self, path: str) -> datetime:
        """When it came: its name tells."""
        name = path.rpartition("/")[2]
        return paths.snapshot_moment(name) if paths.is_snapshot(name) else datetime(1970, 1, 1, tzinfo=UTC)

    def open(self, path: str, mode: str = "rb", **_: object) -> BinaryIO:  # type: ignore[override,unused-ignore]
        """Opens it for reading.

        Raises:
            PermissionError: it is not one of these files, or would be written.
            LakeError: it is gone, or the store does not answer.
        """
        path = path.removeprefix(SCHEME)
        if mode != "rb" or path not in self._files:
            raise PermissionError(f"{path} cannot be opened: only the latest snapshots are read here")
        try:
            return self._store.open(path)
        except FileNotFoundError as error:
            raise _gone(path) from error


def _gone(path: str) -> LakeError:
    return LakeError(f"{path} is not there any more: it was pruned, or moved away; begin anew")

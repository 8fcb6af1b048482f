"""Finds and reads finished snapshots. Latest is the greatest file name: nothing else is asked."""

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.files import sha256
from lake_parquet.footer import SnapshotInfo, read_info
from lake_parquet.store import Store
from lake_parquet.widen import JSON


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A finished snapshot: where it stands, what its footer says. `info` is None in a file made by others."""

    store: Store
    dataset: str
    name: str
    row_count: int
    schema: pa.Schema
    size: int
    info: SnapshotInfo | None

    @property
    def path(self) -> str:
        """Where it stands, relative to the lake's root."""
        return paths.snapshot_path(self.dataset, self.name)

    def scan(self) -> pl.LazyFrame:
        """Its rows."""
        address = self.store.address(self.path)
        return pl.scan_parquet(address, glob=False, storage_options=self.store.options())

    def typed(self) -> pl.LazyFrame:
        """Its rows, JSON text told from plain strings (`widen.written` undoes that)."""
        return self._typed(self.scan())

    def base(self, folder: Path) -> pl.LazyFrame:
        """Its rows like that, from a local file: itself, or a copy in `folder` of one in an object store."""
        return self._typed(pl.scan_parquet(self.store.fetch(self.path, folder), glob=False))

    def _typed(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        texts = self.info.json_columns if self.info else ()
        return rows.with_columns(pl.col(name).cast(JSON) for name in texts if name in self.schema.names)


def survey(store: Store, pattern: str = "*") -> tuple[dict[str, list[str]], dict[str, str]]:
    """The datasets that match and hold at least one finished snapshot, each with `names`, in order.

    And of each folder that cannot be listed, why not: one of them hides no other.
    """
    found: dict[str, list[str]] = {}
    broken: dict[str, str] = {}
    for dataset in store.folders(paths.RAW):
        if not fnmatchcase(dataset, pattern):
            continue
        try:
            found[dataset] = names(store, dataset)
        except LakeError as error:
            broken[dataset] = str(error)
        except OSError as error:
            broken[dataset] = f"its folder cannot be listed ({error.strerror or error}): mend its permissions"
    return {dataset: snapshots for dataset, snapshots in found.items() if snapshots}, broken


def names(store: Store, dataset: str) -> list[str]:
    """The file names of a dataset's finished snapshots, the oldest first."""
    return [name for name in store.files(f"{paths.RAW}/{dataset}") if paths.is_snapshot(name)]


def read(store: Store, path: str) -> Snapshot:
    """Reads a snapshot's footer; `path` is relative to the lake's root.

    Raises:
        LakeError: the file cannot be read as Parquet.
    """
    try:
        with store.open(path) as file:
            return _read(store, path, file)
    except (OSError, ValueError) as error:
        raise LakeError(
            f"{path} cannot be read as Parquet ({error}): move it out of the dataset's folder"
        ) from error


def describe(store: Store, path: str, file: Path) -> Snapshot:
    """What `read` will give of a finished local file once it is published at `path`."""
    with file.open("rb") as opened:
        return _read(store, path, opened)


def _read(store: Store, path: str, file: BinaryIO) -> Snapshot:
    dataset, name = path.split("/")[-2:]
    size = file.seek(0, os.SEEK_END)
    metadata = pq.read_metadata(file)
    schema = metadata.schema.to_arrow_schema()
    return Snapshot(store, dataset, name, metadata.num_rows, schema, size, read_info(metadata.metadata))


def latest(store: Store, dataset: str) -> Snapshot | None:
    """The latest snapshot of a dataset, or None."""
    found = names(store, dataset)
    return read(store, paths.snapshot_path(dataset, found[-1])) if found else None


def foreign(store: Store, dataset: str) -> list[str]:
    """What stands in a dataset's folder and is no snapshot, relative to the lake's root."""
    folder = f"{paths.RAW}/{dataset}"
    inside = [*store.folders(folder), *(name for name in store.files(folder) if not paths.is_snapshot(name))]
    return [f"{folder}/{name}" for name in inside]


def checksum(store: Store, path: str) -> str:
    """The SHA-256 of a file's bytes; `path` is relative to the lake's root.

    Raises:
        LakeError: the file cannot be read.
    """
    try:
        with store.open(path) as file:
            return sha256(file)
    except OSError as error:
        raise LakeError(f"{path} cannot be read ({error.strerror or error})") from error


def remove(store: Store, path: str) -> None:
    """Removes a snapshot; `path` is relative to the lake's root.

    Raises:
        LakeError: it cannot be removed.
    """
    try:
        store.delete(path)
    except OSError as error:
        raise LakeError(f"{path} cannot be removed ({error.strerror}): mend its permissions") from error

"""Finds and reads finished snapshots. Latest is the greatest file name: nothing else is asked."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.footer import SnapshotInfo, read_info


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A finished snapshot: where it stands, what its footer says. `info` is None in a file made by others."""

    root: Path
    dataset: str
    name: str
    row_count: int
    column_names: tuple[str, ...]
    size: int
    info: SnapshotInfo | None

    @property
    def path(self) -> str:
        """Where it stands, relative to the lake's root."""
        return paths.snapshot_path(self.dataset, self.name)

    def scan(self) -> pl.LazyFrame:
        """Its rows."""
        return pl.scan_parquet(self.root / self.path, glob=False)


def dataset_names(root: Path) -> list[str]:
    """The datasets that hold at least one finished snapshot."""
    raw = root / paths.RAW
    folders = sorted(raw.iterdir()) if raw.is_dir() else []
    return [folder.name for folder in folders if folder.is_dir() and names(root, folder.name)]


def names(root: Path, dataset: str) -> list[str]:
    """The file names of a dataset's finished snapshots, the oldest first."""
    folder = root / paths.RAW / dataset
    return (
        sorted(entry.name for entry in folder.iterdir() if paths.is_snapshot(entry.name))
        if folder.is_dir()
        else []
    )


def read(root: Path, path: str) -> Snapshot:
    """Reads a snapshot's footer; `path` is relative to the lake's root.

    Raises:
        LakeError: the file cannot be read as Parquet.
    """
    dataset, name = path.split("/")[-2:]
    try:
        metadata = pq.read_metadata(root / path)
        columns = tuple(metadata.schema.to_arrow_schema().names)
        size = (root / path).stat().st_size
    except (OSError, ValueError) as error:
        raise LakeError(
            f"{path} cannot be read as Parquet ({error}): move it out of the dataset's folder"
        ) from error
    return Snapshot(root, dataset, name, metadata.num_rows, columns, size, read_info(metadata.metadata))


def latest(root: Path, dataset: str) -> Snapshot | None:
    """The latest snapshot of a dataset, or None."""
    found = names(root, dataset)
    return read(root, paths.snapshot_path(dataset, found[-1])) if found else None

"""A run's rows on disk before they are published: segments per dataset, in a folder that is the run's alone.

Rows wait here so that memory stays small whatever the input's size. This version prints no STATE before a
run's end, so nothing printed rests on staging: what a dead run left behind is removed by the next one.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.files import locked, make_folder, try_lock

ROW = "\0row"
"""Internal column: the input line of a row's record. Later rows win; it never reaches a snapshot.

No column of a stream can have its name: control characters do not stay in names.
"""


class Staging:
    """The private folder of one run."""

    def __init__(self, root: Path, run_id: str) -> None:
        """Claims the run's folder, and so proves that the lake can be written.

        Raises:
            LakeError: the lake's root cannot be written.
        """
        self.folder = root / paths.STAGING / run_id
        self._segments: dict[str, list[Path]] = {}
        try:
            with locked(root / paths.STAGING_LOCK):
                make_folder(self.folder)
                lock = try_lock(self.folder / "lock")
        except OSError as error:
            raise LakeError(
                f"lake_root {str(root)!r} cannot be written ({error.strerror}): "
                "choose another folder or mend its permissions"
            ) from error
        self._lock = lock

    def append(self, dataset: str, frame: pl.DataFrame) -> None:
        """Keeps a block of rows of a dataset.

        Raises:
            LakeError: the disk is full, or fails.
        """
        segments = self._segments.setdefault(dataset, [])
        path = self.folder / f"{dataset}.{len(segments):06d}.segment"
        try:
            frame.write_parquet(path, compression="lz4", statistics=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise LakeError(f"staging cannot be written ({reason}): nothing was published") from error
        segments.append(path)

    def segments(self, dataset: str) -> list[pl.LazyFrame]:
        """The blocks of a dataset, in the order in which they came."""
        return [pl.scan_parquet(path) for path in self._segments.get(dataset, [])]

    def scratch(self, name: str) -> Path:
        """A path for a file in the making, on the lake's own file system."""
        return self.folder / name

    def discard(self) -> None:
        """Removes the folder and everything in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.close(self._lock)
            self._lock = None


def sweep(root: Path) -> list[str]:
    """Removes what dead runs left in staging; a live run holds its folder's lock. Returns their run ids."""
    swept = []
    for folder in _folders(root / paths.STAGING):
        # a run that starts holds this lock until it holds its folder's
        with contextlib.suppress(OSError), locked(root / paths.STAGING_LOCK):
            lock = try_lock(folder / "lock")
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
                swept.append(folder.name)
    return swept


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())

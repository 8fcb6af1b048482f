"""A run's rows before they are published: segments per dataset, in a folder that is the run's alone.

Rows wait here so that memory stays small whatever the input's size: on disk, but for small blocks that came
last. Rows that a printed STATE rests on stand in the folder's journal, and stay until they are published, by
this run or a later one.
"""

import contextlib
import os
import shutil
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.family import Family
from lake_parquet.files import locked, make_folder, place_below, sync_file, sync_folder, try_lock
from lake_parquet.journal import SEGMENT, Journal, StagedFamily, read_journal, remove_all_but, write_journal
from lake_parquet.policy import StreamFacts

ROW = "\0row"
"""Internal column: the input line of a row's record. Later rows win; it never reaches a snapshot.

No column of a stream can have its name: control characters do not stay in names.
"""


SMALL_BLOCK = 2**19
"""Bytes of a block that stays in memory: its file, written and read, costs half of its decoding or more."""

RECENT_BYTES = 48 * 2**20
"""So many bytes of small blocks stay in memory, the last that came."""


@dataclass(slots=True)
class Segment:
    """A block of rows, of `size` bytes: in memory, or in its file."""

    path: Path
    size: int
    rows: pl.LazyFrame

    def write(self) -> None:
        """Moves the block from memory to disk, as Arrow IPC: Parquet's writer triples a long value.

        Raises:
            LakeError: the disk is full, or fails.
        """
        try:
            self.rows.sink_ipc(self.path, compression="lz4")
            self.size = self.path.stat().st_size
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise LakeError(
                f"{self.path.name} cannot be written to staging ({reason}): "
                "mend the lake's disk and run again"
            ) from error
        self.rows = pl.scan_ipc(self.path)


class StagedRows(Protocol):
    """Rows that wait: a living run's, or a dead one's."""

    def segments(self, dataset: str) -> list[pl.LazyFrame]:
        """The blocks of a dataset, in the order in which they came."""
        ...

    def height(self, dataset: str) -> int:
        """The rows of a dataset."""
        ...


class Staging:
    """The private folder of one run."""

    def __init__(self, root: Path, run_id: str, tap: str | None = None) -> None:
        """Claims the run's folder, and so proves that the lake can be written.

        Raises:
            LakeError: the lake's root cannot be written.
        """
        self.folder = place_below(root, f"{paths.STAGING}/{run_id}")
        self.journal = Journal(run_id=run_id, tap=tap)
        self._segments: dict[str, list[Segment]] = {}
        self._recent: deque[Segment] = deque()
        self._recent_bytes = 0
        self._heights: Counter[str] = Counter()
        self._durable: set[Path] = set()
        self._writing = threading.Lock()  # families are committed on several threads
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
        """Keeps a block of rows of a dataset: on disk, but for small ones that came last.

        Raises:
            LakeError: the disk is full, or fails.
        """
        segments = self._segments.setdefault(dataset, [])
        path = self.folder / f"{dataset}.{len(segments):06d}{SEGMENT}"
        segment = Segment(path, int(frame.estimated_size()), frame.lazy())
        if segment.size > SMALL_BLOCK:
            segment.write()  # before it counts: no journal may name a file that is cut short
        else:
            self._recent.append(segment)
            self._recent_bytes += segment.size
        segments.append(segment)
        self._heights[dataset] += frame.height
        self._write_recent(RECENT_BYTES)

    def segments(self, dataset: str) -> list[pl.LazyFrame]:
        """The blocks of a dataset, in the order in which they came."""
        return [segment.rows for segment in self._segments.get(dataset, [])]

    def height(self, dataset: str) -> int:
        """The rows of a dataset."""
        return self._heights[dataset]

    def size(self, dataset: str) -> int:
        """The bytes of a dataset's blocks."""
        return sum(segment.size for segment in self._segments.get(dataset, []))

    def scratch(self, name: str) -> Path:
        """A path for a file in the making, on the lake's own file system."""
        return self.folder / name

    def keep(self, families: Sequence[tuple[Family, StreamFacts]]) -> None:
        """Makes the rows of these streams durable, with what a later run needs to publish them.

        When this returns, a STATE that covers them may be printed. Streams that were kept before and are not
        named now stay as they were.

        Raises:
            LakeError: the disk is full, or fails.
            OSError: the disk fails; nothing may be printed.
        """
        self._write_recent()  # of all: of streams that cannot be kept, a dead run leaves at least this
        staged = [self._staged(family, facts) for family, facts in families]
        fresh = {self.folder / name for one in staged for names in one.segments.values() for name in names}
        for path in sorted(fresh - self._durable):
            sync_file(path)
        sync_folder(self.folder)
        self._durable |= fresh
        with self._writing:
            others = self.journal.without([one.dataset for one in staged])
            self._write(Journal(run_id=others.run_id, tap=others.tap, families=[*others.families, *staged]))

    def _write_recent(self, most: int = 0) -> None:
        """Writes what is in memory, the oldest first, until less than `most` bytes are left, or nothing."""
        with self._writing:
            while self._recent and self._recent_bytes >= most:
                oldest = self._recent[0]
                bytes_in_memory = oldest.size
                oldest.write()
                self._recent.popleft()  # not before: one that cannot be written must be tried again
                self._recent_bytes -= bytes_in_memory

    def _staged(self, family: Family, facts: StreamFacts) -> StagedFamily:
        segments = {
            member.dataset: [segment.path.name for segment in self._segments.get(member.dataset, [])]
            for member in family.members()
        }
        return StagedFamily(family=family, facts=facts, segments=segments)

    def kept(self, dataset: str) -> StagedFamily | None:
        """What is kept of a stream, by its dataset."""
        return next((one for one in self.journal.families if one.dataset == dataset), None)

    def settle(self, dataset: str) -> None:
        """Forgets what was kept of a stream: its rows are in the lake."""
        with self._writing:
            if self.kept(dataset):
                self._write(self.journal.without([dataset]))

    def _write(self, journal: Journal) -> None:
        write_journal(self.folder, journal)
        self.journal = journal

    def close(self) -> None:
        """Ends the run: the folder goes, but for what is kept."""
        with contextlib.suppress(LakeError):  # what nobody can read stays for those who can mend it
            journal = read_journal(self.folder)  # as it stands: a write that failed may have replaced it
            if journal and journal.families:
                remove_all_but(self.folder, journal)
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.close(self._lock)
            self._lock = None

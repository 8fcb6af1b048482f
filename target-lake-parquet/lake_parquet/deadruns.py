"""What runs that died left in staging: rows that a printed STATE rests on, and rows that nobody waits for."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from lake_parquet import paths, snapshots
from lake_parquet.claims import settle
from lake_parquet.errors import LakeError
from lake_parquet.family import Family
from lake_parquet.files import locked, make_folder, place_below, try_lock
from lake_parquet.journal import (
    NAME,
    SEGMENT,
    Journal,
    StagedFamily,
    read_journal,
    remove_all_but,
    write_journal,
)
from lake_parquet.merge import height_of
from lake_parquet.policy import StreamFacts
from lake_parquet.quarantine import take_over
from lake_parquet.snapshots import Snapshot
from lake_parquet.staging import ROW
from lake_parquet.store import Store
from lake_parquet.widen import written


class DeadRun:
    """The staging folder of a run that died, or ended with streams cut short; locked while it is open."""

    def __init__(self, folder: Path, lock: int, journal: Journal) -> None:
        """Takes over `lock`."""
        self.folder = folder
        self.journal = journal
        self._lock: int | None = lock

    @property
    def id(self) -> str:
        """The run's id."""
        return self.journal.run_id

    def settle(self, dataset: str) -> None:
        """Removes the rows of a stream; the folder goes with the last.

        The journal forgets them first: whoever dies while files go one by one, in any order, leaves none that
        it names and that is not there.
        """
        journal = self.journal.without([dataset])
        write_journal(self.folder, journal)
        if journal.families:
            remove_all_but(self.folder, journal)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.journal = journal

    def close(self) -> None:
        """Lets others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        """Holds it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets others have it."""
        self.close()


class DeadRows:
    """The rows that a dead run kept of one stream."""

    def __init__(self, run: DeadRun, staged: StagedFamily) -> None:
        """Reads the files of `run`."""
        self.run = run
        self.staged = staged

    def segments(self, dataset: str) -> list[pl.LazyFrame]:
        """The blocks of a dataset, in the order in which they came."""
        return [pl.scan_ipc(self.run.folder / name) for name in self.staged.segments.get(dataset, [])]

    def height(self, dataset: str) -> int:
        """The rows of a dataset."""
        return sum(map(height_of, self.segments(dataset)))


def waiting_rows(
    root: Path, family: Family, facts: StreamFacts, previous: Snapshot | None, open_runs: ExitStack
) -> list[DeadRows]:
    """The rows of a stream that dead runs kept, the oldest first; `open_runs` lets go of these runs.

    Rows that the previous snapshot holds already are cleared away. Those of another owner, account or keys
    are not this stream's.
    """
    found = []
    dataset = family.stream.dataset
    for run in dead_runs(root, dataset):
        open_runs.enter_context(run)
        staged = next(one for one in run.journal.families if one.dataset == dataset)
        if previous and previous.info and run.id in previous.info.absorbed:
            run.settle(dataset)
            continue
        theirs = (staged.facts.owner, staged.facts.account, set(staged.family.stream.keys))
        if theirs == (facts.owner, facts.account, set(family.stream.keys)):
            found.append(DeadRows(run, staged))
    return found


def dead_runs(root: Path, dataset: str | None = None) -> Iterator[DeadRun]:
    """Yields the dead runs that kept rows (of `dataset`, if named), the oldest first, each locked.

    The caller closes them. A run that lives holds its folder's lock, and is passed over.
    """
    for folder in _folders(root / paths.STAGING):
        dead = _open(folder)
        if dead is None:
            continue
        if dataset is None or any(one.dataset == dataset for one in dead.journal.families):
            yield dead
        else:
            dead.close()


def has_dead_rows(root: Path) -> bool:
    """Tells whether rows of any dead run wait."""
    for run in dead_runs(root):
        run.close()
        return True
    return False


def _open(folder: Path) -> DeadRun | None:
    """A dead run's folder; None where the run lives, or kept nothing."""
    try:
        # a run that lives is locked: its journal, which may be long, is not even read
        lock = try_lock(folder / "lock") if (folder / NAME).exists() else None
    except FileNotFoundError:  # another run settled it meanwhile
        return None
    if lock is None:
        return None
    with ExitStack() as held:
        # whatever fails: a lock that stays with this process makes the run look alive, and its rows come late
        held.callback(os.close, lock)
        journal = read_journal(folder)
        if journal is None:
            return None
        held.pop_all()
    return DeadRun(folder, lock, journal)


def sweep(store: Store) -> list[str]:
    """Clears away what dead runs left and nothing printed rests on; returns a sentence for each such run.

    A live run holds its folder's lock. Rows of streams that no journal names, full tables among them, are
    copied to `.incomplete`, unless the run had published them: someone may want to look at them.
    """
    staging = store.workplace / paths.STAGING
    told: list[str] = []
    for folder in _folders(staging):
        # a run that starts holds this lock until it holds its folder's
        with contextlib.suppress(OSError), locked(store.workplace / paths.STAGING_LOCK):
            lock = try_lock(folder / "lock")
            if lock is not None:
                try:
                    told += filter(None, [_clear(store, folder)])
                finally:
                    os.close(lock)
    return told


def _clear(store: Store, folder: Path) -> str | None:
    """Clears a dead run's folder, whose lock is ours; returns a sentence if there is something to tell."""
    journal = read_journal(folder)
    moved = _set_aside(store, folder, journal)
    take_over(store, folder.name)
    for unfinished in (store.workplace / paths.RUNS).glob(f".{folder.name}.json.*"):
        unfinished.unlink(missing_ok=True)  # it died while it wrote its record
    if journal is None or not journal.families:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        remove_all_but(folder, journal)
    if moved:
        return (
            f"The dead run {folder.name} left rows of {', '.join(moved)}: they are kept in "
            f"{paths.INCOMPLETE}/{folder.name}."
        )
    if journal is None or not journal.families:
        return f"Removed what the dead run {folder.name} left in staging; nothing printed rests on it."
    return None


def _set_aside(store: Store, folder: Path, journal: Journal | None) -> list[str]:
    """Copies whole segments of streams that are not in the journal to `.incomplete`; names their datasets."""
    kept = {dataset for one in (journal.families if journal else []) for dataset in one.segments}
    segments: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*{SEGMENT}")):
        dataset = path.name.rsplit(".", 2)[0]
        if dataset not in kept and _has_rows(path):
            segments.setdefault(dataset, []).append(path)
    moved = [dataset for dataset in segments if not _is_published(store, dataset, folder.name)]
    for dataset in moved:
        aside = f"{paths.INCOMPLETE}/{folder.name}/{dataset}"
        make_folder(place_below(store.workplace, aside))
        for segment in segments[dataset]:
            place = f"{aside}/{segment.name.rsplit('.', 2)[1]}{paths.SUFFIX}"
            file = place_below(store.workplace, place)
            written(pl.scan_ipc(segment).drop(ROW)).sink_parquet(file)
            if not store.keeps_workplace:
                store.write(place, file.read_bytes())
                file.unlink()
    return moved


def _is_published(store: Store, dataset: str, run_id: str) -> bool:
    """Tells whether a run published a dataset, or its family, before it died, or another has since."""
    begun = paths.run_moment(run_id)
    if begun is None:
        return False
    parts = dataset.split(paths.SEPARATOR)
    parents = [paths.SEPARATOR.join(parts[:length]) for length in range(1, len(parts) + 1)]
    with contextlib.suppress(LakeError):  # a file that nobody can read proves nothing
        for name in parents:
            settle(store, name)  # what it had claimed is published, though it died before that was done
        recent = [
            paths.snapshot_path(name, file)
            for name in parents
            for file in snapshots.names(store, name)
            if paths.snapshot_moment(file) >= begun
        ]
        return any(_holds(snapshots.read(store, path), dataset, run_id) for path in recent)
    return False


def _holds(snapshot: Snapshot, dataset: str, run_id: str) -> bool:
    info = snapshot.info
    if info is None or run_id not in (info.run_id, *info.absorbed):
        return False
    return dataset in (snapshot.dataset, *info.children)


def _has_rows(path: Path) -> bool:
    try:
        return height_of(pl.scan_ipc(path)) > 0
    except (OSError, pl.exceptions.PolarsError):  # the run died while it wrote this one
        return False


def staged_runs(root: Path) -> list[str]:
    """The runs that have a folder in staging, the oldest first."""
    return [folder.name for folder in _folders(root / paths.STAGING)]


def kept_aside(store: Store, where: str = paths.INCOMPLETE) -> list[str]:
    """The runs whose rows were kept aside in `.incomplete`, or in `.quarantine`, the oldest first."""
    return store.folders(where)


def remove_kept_aside(store: Store, run_id: str, where: str = paths.INCOMPLETE) -> None:
    """Removes the rows that a run kept aside."""
    if run_id not in kept_aside(store, where):
        return
    folder = f"{where}/{run_id}"
    for inner in ("", *(f"/{name}" for name in store.folders(folder))):
        for name in store.files(folder + inner):
            store.delete(f"{folder}{inner}/{name}")
    if store.keeps_workplace:  # an object store has no empty folders
        shutil.rmtree(store.workplace / folder, ignore_errors=True)


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir() and not parent.is_symlink():
        yield from sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())

"""The lake as a library: what is in it, its rows now and earlier, and a way to write rows from plain code."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import polars as pl

from lake_parquet import paths, snapshots
from lake_parquet.deadruns import kept_aside, remove_kept_aside, staged_runs
from lake_parquet.diff import Diff, compare
from lake_parquet.errors import LakeError, UsageError
from lake_parquet.records import RecordWriter
from lake_parquet.runs import DatasetSummary, RunRecord, newest_runs, read_run, read_runs
from lake_parquet.snapshots import Snapshot
from lake_parquet.store import open_store
from lake_parquet.unfinished import running_since, unfinished_runs
from lake_parquet.when import LATEST, PREVIOUS, When, as_of, pick
from lake_parquet.widen import unite, written


class Lake:
    """A lake of Parquet snapshots.

    Where a method takes a pattern like `*_shopify_orders`, the rows of all datasets that match are united:
    columns by name, of a type that is wide enough for all.

    >>> Lake("storage/lake").latest("acme_shopify_orders")  # doctest: +SKIP
    """

    def __init__(self, root: str | Path) -> None:
        """Opens the lake at `root`; the folder need not exist yet.

        Raises:
            UsageError: `root` is a URL of another kind, or holds credentials.
            LakeError: the environment does not say how to reach the object store that it names.
        """
        self.store = open_store(str(root))

    def exists(self) -> bool:
        """Tells whether there is a lake at all, be it empty."""
        return self.store.exists()

    def datasets(self, pattern: str = "*") -> list[str]:
        """The names of all datasets that match, in order; a warning names those that cannot be listed."""
        listing, broken = self.survey(pattern)
        for name, why in broken.items():
            warnings.warn(f"dataset {name} is left out: {why}", stacklevel=2)
        return list(listing)

    def listing(self, pattern: str = "*") -> dict[str, list[str]]:
        """The datasets that match and can be listed, each with its snapshots' names, the oldest first."""
        return self.survey(pattern)[0]

    def survey(self, pattern: str = "*") -> tuple[dict[str, list[str]], dict[str, str]]:
        """As `listing`, and of each dataset whose folder cannot be listed, why not."""
        return snapshots.survey(self.store, pattern)

    def names(self, dataset: str) -> list[str]:
        """The file names of a dataset's snapshots, the oldest first; never empty.

        Raises:
            UsageError: no dataset can have that name.
            LakeError: there is no such dataset.
        """
        if not paths.is_dataset(dataset):
            raise UsageError(f"{dataset!r} is no dataset's name: `lake ls` lists them all")
        found = snapshots.names(self.store, dataset)
        if not found:
            raise LakeError(f"no dataset {dataset!r} in {self.store.url}{self._hint(dataset)}")
        return found

    def _hint(self, dataset: str) -> str:
        known = list(self.listing())
        near = get_close_matches(dataset, known, n=3, cutoff=0.6)
        if near:
            return f": did you mean {' or '.join(near)}?"
        return f", which is one of {len(known)}: `lake ls` lists them" if known else ", which is empty"

    def read(self, dataset: str, name: str) -> Snapshot:
        """One snapshot by its file name; its footer is read, its rows are not.

        Raises:
            LakeError: there is no such file, or it is no Parquet.
        """
        return snapshots.read(self.store, paths.snapshot_path(dataset, name))

    def snapshots(self, dataset: str) -> list[Snapshot]:
        """A dataset's snapshots, the oldest first; footers are read, rows are not.

        Raises:
            LakeError: there is no such dataset, or a file is no Parquet.
        """
        return [self.read(dataset, name) for name in self.names(dataset)]

    def snapshot(self, dataset: str, which: When = LATEST) -> Snapshot:
        """A dataset's snapshot: `latest`, `previous`, one by its name, or the one of a date or time.

        Raises:
            UsageError: `which` is none of these.
            LakeError: there is no such dataset, or it had no snapshot then.
        """
        return self.read(dataset, pick(dataset, self.names(dataset), which))

    def latest_snapshot(self, dataset: str) -> Snapshot:
        """A dataset's latest snapshot.

        Raises:
            LakeError: there is no such dataset.
        """
        return self.snapshot(dataset)

    def latest(self, dataset: str) -> pl.LazyFrame:
        """The latest rows of a dataset, or of all that a pattern like `*_shopify_orders` matches, united.

        Raises:
            LakeError: nothing matches, or one that does cannot be read.
        """
        if not _is_pattern(dataset):
            return self.latest_snapshot(dataset).scan()
        return _united([self.latest_snapshot(name) for name in self._matching(dataset)])

    def as_of(self, dataset: str, when: When) -> pl.LazyFrame:
        """The rows as they were: at the end of a date (UTC), or at a time; datasets by name or pattern.

        Of a pattern's datasets those count that had a snapshot then.

        Raises:
            UsageError: `when` is no date and no time.
            LakeError: nothing matches, or there was no snapshot yet.
        """
        if not _is_pattern(dataset):
            return self.snapshot(dataset, when).scan()
        matching = {name: as_of(self.names(name), when) for name in self._matching(dataset)}
        found = [self.read(name, snapshot) for name, snapshot in matching.items() if snapshot]
        if not found:
            raise LakeError(f"no dataset that matches {dataset!r} had a snapshot yet at {when}")
        return _united(found)

    def _matching(self, pattern: str) -> list[str]:
        listing, broken = self.survey(pattern)
        if broken:  # without these rows it would not be what was asked for
            raise LakeError("; ".join(f"dataset {name}: {why}" for name, why in broken.items()))
        matching = list(listing)
        if not matching:
            raise LakeError(
                f"no dataset matches {pattern!r} in {self.store.url}{self._hint(pattern.strip('*'))}"
            )
        return matching

    def diff(self, dataset: str, a: When = PREVIOUS, b: When = LATEST) -> Diff:
        """What was added, changed and deleted from snapshot `a` to `b`, each named as in `snapshot`.

        Raises:
            UsageError: `a` or `b` names no snapshot.
            LakeError: there is no such dataset, or it had no snapshot then.
        """
        return compare(self.snapshot(dataset, a), self.snapshot(dataset, b))

    def runs(self) -> list[RunRecord]:
        """The records of all runs, the oldest first.

        Raises:
            LakeError: a record cannot be read.
        """
        return read_runs(self.store)

    def newest_runs(self) -> Iterator[RunRecord]:
        """The records of the runs, the newest first, each read when it is asked for; unreadable ones not."""
        return newest_runs(self.store)

    def location(self, dataset: str, name: str) -> str:
        """Where a snapshot stands, for other readers: a path, or a URL."""
        address = self.store.address(paths.snapshot_path(dataset, name))
        return address if "://" in address else str(Path(address).absolute())

    def has(self, path: str) -> bool:
        """Tells whether a snapshot is there; `path` is relative to the lake's root."""
        dataset, name = path.split("/")[-2:]
        return paths.is_dataset(dataset) and name in snapshots.names(self.store, dataset)

    def checksum(self, dataset: str, name: str) -> str:
        """The SHA-256 of a snapshot's file."""
        return snapshots.checksum(self.store, paths.snapshot_path(dataset, name))

    def folders(self, pattern: str = "*") -> list[str]:
        """The folders of datasets that match, be they empty or hold what is no snapshot."""
        return [name for name in self.store.folders(paths.RAW) if fnmatchcase(name, pattern)]

    def strays(self, pattern: str = "*") -> list[str]:
        """Files that match and stand where only folders belong; relative to the root."""
        return [f"{paths.RAW}/{name}" for name in self.store.files(paths.RAW) if fnmatchcase(name, pattern)]

    def entries(self, dataset: str) -> tuple[list[str], list[str]]:
        """The names of a dataset's snapshots, and the paths of what else stands in its folder.

        Raises:
            LakeError: something there leads out of the lake.
        """
        return snapshots.names(self.store, dataset), snapshots.foreign(self.store, dataset)

    def size(self, dataset: str, name: str) -> int:
        """The bytes of a snapshot's file."""
        return self.store.size(paths.snapshot_path(dataset, name)) or 0

    def remove(self, dataset: str, name: str) -> None:
        """Removes a snapshot; `prune` knows which may go.

        Raises:
            LakeError: it is its dataset's latest, or it cannot be removed.
        """
        if name == self.names(dataset)[-1]:
            raise LakeError(f"{paths.snapshot_path(dataset, name)} is the latest: it stays")
        snapshots.remove(self.store, paths.snapshot_path(dataset, name))

    def running_since(self) -> list[datetime]:
        """When each run began that goes on now."""
        return running_since(self.store.workplace)

    def unfinished(self, pattern: str = "*", ignore: Sequence[str] = ()) -> list[RunRecord]:
        """The runs on this machine that go on and those that died, the oldest first.

        Of those whose datasets are known the ones where one matches `pattern` and none of `ignore`.
        """

        def is_wanted(one: DatasetSummary) -> bool:
            name = one.dataset
            return fnmatchcase(name, pattern) and not any(fnmatchcase(name, other) for other in ignore)

        found = unfinished_runs(self.store)
        return [run for run in found if not run.datasets or any(map(is_wanted, run.datasets))]

    def staged(self) -> list[str]:
        """The runs that have rows in staging on this machine: some go on, of others they wait."""
        return staged_runs(self.store.workplace)

    def kept_aside(self) -> list[str]:
        """The runs whose rows were kept aside in `.incomplete`, the oldest first."""
        return kept_aside(self.store)

    def quarantined(self) -> list[str]:
        """The runs that put bad records aside in `.quarantine`, the oldest first."""
        return kept_aside(self.store, paths.QUARANTINE)

    def sizes_aside(self, where: str, run_id: str) -> Iterator[int]:
        """The bytes of each file that a run put aside in `.incomplete` or `.quarantine`."""
        folder = f"{where}/{run_id}"
        for inside in (folder, *(f"{folder}/{name}" for name in self.store.folders(folder))):
            for name in self.store.files(inside):
                yield self.store.size(f"{inside}/{name}") or 0

    def remove_kept_aside(self, run_id: str) -> None:
        """Removes the rows that a run kept aside."""
        remove_kept_aside(self.store, run_id)

    def remove_quarantined(self, run_id: str) -> None:
        """Removes the bad records that a run put aside."""
        remove_kept_aside(self.store, run_id, paths.QUARANTINE)

    def run(self, run_id: str) -> dict[str, Snapshot]:
        """The snapshots that belong together after a run, by dataset: what it published, and what it left.

        Raises:
            LakeError: there is no such run, or a snapshot of it was pruned.
        """
        record = read_run(self.store, run_id)
        return {one.dataset: self._of_run(one.path) for one in record.datasets if one.path}

    def consistent(self, pattern: str = "*") -> dict[str, Snapshot]:
        """Snapshots that no running or broken run tears apart, by dataset.

        Of each dataset it is the one of the newest run that ended `ok`; a dataset that no such run names is
        left out, and, with a warning, one that cannot be listed. Datasets of one source come from one run,
        where its runs read the same streams.

        Raises:
            LakeError: such a snapshot was pruned.
        """
        wanted = set(self.datasets(pattern))
        found: dict[str, str] = {}
        for run in self.newest_runs():
            if run.status == "ok":
                for one in run.datasets:
                    if one.dataset in wanted and one.path:
                        found.setdefault(one.dataset, one.path)
            if found.keys() == wanted:
                break
        return {dataset: self._of_run(found[dataset]) for dataset in sorted(found)}

    def _of_run(self, path: str) -> Snapshot:
        if not self.has(path):
            raise LakeError(f"{path} is not there any more: it was pruned, or moved away")
        return snapshots.read(self.store, path)

    def write_records(
        self,
        dataset: str,
        rows: pl.DataFrame | pl.LazyFrame | Iterable[Mapping[str, Any]],
        *,
        keys: Sequence[str] = (),
        load_method: Literal["overwrite", "upsert", "append-only"] = "overwrite",
        max_row_drop: float | None = None,
    ) -> DatasetSummary:
        """Publishes rows as the next snapshot of a dataset, by the rules and the record of a target's run.

        `overwrite`: `rows` are the whole dataset; `upsert`: they replace those of the same `keys`;
        `append-only`: they are added. Nested values become JSON text. Rows that are iterated need not fit
        into memory. `max_row_drop` is the share of rows that `overwrite` may lose, 0 to 1; unset: any.

        Raises:
            UsageError: no dataset can have that name, or a key is no column.
            Held: the rules refuse the rows (other owner, changed keys, too many rows gone); the latest stays.
            LakeError: the rows do not fit into columns, or the lake cannot be written.
        """
        writer = RecordWriter(self.store, dataset, tuple(keys), load_method, max_row_drop)
        return writer.write(rows)


def _is_pattern(dataset: str) -> bool:
    return any(char in dataset for char in "*?[")


def _united(found: Sequence[Snapshot]) -> pl.LazyFrame:
    frames, _ = unite([one.typed() for one in found])
    return written(pl.concat(frames))

"""The lake as a library: what is in it, and its latest rows."""

from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl

from lake_parquet import snapshots
from lake_parquet.errors import LakeError
from lake_parquet.runs import RunRecord, read_runs
from lake_parquet.snapshots import Snapshot
from lake_parquet.store import open_store
from lake_parquet.widen import unite


class Lake:
    """A folder of Parquet snapshots, read only.

    >>> Lake("storage/lake").latest("acme_shopify_orders")  # doctest: +SKIP
    """

    def __init__(self, root: str | Path) -> None:
        """Opens the lake at `root`; the folder need not exist yet.

        Raises:
            LakeError: `root` names an object store.
        """
        self.store = open_store(str(root))

    def datasets(self) -> list[str]:
        """The names of all datasets, in order."""
        return snapshots.dataset_names(self.store)

    def snapshots(self, dataset: str) -> list[Snapshot]:
        """A dataset's snapshots, the oldest first; footers are read, rows are not."""
        prefix = f"raw/{dataset}/"
        return [snapshots.read(self.store, prefix + name) for name in snapshots.names(self.store, dataset)]

    def latest_snapshot(self, dataset: str) -> Snapshot:
        """A dataset's latest snapshot.

        Raises:
            LakeError: there is no such dataset.
        """
        found = snapshots.latest(self.store, dataset)
        if found is None:
            known = ", ".join(self.datasets()) or "none yet"
            raise LakeError(f"no dataset {dataset!r} in {self.store.url}; there are: {known}")
        return found

    def latest(self, dataset: str) -> pl.LazyFrame:
        """The latest rows of a dataset, or of all that a pattern like `*_shopify_orders` matches, united.

        Raises:
            LakeError: nothing matches.
        """
        if not any(char in dataset for char in "*?["):
            return self.latest_snapshot(dataset).scan()
        matching = [name for name in self.datasets() if fnmatchcase(name, dataset)]
        if not matching:
            raise LakeError(f"no dataset matches {dataset!r} in {self.store.url}")
        frames, _ = unite([self.latest_snapshot(name).scan() for name in matching])
        return pl.concat(frames)

    def runs(self) -> list[RunRecord]:
        """The records of all runs, the oldest first."""
        return read_runs(self.store)

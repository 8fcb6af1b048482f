"""Writes families into a lake as a run does, from plain rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from lake_parquet import Lake, paths
from lake_parquet.commit import Committer
from lake_parquet.family import Family, Member
from lake_parquet.footer import Owner
from lake_parquet.parquet_files import ParquetOptions
from lake_parquet.policy import StreamFacts
from lake_parquet.runs import DatasetSummary
from lake_parquet.staging import ROW, Staging

Row = Mapping[str, Any]
ITEMS = "orders__items"
PARENT = "_parent_"


@dataclass
class Writer:
    """A lake with one stream, `orders`, and maybe its child, `orders__items`."""

    root: Path
    runs: int = 0
    clock: datetime | None = None
    options: ParquetOptions = field(default_factory=ParquetOptions)
    url: str = ""

    @property
    def lake(self) -> Lake:
        """The lake, for reading: in the folder, or where `url` says."""
        return Lake(self.url or self.root)

    def write(
        self,
        frames: Sequence[pl.DataFrame],
        keys: Sequence[str] = ("id",),
        items: Sequence[pl.DataFrame] | None = None,
        owner: Owner | None = None,
        **facts: Any,
    ) -> list[DatasetSummary]:
        """Runs once: stages `frames`, commits, clears up; `items` are the rows of the child dataset."""
        self.runs += 1
        owner = owner or Owner("orders")
        moment = self.clock or datetime.now(UTC)
        run = paths.run_id(moment, f"{self.runs:06x}")
        store = self.lake.store
        staging = Staging(store.workplace, run)
        try:
            stream = self._member(staging, "orders", frames, tuple(keys), owner)
            children = []
            if items is not None:
                parents = tuple(PARENT + key for key in keys)
                own = (*parents, "_position")
                child_owner = Owner(owner.stream, owner.tenant, owner.source, "items")
                children.append(self._member(staging, ITEMS, items, own, child_owner, parents))
            committer = Committer(store, staging, run, "tap-test", self.options, clock=lambda: moment)
            known = StreamFacts(owner=owner, keys=tuple(keys), **{"proof": "proven", **facts})
            return committer.commit(Family(stream, tuple(children)), known)
        finally:
            staging.close()

    def upsert(self, *frames: pl.DataFrame, **more: Any) -> list[DatasetSummary]:
        """Runs once, as an incremental stream with keys."""
        return self.write(frames, load_method="upsert", **more)

    def leave(self, *frames: pl.DataFrame) -> Path:
        """Dies with rows of an incremental stream kept in staging; returns the run's folder there."""
        self.runs += 1
        owner, run = Owner("orders"), paths.run_id(self.clock or datetime.now(UTC), f"{self.runs:06x}")
        staging = Staging(self.lake.store.workplace, run)
        stream = self._member(staging, "orders", frames, ("id",), owner)
        facts = StreamFacts(owner=owner, keys=("id",), proof="open", incremental=True, load_method="upsert")
        staging.keep([(Family(stream), facts)])
        staging.close()
        return staging.folder

    def rows(self, dataset: str = "orders") -> list[dict[str, Any]]:
        """The latest rows."""
        return self.lake.latest(dataset).collect().to_dicts()

    def names(self, dataset: str = "orders") -> list[str]:
        """The names of all snapshots, the oldest first."""
        return [one.name for one in self.lake.snapshots(dataset)]

    @staticmethod
    def _member(
        staging: Staging,
        dataset: str,
        frames: Sequence[pl.DataFrame],
        keys: tuple[str, ...],
        owner: Owner,
        parents: tuple[str, ...] = (),
    ) -> Member:
        for frame in frames:
            staging.append(dataset, frame)
        read = sum(frame.height for frame in frames)
        return Member(dataset, owner, keys, parents, rows_read=read)


def frame(rows: Sequence[Row], schema: Mapping[str, Any], first_line: int = 1) -> pl.DataFrame:
    """A staged block: `rows`, each with its input line. A row may name its line itself, as `ROW`."""
    lines = pl.Series(ROW, [row.get(ROW, first_line + i) for i, row in enumerate(rows)], dtype=pl.Int64)
    plain = [{name: value for name, value in row.items() if name != ROW} for row in rows]
    return pl.DataFrame(plain, schema=dict(schema), orient="row").insert_column(0, lines)

"""A run of many rows merged in bounded memory: parted by keys, decided by keys alone, then filtered by place.

Of each row only its place, its keys and a hash of its values go into files, parted by a hash of the keys. The
parts are merged one after the other, as small runs are; what remains is known by place. The rows themselves
are read twice, once to be hashed, once to be written, and keep their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from lake_parquet.merge import (
    AT,
    DELETED_AT,
    VALUES,
    Merged,
    Rule,
    hash_of_values,
    height_of,
    merge_child,
    merge_stream,
    note_of_doubled,
    same_columns,
    typed,
    united,
)
from lake_parquet.staging import ROW

ROWS_A_PART = 2_000_000
"""Rows of a run whose keys and hashes are in memory at once."""
KEEP, PART = "\0keep", "\0part"


@dataclass(frozen=True, slots=True)
class Side:
    """A dataset of the family: its previous rows, the run's, and by which columns they are parted.

    `height` are the run's rows of it. `keys` identify a row; `parents` are the columns of a child that hold
    its stream's keys.
    """

    name: str
    previous: pl.LazyFrame | None
    run: Sequence[pl.LazyFrame]
    height: int
    keys: tuple[str, ...]
    parents: tuple[str, ...] = ()


def is_large(sides: Sequence[Side]) -> bool:
    """Tells whether a run has more rows of a dataset than should be merged at once."""
    return max(side.height for side in sides) > ROWS_A_PART


class _Parts:
    """The slim rows of one dataset, in files by part."""

    def __init__(self, side: Side, key_types: Sequence[pl.DataType], parts: int, scratch: Path) -> None:
        """Reads all rows of `side` once."""
        self.side = side
        before, rows, self.notes = united(side.previous, side.run)
        types = dict(zip(side.parents or side.keys, key_types, strict=True))
        self._before, self._rows = before if before is None else typed(before, types), typed(rows, types)
        self._scratch = scratch
        hashes = [pl.col(name).hash(seed) for seed, name in enumerate(types)]
        part = (pl.sum_horizontal(hashed % parts for hashed in hashes) % parts).alias(PART)
        self._schemas = {
            kind: self._write(kind, frame, part)
            for kind, frame in (("before", self._before), ("run", self._rows))
            if frame is not None
        }
        self.kept: dict[str, list[pl.Series]] = {"before": [], "run": []}

    def _write(self, kind: str, frame: pl.LazyFrame, part: pl.Expr) -> pl.Schema:
        marks = {DELETED_AT} & set(frame.collect_schema()) - set(self.side.keys)
        place = pl.col(AT).cast(pl.Int64)
        slim = frame.with_row_index(AT).select(
            ROW,
            *self.side.keys,
            *marks,
            hash_of_values(frame, self.side.keys).alias(VALUES),
            (place if kind == "run" else -1 - place).alias(AT),
        )

        def name(file: Any) -> str:  # noqa: ANN401 - polars does not export the type
            return f"{self.side.name}.{kind}.{file.partition_keys.item()}.{file.index_in_partition}.part"

        target = pl.PartitionBy(self._scratch, key=part, include_key=False, file_path_provider=name)
        slim.sink_parquet(target, compression="lz4", statistics=False)
        return slim.collect_schema()

    def before(self, number: int) -> pl.LazyFrame | None:
        """The previous snapshot's slim rows of a part; None where there is no snapshot."""
        return self._part("before", number) if self._before is not None else None

    def run(self, number: int) -> pl.LazyFrame:
        """The run's slim rows of a part, in their order."""
        return self._part("run", number)

    def _part(self, kind: str, number: int) -> pl.LazyFrame:
        files = sorted(self._scratch.glob(f"{self.side.name}.{kind}.{number}.*.part"), key=_index)
        return pl.scan_parquet(files) if files else pl.LazyFrame(schema=self._schemas[kind])

    def forget(self, number: int) -> None:
        """Removes the files of a part; other families are merged in the same folder meanwhile."""
        for path in self._scratch.glob(f"{self.side.name}.*.{number}.*.part"):
            path.unlink()

    def keep(self, slim: pl.LazyFrame) -> None:
        """Marks the rows of a part that stay."""
        places = slim.select(AT).collect(engine="streaming").to_series()
        self.kept["run"].append(places.filter(places >= 0))
        self.kept["before"].append(-1 - places.filter(places < 0))

    def result(self) -> pl.LazyFrame:
        """The next snapshot's rows: those that stay, in the order in which they stood."""
        sides = [(self._before, self.kept["before"]), (self._rows, self.kept["run"])]
        chosen = [_chosen(frame, places) for frame, places in sides if frame is not None]
        return pl.concat(chosen).drop(ROW)


def _index(path: Path) -> int:
    return int(path.name.split(".")[-2])


def _chosen(frame: pl.LazyFrame, places: Sequence[pl.Series]) -> pl.LazyFrame:
    mask = pl.Series(KEEP, [False]).new_from_index(0, height_of(frame))
    for one in places:
        mask = mask.scatter(one, True)
    return pl.concat([frame, mask.to_frame().lazy()], how="horizontal").filter(KEEP).drop(KEEP)


def merge_large(stream: Side, children: Sequence[Side], rule: Rule, scratch: Path) -> dict[str, Merged]:
    """Merges a family like `merge_stream` and `merge_child` do, part by part; files go to `scratch`."""
    sides = [stream, *children]
    parts = max(-(-side.height // ROWS_A_PART) for side in sides)
    types = [united(stream.previous, stream.run)[1].collect_schema()[key] for key in stream.keys]
    opened = [_Parts(side, types, parts, scratch) for side in sides]
    merged: dict[str, list[Merged]] = {side.name: [] for side in sides}
    for number in range(parts):
        whole = opened[0]
        result = merge_stream(whole.before(number), [whole.run(number)], rule)
        whole.keep(result.rows)
        merged[stream.name].append(result)
        for child in opened[1:]:
            own, slim = replace(rule, keys=child.side.keys), [child.run(number)]
            one = merge_child(child.before(number), slim, result, child.side.parents, own)
            child.keep(one.rows)
            merged[child.side.name].append(one)
        for side in opened:
            side.forget(number)
    return {one.side.name: _sum(one, merged[one.side.name]) for one in opened}


def _sum(parts: _Parts, merged: Sequence[Merged]) -> Merged:
    rows = parts.result()
    doubled = sum(one.doubled for one in merged)
    return Merged(
        rows,
        merged[0].touched.clear(),
        row_count=sum(one.row_count for one in merged),
        added=sum(one.added for one in merged),
        updated=sum(one.updated or 0 for one in merged),
        deleted=sum(one.deleted for one in merged),
        same_columns=same_columns(parts.side.previous, rows),
        notes=[*parts.notes, *([note_of_doubled(doubled)] if doubled else [])],
        doubled=doubled,
    )

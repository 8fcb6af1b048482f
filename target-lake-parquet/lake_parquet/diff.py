"""Two snapshots of a dataset in, what was added, changed and deleted out.

With keys, rows are matched by them. Without, whole rows are counted: a row that stands there twice and then
three times was added once. Columns that tell of the pipeline alone (`_sdc_extracted_at`, ...) do not count.
Large snapshots are compared in parts, by a hash of what rows are matched by, so that memory stays bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from lake_parquet.column_types import drift
from lake_parquet.merge import PER_RUN, height_of
from lake_parquet.snapshots import Snapshot
from lake_parquet.widen import unite, written

PART_ROWS = 2_000_000
"""Rows of a snapshot that are matched at once."""

_BEFORE = "\0before"
_COUNT = "\0count"


@dataclass(frozen=True)
class Diff:
    """What differs between snapshot `a` and `b`.

    `keys` are what rows were matched by; empty: whole rows were counted, and `changed` is empty. `columns`
    says in words which columns came, went or were widened.
    """

    a: Snapshot
    b: Snapshot
    keys: tuple[str, ...]
    columns: str | None

    @property
    def added(self) -> pl.LazyFrame:
        """Rows of `b` that `a` has not."""
        return self._all("added")

    @property
    def changed(self) -> pl.LazyFrame:
        """Rows of `b` whose key `a` has with other values."""
        return self._all("changed")

    @property
    def deleted(self) -> pl.LazyFrame:
        """Rows of `a` that `b` has not."""
        return self._all("deleted")

    @cached_property
    def counts(self) -> dict[str, int]:
        """The numbers of rows `added`, `changed` and `deleted`."""
        totals = {"added": 0, "changed": 0, "deleted": 0}
        for part in self._parts():
            for what in totals:
                totals[what] += height_of(part[what])
        return totals

    def sample(self, rows: int) -> dict[str, list[dict[str, Any]]]:
        """The first `rows` rows of each kind; a changed one as `before` and `after`."""
        added, deleted = (
            frame.head(rows).collect(engine="streaming").to_dicts() for frame in (self.added, self.deleted)
        )
        pairs = self._all("pairs").head(rows).collect(engine="streaming").to_dicts()
        changed = [
            {
                "before": {name: pair.get(name + _BEFORE, pair[name]) for name in _afters(pair)},
                "after": {name: pair[name] for name in _afters(pair)},
            }
            for pair in pairs
        ]
        return {"added": added, "changed": changed, "deleted": deleted}

    def _all(self, what: str) -> pl.LazyFrame:
        return pl.concat([part[what] for part in self._parts()])

    def _parts(self) -> Iterator[dict[str, pl.LazyFrame]]:
        (before, after), _ = unite([self.a.typed(), self.b.typed()])
        before, after = written(before), written(after)
        columns = [name for name in after.collect_schema() if name not in PER_RUN]
        before, after = before.select(columns), after.select(columns)
        by = list(self.keys) or columns
        parts = max(1, -(-max(self.a.row_count, self.b.row_count) // PART_ROWS))
        for part in range(parts):
            mine = pl.lit(value=True) if parts == 1 else pl.struct(by).hash() % parts == part
            pair = (before.filter(mine), after.filter(mine))
            yield _by_key(*pair, by) if self.keys else _by_row(*pair)


def _afters(pair: dict[str, Any]) -> list[str]:
    return [name for name in pair if not name.endswith(_BEFORE)]


def compare(a: Snapshot, b: Snapshot) -> Diff:
    """Compares two snapshots of one dataset; rows are read when the result is asked for them."""
    return Diff(a, b, _keys(a, b), drift(a.schema, b.schema))


def _keys(a: Snapshot, b: Snapshot) -> tuple[str, ...]:
    """The keys that both were written with, if no key stands in a snapshot twice."""
    if a.info is None or b.info is None or a.info.keys != b.info.keys:
        return ()
    return () if "append-only" in (a.info.load_method, b.info.load_method) else b.info.keys


def _by_key(before: pl.LazyFrame, after: pl.LazyFrame, keys: list[str]) -> dict[str, pl.LazyFrame]:
    values = [name for name in after.collect_schema() if name not in keys]
    both = after.join(before, on=keys, how="inner", nulls_equal=True, suffix=_BEFORE)
    differs = [pl.col(name).ne_missing(pl.col(name + _BEFORE)) for name in values]
    changed = both.filter(pl.any_horizontal(differs) if differs else pl.lit(value=False))
    return {
        "added": after.join(before, on=keys, how="anti", nulls_equal=True),
        "changed": changed.select(after.collect_schema().names()),
        "pairs": changed,
        "deleted": before.join(after, on=keys, how="anti", nulls_equal=True),
    }


def _by_row(before: pl.LazyFrame, after: pl.LazyFrame) -> dict[str, pl.LazyFrame]:
    none = after.clear()
    return {"added": _more(after, before), "changed": none, "pairs": none, "deleted": _more(before, after)}


def _more(here: pl.LazyFrame, there: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of `here` beyond their number in `there`."""
    columns = here.collect_schema().names()
    counted = here.group_by(columns).agg(pl.len().cast(pl.Int64).alias(_COUNT))
    other = there.group_by(columns).agg(pl.len().cast(pl.Int64).alias(_COUNT))
    both = counted.join(other, on=columns, how="left", nulls_equal=True, suffix=_BEFORE)
    more = pl.col(_COUNT) - pl.col(_COUNT + _BEFORE).fill_null(0)
    times = pl.int_ranges(more).alias(_COUNT)
    return both.filter(more > 0).select(*columns, times).explode(_COUNT).drop(_COUNT)

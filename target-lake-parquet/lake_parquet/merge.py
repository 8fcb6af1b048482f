"""The previous snapshot and a run's rows in, the next snapshot's rows and what changed out. No files here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from lake_parquet.staging import ROW
from lake_parquet.widen import unite

DELETED_AT = "_sdc_deleted_at"
LIVE = "\0live"
PER_RUN = frozenset(
    [
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_batched_at",
        "_sdc_started_at",
        "_sdc_sync_started_at",
        "_sdc_sequence",
        "_sdc_table_version",
        "_sdc_lsn",
        "_sdc_xmin",
    ]
)
"""Columns that tell of the pipeline, not of the source's row: no row changed where only they differ.

Other `_sdc_` columns count: `_sdc_deleted_at` is news, `_sdc_extra` holds a file's unnamed fields.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a run's rows and the previous snapshot's become one.

    `keys` identify a row (none: no row replaces another). `keeps` says whether rows of the previous snapshot
    that the run does not name stay. `replication_key` counts for keyless tables: rows read again at the
    bookmark are dropped. `hard_delete` removes rows that the source marks as deleted.
    """

    keys: tuple[str, ...] = ()
    keeps: bool = True
    replaces: bool = True
    replication_key: str | None = None
    hard_delete: bool = True


@dataclass(frozen=True, slots=True)
class Merged:
    """The next snapshot: its rows (without `ROW`), and how they differ from the previous one's.

    `updated` is None where rows differ and have no keys to tell them apart by. `touched` holds `ROW` and the
    keys of each record that counted (the last one of its key), and whether it is live: what the child
    datasets follow.
    """

    rows: pl.LazyFrame
    touched: pl.DataFrame
    row_count: int
    added: int
    updated: int | None
    deleted: int
    same_columns: bool
    notes: list[str] = field(default_factory=list)

    @property
    def is_unchanged(self) -> bool:
        """Tells whether the next snapshot would equal the previous one, columns of the pipeline apart."""
        return self.same_columns and (self.added, self.updated, self.deleted) == (0, 0, 0)


def merge_stream(previous: pl.LazyFrame | None, run: Sequence[pl.LazyFrame], rule: Rule) -> Merged:
    """Merges a stream's rows: in the run the last row of a key wins, then the run wins over the snapshot.

    Only the run's keys are held in memory, not its rows.
    """
    frames, notes = unite([*_with_row(previous), *run])
    before = frames[0] if previous is not None else None
    rows = pl.concat(frames[1:] if previous is not None else frames)
    if before is not None and rule.keeps and not rule.keys and rule.replication_key:
        rows, dropped = _without_known(before, rows, rule.replication_key)
        if dropped:
            notes.append(f"{dropped} rows dropped: read again, and already there")
    is_live = pl.lit(value=True)
    if rule.hard_delete and DELETED_AT in rows.collect_schema():
        is_live = pl.col(DELETED_AT).is_null()
    touched = rows.select(ROW, *rule.keys, is_live.alias(LIVE)).collect(engine="streaming")
    if rule.keys and rule.replaces:
        last = touched.unique(list(rule.keys), keep="last", maintain_order=True)
        if doubled := touched.height - last.height:
            notes.append(f"{doubled} rows replaced by a later row of the same key within the run")
            rows = rows.join(last.lazy().select(ROW), on=ROW, how="semi")
        touched = last
    gone = touched.lazy().select(rule.keys) if rule.keys and rule.replaces else None
    merged = _combine(before, rows.filter(is_live), gone, touched, rule)
    return replace(merged, same_columns=_same_columns(previous, merged.rows), notes=notes)


def merge_child(
    previous: pl.LazyFrame | None,
    run: Sequence[pl.LazyFrame],
    touched: pl.DataFrame,
    parents: tuple[str, ...],
    rule: Rule,
) -> Merged:
    """Merges a child dataset: its stream's `touched` records replace or remove all their children.

    `parents` are the child's columns that hold the stream's keys, in the order of the keys in `touched`.
    """
    frames, notes = unite([*_with_row(previous), *run])
    before = frames[0] if previous is not None else None
    live = touched.lazy().filter(pl.col(LIVE)).select(ROW)
    rows = pl.concat(frames[1:] if previous is not None else frames).join(live, on=ROW, how="semi")
    keys = [name for name in touched.columns if name not in (ROW, LIVE)]
    gone = touched.lazy().select(pl.col(key).alias(parent) for key, parent in zip(keys, parents, strict=True))
    merged = _combine(before, rows, gone if rule.replaces else None, touched.clear(), rule)
    return replace(merged, same_columns=_same_columns(previous, merged.rows), notes=notes)


def _with_row(previous: pl.LazyFrame | None) -> list[pl.LazyFrame]:
    return [] if previous is None else [previous.with_columns(pl.lit(None, pl.Int64).alias(ROW))]


def _count(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _combine(
    before: pl.LazyFrame | None,
    live: pl.LazyFrame,
    gone: pl.LazyFrame | None,
    touched: pl.DataFrame,
    rule: Rule,
) -> Merged:
    """Puts the rows that stay and the run's live rows together, and counts what changed."""
    kept = None
    if before is not None and rule.keeps:
        kept = before
        if gone is not None:
            names = gone.collect_schema().names()
            gone = gone.cast({name: before.collect_schema()[name] for name in names})
            kept = before.join(gone, on=names, how="anti", nulls_equal=True)
    after = live if kept is None else pl.concat([kept, live])
    live_count = _count(live)
    row_count = live_count + (_count(kept) if kept is not None else 0)
    if before is None:
        return Merged(after.drop(ROW), touched, row_count, row_count, 0, 0, same_columns=False)
    before_count = _count(before)
    if not rule.keys or not rule.replaces:
        added, updated, deleted = _unkeyed_changes(before, after, before_count, row_count, keeps=rule.keeps)
    else:
        added = _count(live.join(before, on=rule.keys, how="anti", nulls_equal=True))
        updated = _count_updated(before, live, rule.keys)
        deleted = before_count + added - row_count
    return Merged(after.drop(ROW), touched, row_count, added, updated, deleted, same_columns=False)


def _unkeyed_changes(
    before: pl.LazyFrame, after: pl.LazyFrame, before_count: int, row_count: int, *, keeps: bool
) -> tuple[int, int | None, int]:
    """Without keys only the numbers of rows can be compared, and whether all is the same, row by row.

    Updated is None where some rows differ: without keys nobody can say how many.
    """
    if keeps:
        return row_count - before_count, 0, 0
    if row_count != before_count:
        return max(0, row_count - before_count), None, max(0, before_count - row_count)
    columns = [name for name in before.collect_schema() if name != ROW and name not in PER_RUN]
    same = (
        before.select(columns)
        .collect(engine="streaming")
        .equals(after.select(columns).collect(engine="streaming"))
    )
    return (0, 0 if same else None, 0)


def _count_updated(before: pl.LazyFrame, live: pl.LazyFrame, keys: tuple[str, ...]) -> int:
    """Rows whose key was there before with other values; what tells of the pipeline does not count."""
    columns = [name for name in live.collect_schema() if name not in (ROW, *keys) and name not in PER_RUN]
    if not columns:
        return 0
    matched = live.join(before, on=keys, how="inner", nulls_equal=True, suffix="\0before")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}\0before")) for name in columns)
    return _count(matched.filter(differs))


def _without_known(
    before: pl.LazyFrame, rows: pl.LazyFrame, replication_key: str
) -> tuple[pl.LazyFrame, int]:
    """Drops rows that are there already, one for one: without keys nothing else keeps them from doubling.

    Taps read again what stands at their bookmark (they ask for `>=`), and everything where the bookmark was
    lost or left aside. Rows after the newest one there are new without a look.
    """
    if replication_key not in before.collect_schema():
        return rows, 0
    newest = before.select(pl.col(replication_key).max()).collect(engine="streaming").item()
    is_old = (pl.col(replication_key) <= pl.lit(newest)).fill_null(value=True)
    columns = [name for name in before.collect_schema() if name != ROW and name not in PER_RUN]
    nth = pl.int_range(pl.len()).over(columns).alias("\0nth")
    again = rows.filter(is_old).collect(engine="streaming")
    oldest = again[replication_key].min()
    from_there = (pl.col(replication_key) >= pl.lit(oldest)).fill_null(value=True)
    there = before.filter(from_there).with_columns(nth)
    fresh = (
        again.lazy()
        .with_columns(nth)
        .join(there, on=[*columns, "\0nth"], how="anti", nulls_equal=True, maintain_order="left")
        .drop("\0nth")
        .collect(engine="streaming")
    )
    return pl.concat([fresh.lazy(), rows.filter(is_old.not_())]), again.height - fresh.height


def _same_columns(previous: pl.LazyFrame | None, rows: pl.LazyFrame) -> bool:
    return previous is not None and dict(previous.collect_schema()) == dict(rows.collect_schema())

"""The previous snapshot and a run's rows in, the next snapshot's rows and what changed out. No files here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from lake_parquet.staging import ROW
from lake_parquet.widen import cast_to, unite

DELETED_AT = "_sdc_deleted_at"
LIVE = "\0live"
VALUES = "\0values"
AT = "\0at"
"""Where a row stands; it is no value of the row."""
BATCH = 2**17
"""Rows that are compared at a time."""
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
    datasets follow. `doubled` counts the run's rows that a later row of the same key replaced.
    """

    rows: pl.LazyFrame
    touched: pl.DataFrame
    row_count: int
    added: int
    updated: int | None
    deleted: int
    same_columns: bool
    notes: list[str] = field(default_factory=list)
    doubled: int = 0

    @property
    def is_unchanged(self) -> bool:
        """Tells whether the next snapshot would equal the previous one, columns of the pipeline apart."""
        return self.same_columns and (self.added, self.updated, self.deleted) == (0, 0, 0)


def merge_stream(previous: pl.LazyFrame | None, run: Sequence[pl.LazyFrame], rule: Rule) -> Merged:
    """Merges a stream's rows: in the run the last row of a key wins, then the run wins over the snapshot.

    Only the run's keys are held in memory, not its rows.
    """
    before, rows, notes = united(previous, run)
    if before is not None and rule.keeps and not rule.keys and rule.replication_key:
        rows, dropped = _without_known(before, rows, rule.replication_key)
        if dropped:
            notes.append(f"{dropped} rows dropped: read again, and already there")
    is_live = pl.lit(value=True)
    if rule.hard_delete and DELETED_AT in rows.collect_schema():
        is_live = pl.col(DELETED_AT).is_null()
    marked = rows.select(ROW, *rule.keys, is_live.alias(LIVE))
    touched = (marked if rule.keys else marked.clear()).collect(engine="streaming")
    doubled = 0
    if rule.keys and rule.replaces:
        doubled = touched.height - _different(touched, rule.keys)
    if doubled:  # rarely: to find the last ones takes far longer than to count
        touched = touched.unique(list(rule.keys), keep="last", maintain_order=True)
        notes.append(note_of_doubled(doubled))
        rows = rows.join(touched.lazy().select(ROW), on=ROW, how="semi")
    replaces = before is not None and rule.keys and rule.replaces
    gone = touched.select(rule.keys) if replaces else None
    live_count = int(touched[LIVE].sum()) if rule.keys else height_of(rows.filter(is_live))
    merged = _combine(before, rows.filter(is_live), live_count, gone, touched, rule)
    same = same_columns(previous, merged.rows)
    return replace(merged, same_columns=same, notes=notes, doubled=doubled)


def _different(rows: pl.DataFrame, keys: tuple[str, ...]) -> int:
    """How many different keys rows have; of one column it is told without a query."""
    return rows[keys[0]].n_unique() if len(keys) == 1 else rows.n_unique(list(keys))


def note_of_doubled(count: int) -> str:
    """Tells that not every row of the run counts."""
    return f"{count} rows replaced by a later row of the same key within the run"


def united(
    previous: pl.LazyFrame | None, run: Sequence[pl.LazyFrame]
) -> tuple[pl.LazyFrame | None, pl.LazyFrame, list[str]]:
    """The previous snapshot's rows and the run's, with the same columns and `ROW`; and what was widened."""
    frames, notes = unite([*_with_row(previous), *run], onto_first=previous is not None)
    before = frames[0] if previous is not None else None
    return before, pl.concat(frames[1:] if previous is not None else frames), notes


def merge_child(
    previous: pl.LazyFrame | None,
    run: Sequence[pl.LazyFrame],
    stream: Merged,
    parents: tuple[str, ...],
    rule: Rule,
    height: int | None = None,
) -> Merged:
    """Merges a child dataset: its stream's touched records replace or remove all their children.

    `parents` are the child's columns that hold the stream's keys, in the order of the keys in `touched`.
    `height` are the run's rows, where they were counted.
    """
    before, rows, notes = united(previous, run)
    touched = stream.touched
    keys = [name for name in touched.columns if name not in (ROW, LIVE)]
    types = {parent: touched.schema[key] for key, parent in zip(keys, parents, strict=True)}
    before, rows = before if before is None else typed(before, types), typed(rows, types)
    if stream.doubled or not touched[LIVE].all():
        live = touched.lazy().filter(pl.col(LIVE)).select(ROW)
        rows, height = rows.join(live, on=ROW, how="semi"), None
    gone = None
    if before is not None and rule.replaces:
        gone = touched.select(pl.col(key).alias(parent) for key, parent in zip(keys, parents, strict=True))
    count = height_of(rows) if height is None else height
    merged = _combine(before, rows, count, gone, touched.clear(), rule)
    return replace(merged, same_columns=same_columns(previous, merged.rows), notes=notes)


def typed(rows: pl.LazyFrame, types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Rows whose columns of these names have these types, as wide as theirs or wider.

    A child's `_parent_` columns are its stream's keys, which may have widened when the child brought nothing.
    """
    own = rows.collect_schema()
    casts = [cast_to(kind, name, own[name]) for name, kind in types.items() if own[name] != kind]
    return rows.with_columns(casts) if casts else rows


def _with_row(previous: pl.LazyFrame | None) -> list[pl.LazyFrame]:
    return [] if previous is None else [previous.with_columns(pl.lit(None, pl.Int64).alias(ROW))]


def height_of(frame: pl.LazyFrame) -> int:
    """How many rows a frame has."""
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _combine(
    before: pl.LazyFrame | None,
    live: pl.LazyFrame,
    live_count: int,
    gone: pl.DataFrame | None,
    touched: pl.DataFrame,
    rule: Rule,
) -> Merged:
    """Puts the rows that stay and the run's live rows together, and counts what changed.

    `gone` names the rows of the previous snapshot that the run replaces or removes. The previous snapshot is
    read once to be counted, and once more when `rows` is.
    """
    if before is None:
        return Merged(live.drop(ROW), touched, live_count, live_count, 0, 0, same_columns=False)
    before_count = height_of(before)
    if gone is None:
        after = pl.concat([before, live]) if rule.keeps else live
        row_count = live_count + (before_count if rule.keeps else 0)
        changes = _unkeyed_changes(before, after, before_count, row_count, keeps=rule.keeps)
        return Merged(after.drop(ROW), touched, row_count, *changes, same_columns=False)
    replaced = _signed(_matching(before, gone), rule.keys)
    after = live
    row_count = live_count
    if rule.keeps:
        after = pl.concat([_matching(before, gone, invert=True), live])
        row_count += before_count - replaced.height
    added, updated = _keyed_changes(replaced, _signed(live, rule.keys), rule.keys)
    deleted = before_count + added - row_count
    return Merged(after.drop(ROW), touched, row_count, added, updated, deleted, same_columns=False)


def _matching(rows: pl.LazyFrame, keys: pl.DataFrame, *, invert: bool = False) -> pl.LazyFrame:
    """The rows whose values are among `keys`, or all others; a null is a value."""
    if keys.width > 1:
        return rows.join(keys.lazy(), on=keys.columns, how="anti" if invert else "semi", nulls_equal=True)
    (name,) = keys.columns
    # a filter reaches into the file: what it leaves out is not decoded
    is_among = pl.col(name).is_in(keys[name].implode(), nulls_equal=True)
    return rows.filter(is_among.not_() if invert else is_among)


def _signed(rows: pl.LazyFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """The keys of rows and a hash of their values, of what tells of the source's row: small in memory."""
    return rows.select(*keys, hash_of_values(rows, keys).alias(VALUES)).collect(engine="streaming")


def hash_of_values(rows: pl.LazyFrame, keys: tuple[str, ...]) -> pl.Expr:
    """A hash of what tells of the source's row, its keys apart."""
    ignored = {ROW, AT, *keys, *PER_RUN}
    columns = [name for name in rows.collect_schema() if name not in ignored]
    return pl.struct(sorted(columns)).hash() if columns else pl.lit(0, pl.UInt64)


def _keyed_changes(before: pl.DataFrame, live: pl.DataFrame, keys: tuple[str, ...]) -> tuple[int, int]:
    """How many of the rows were not there before, and how many were, with other values."""
    added = live.join(before, on=keys, how="anti", nulls_equal=True).height
    same = live.join(before, on=[*keys, VALUES], how="semi", nulls_equal=True).height
    return added, live.height - added - same


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
    return (0, 0 if _is_equal(before.select(columns), after.select(columns)) else None, 0)


def _is_equal(left: pl.LazyFrame, right: pl.LazyFrame) -> bool:
    """Compares two tables of as many rows, in their order, some rows at a time."""
    batches = [frame.collect_batches(maintain_order=True, chunk_size=BATCH) for frame in (left, right)]
    ours, theirs = (pl.DataFrame(schema=left.collect_schema()) for _ in batches)
    while True:
        if not ours.height:
            ours = next(batches[0], ours)
        if not theirs.height:
            theirs = next(batches[1], theirs)
        rows = min(ours.height, theirs.height)
        if not rows:
            return ours.height == theirs.height
        if not ours[:rows].equals(theirs[:rows]):
            return False
        ours, theirs = ours[rows:], theirs[rows:]


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
    if not again.height:
        return rows, 0
    oldest = again[replication_key].min()
    from_there = pl.col(replication_key).is_null()
    if oldest is not None:
        from_there |= pl.col(replication_key) >= pl.lit(oldest)
    there = before.filter(from_there).with_columns(nth)
    fresh = (
        again.lazy()
        .with_columns(nth)
        .join(there, on=[*columns, "\0nth"], how="anti", nulls_equal=True, maintain_order="left")
        .drop("\0nth")
        .collect(engine="streaming")
    )
    return pl.concat([fresh.lazy(), rows.filter(is_old.not_())]), again.height - fresh.height


def same_columns(previous: pl.LazyFrame | None, rows: pl.LazyFrame) -> bool:
    """Tells whether the next snapshot has the columns of the previous one."""
    return previous is not None and dict(previous.collect_schema()) == dict(rows.collect_schema())

"""Sequences of runs against a model of plain dicts: the latest rows, and what each run says it changed."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_parquet import family_merge, large_merge, merge
from lake_parquet.large_merge import Side
from lake_parquet.merge import Merged, Rule
from lake_parquet.runs import DatasetSummary
from lake_parquet.staging import ROW
from tests.lake.writer import ITEMS, Writer, frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {
    "id": pl.Int64,
    "region": pl.String,
    "v": pl.Int64,
    "_sdc_deleted_at": pl.Datetime("us", "UTC"),
    "_sdc_extracted_at": pl.Int64,
}
ITEM_SCHEMA = {"_parent_id": pl.Int64, "_parent_region": pl.String, "_position": pl.Int64, "sku": pl.Int64}

Key = tuple[int | None, str | None]


@dataclass(frozen=True)
class Order:
    """A record: its key, a value, its items, and whether the source says that it is gone."""

    id: int | None
    region: str | None
    v: int | None
    items: tuple[int, ...] = ()
    is_deleted: bool = False

    @property
    def key(self) -> Key:
        """The composite key; null is a value like any other."""
        return self.id, self.region


orders = st.builds(
    Order,
    id=st.sampled_from([None, 1, 2]),
    region=st.sampled_from([None, "a"]),
    v=st.sampled_from([None, 0, 1]),
    items=st.sampled_from([(), (1,), (1, 2), (2,)]),
    is_deleted=st.sampled_from([False, False, False, True]),
)
runs = st.lists(
    st.tuples(st.sampled_from(["upsert", "upsert", "overwrite"]), st.lists(orders, max_size=6)),
    min_size=1,
    max_size=4,
)


@dataclass
class Model:
    """A keyed dataset and its child dataset, as dicts."""

    rows: dict[Key, int | None] = field(default_factory=dict)
    items: dict[tuple[Key, int], int] = field(default_factory=dict)
    exists: bool = False

    def run(self, method: str, records: Sequence[Order]) -> tuple[Counter[str], Counter[str], bool]:
        """Applies a run; returns what changed in stream and items, and whether a file is written."""
        rows = dict(self.rows) if method == "upsert" else {}
        items = dict(self.items) if method == "upsert" else {}
        for one in {order.key: order for order in records}.values():
            rows.pop(one.key, None)
            items = {place: sku for place, sku in items.items() if place[0] != one.key}
            if not one.is_deleted:
                rows[one.key] = one.v
                items |= {(one.key, position): sku for position, sku in enumerate(one.items)}
        changes = _changes(self.rows, rows), _changes(self.items, items)
        is_written = not self.exists or any(changes[0].values()) or any(changes[1].values())
        self.rows, self.items, self.exists = rows, items, True
        return *changes, is_written


def _changes(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Counter[str]:
    return Counter(
        added=len(after.keys() - before.keys()),
        updated=sum(before[key] != after[key] for key in after.keys() & before.keys()),
        deleted=len(before.keys() - after.keys()),
    )


def _said(one: DatasetSummary) -> Counter[str]:
    assert one.rows_updated is not None
    return Counter(added=one.rows_added, updated=one.rows_updated, deleted=one.rows_deleted)


def _frames(records: Sequence[Order], nth: int) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """The records in blocks of two, as they would be staged: an empty block first, for the columns."""
    rows, items = [frame([], SCHEMA)], [frame([], ITEM_SCHEMA)]
    for start in range(0, len(records), 2):
        block = records[start : start + 2]
        rows.append(
            frame(
                [
                    {
                        "id": one.id,
                        "region": one.region,
                        "v": one.v,
                        "_sdc_deleted_at": NOW if one.is_deleted else None,
                        "_sdc_extracted_at": nth,
                    }
                    for one in block
                ],
                SCHEMA,
                start + 1,
            )
        )
        parts = [
            {
                "\0row": start + i + 1,
                "_parent_id": one.id,
                "_parent_region": one.region,
                "_position": p,
                "sku": sku,
            }
            for i, one in enumerate(block)
            for p, sku in enumerate(one.items)
        ]
        items.append(frame(parts, ITEM_SCHEMA))
    return rows, items


@pytest.mark.parametrize("rows_a_part", [large_merge.ROWS_A_PART, 2], ids=["at once", "in parts"])
@settings(max_examples=60, deadline=None)
@given(sequence=runs)
def test_a_keyed_dataset_and_its_child_equal_the_model_after_every_run(
    rows_a_part: int, sequence: list[tuple[str, list[Order]]]
) -> None:
    part = mock.patch.object(large_merge, "ROWS_A_PART", rows_a_part)
    with part, tempfile.TemporaryDirectory() as folder:
        writer, model = Writer(Path(folder) / "lake"), Model()
        for nth, (method, records) in enumerate(sequence):
            rows, items = _frames(records, nth)
            files = len(writer.names()) if model.exists else 0
            stream, child = writer.write(rows, ("id", "region"), items, load_method=method)
            existed = model.exists
            changed, items_changed, is_written = model.run(method, records)
            found = {(row["id"], row["region"]): row["v"] for row in writer.rows()}
            parts = {
                ((r["_parent_id"], r["_parent_region"]), r["_position"]): r["sku"] for r in writer.rows(ITEMS)
            }
            assert (found, parts) == (model.rows, model.items)
            assert (stream.row_count, child.row_count) == (len(model.rows), len(model.items))
            assert (_said(stream), _said(child)) == (changed, items_changed)
            assert len(writer.names()) == files + is_written
            assert existed or is_written


Event = tuple[int | None, int]


def _append(rows: Counter[Event], records: Sequence[Event]) -> int:
    """Appends to a bag of rows what is new: what is not after its newest row may have been read again."""
    newest = max((at for at, _ in rows if at is not None), default=None)
    later = Counter(row for row in records if row[0] is not None and newest is not None and row[0] > newest)
    fresh = later + (Counter(records) - later - rows)
    rows += fresh
    return fresh.total()


events = st.tuples(st.sampled_from([None, 0, 1, 2, 3]), st.integers(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(events, max_size=6), min_size=1, max_size=4))
def test_rows_without_keys_are_appended_but_for_those_that_are_there_already(
    sequence: list[list[Event]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer, model = Writer(Path(folder) / "lake"), Counter[Event]()
        for nth, records in enumerate(sequence):
            blocks = [frame([{"at": at, "v": v} for at, v in records], {"at": pl.Int64, "v": pl.Int64})]
            (one,) = writer.write(blocks, (), load_method="append-only", replication_keys=("at",))
            added = _append(model, records) if nth else len(records)
            model = model if nth else Counter(records)
            assert Counter((row["at"], row["v"]) for row in writer.rows()) == model
            assert (one.rows_added, one.rows_updated, one.rows_deleted) == (added, 0, 0)
            assert one.row_count == model.total()


def test_where_all_rows_are_newer_the_previous_snapshot_is_not_read_for_them() -> None:
    """Taps that ask for `>` send no row again: millions of rows there are of no interest."""
    before = pl.LazyFrame({"at": [1, 2, None], ROW: [None, None, None]})
    rows = pl.LazyFrame({"at": [3, 4], ROW: [1, 2]})
    fresh, dropped = merge._without_known(before, rows, "at")
    assert fresh is rows
    assert dropped == 0


@pytest.mark.parametrize("rows_a_part", [large_merge.ROWS_A_PART, 1], ids=["at once", "in parts"])
def test_a_key_may_change_its_type_between_runs(
    tmp_path: Path, rows_a_part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_merge, "ROWS_A_PART", rows_a_part)
    writer = Writer(tmp_path)
    items = {"_parent_id": pl.Int64, "_position": pl.Int64}
    writer.upsert(
        frame([{"id": 1}, {"id": 2}], {"id": pl.Int64}),
        items=[frame([{"_parent_id": 1, "_position": 0}], items)],
    )
    texts = {**items, "_parent_id": pl.String}
    stream, child = writer.upsert(frame([{"id": "1"}], {"id": pl.String}), items=[frame([], texts)])
    assert sorted(row["id"] for row in writer.rows()) == ["1", "2"]
    assert writer.rows(ITEMS) == []
    assert (stream.rows_added, stream.rows_updated, stream.rows_deleted, child.rows_deleted) == (0, 0, 0, 1)


def test_columns_of_the_pipeline_alone_are_no_change_all_others_are(tmp_path: Path) -> None:
    schema = {"id": pl.Int64, "_sdc_extracted_at": pl.Int64, "_sdc_lsn": pl.Int64, "_sdc_extra": pl.String}
    writer = Writer(tmp_path)
    first = {"id": 1, "_sdc_extracted_at": 1, "_sdc_lsn": 1, "_sdc_extra": None}
    writer.upsert(frame([first], schema))
    (one,) = writer.upsert(frame([{**first, "_sdc_extracted_at": 2, "_sdc_lsn": 2}], schema))
    assert one.status == "unchanged"
    (one,) = writer.upsert(frame([{**first, "_sdc_extra": "[1]"}], schema))
    assert (one.status, one.rows_updated) == ("published", 1)


def test_a_full_read_without_keys_tells_same_from_changed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)

    def read(*values: int) -> tuple[str, int, int | None, int]:
        (one,) = writer.write(
            [frame([{"v": v} for v in values], {"v": pl.Int64})], (), load_method="overwrite"
        )
        return one.status, one.rows_added, one.rows_updated, one.rows_deleted

    assert read(1, 2) == ("published", 2, 0, 0)
    assert read(1, 2) == ("unchanged", 0, 0, 0)
    assert read(1, 3) == ("published", 0, None, 0)
    assert read(1, 3, 4) == ("published", 1, None, 0)
    assert read(4) == ("published", 0, None, 2)


def test_the_last_of_many_blocks_wins(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    schema = {"id": pl.Int64, "v": pl.Int64}
    blocks = [frame([{"id": i % 100, "v": n} for i in range(500)], schema, n * 500) for n in range(40)]
    writer.upsert(*blocks)
    assert sorted((row["id"], row["v"]) for row in writer.rows()) == [(i, 39) for i in range(100)]


def test_rows_are_merged_in_parts_only_where_they_are_many_whichever_run_staged_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[list[int]] = []

    def in_parts(stream: Side, children: Sequence[Side], rule: Rule, scratch: Path) -> dict[str, Merged]:
        merged.append([stream.height, *(child.height for child in children)])
        return large_merge.merge_large(stream, children, rule, scratch)

    monkeypatch.setattr(large_merge, "ROWS_A_PART", 2)
    monkeypatch.setattr(family_merge, "merge_large", in_parts)
    writer, schema = Writer(tmp_path), {"id": pl.Int64}
    items = frame(
        [{"_parent_id": 1, "_position": p} for p in range(3)], {"_parent_id": pl.Int64, "_position": pl.Int64}
    )
    writer.upsert(frame([{"id": 1}], schema), frame([{"id": 2}], schema, 2), items=[items[:2]])
    assert merged == []
    writer.upsert(frame([{"id": 1}], schema), frame([{"id": 2}], schema, 2), items=[items[:2], items[2:]])
    assert merged == [[2, 3]]

    writer.leave(frame([{"id": 1}, {"id": 2}], schema), frame([{"id": 3}], schema, 3))
    writer.upsert(frame([{"id": 1}], schema))
    assert merged == [[2, 3], [3]]
    assert sorted(row["id"] for row in writer.rows()) == [1, 2, 3]


def test_a_merge_in_parts_leaves_the_files_of_other_families(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files may hold many rows: several families are merged in one folder at a time."""
    monkeypatch.setattr(large_merge, "ROWS_A_PART", 2)
    other = tmp_path / "u.run.0.0.part"
    other.touch()
    run = frame([{"id": number} for number in range(5)], {"id": pl.Int64}).lazy()
    rule = Rule(keys=("id",), keeps=True, replaces=True, replication_key=None, hard_delete=True)
    merged = large_merge.merge_large(Side("s", None, [run], 5, ("id",)), [], rule, tmp_path)
    assert merged["s"].rows.collect()["id"].to_list() == [0, 1, 2, 3, 4]
    assert [one.name for one in tmp_path.iterdir()] == [other.name]

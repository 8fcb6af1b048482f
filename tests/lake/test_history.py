"""The library: earlier rows, many datasets as one, what a run left together, and what differs."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_parquet import Lake, diff
from lake_parquet.diff import compare
from lake_parquet.errors import LakeError, UsageError
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from lake_parquet.snapshots import read
from lake_parquet.store import open_store
from tests.lake.writer import PARENT, Writer, frame

SCHEMA = {"id": pl.Int64, "v": pl.String}
ITEM = {PARENT + "id": pl.Int64, "_position": pl.Int64, "sku": pl.String}
NAMES = [
    "20261031T235959000000Z",
    "20261101T120000000000Z",
    "20261101T235959999999Z",
    "20261102T000000000000Z",
]


def snapshot(root: Path, dataset: str, name: str, **columns: Sequence[Any]) -> None:
    folder = root / "raw" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    for number, name in enumerate(NAMES):
        snapshot(tmp_path, "acme_orders", name, n=[number])
    snapshot(tmp_path, "bolt_orders", NAMES[2], n=[20.5], extra=["x"])
    return Lake(tmp_path)


MOMENTS = [
    ("2026-10-31", 0),
    ("2026-11-01", 2),
    (date(2026, 11, 1), 2),
    ("2026-11-01T12:00Z", 1),
    ("2026-11-01T12:00:00", 1),
    ("2026-11-01T11:59:59", 0),
    ("2026-11-01T13:00+01:00", 1),
    (datetime(2026, 11, 2, tzinfo=UTC), 3),
    (datetime(2026, 11, 2, 1, tzinfo=timezone(timedelta(hours=2))), 1),
    (NAMES[1], 1),
    (f"{NAMES[2]}.parquet", 2),
    ("latest", 3),
    ("previous", 2),
    ("2999-01-01", 3),
]


@pytest.mark.parametrize(("when", "number"), MOMENTS)
def test_a_moment_names_the_snapshot_that_was_the_latest_then(
    lake: Lake, when: str | date | datetime, number: int
) -> None:
    assert lake.snapshot("acme_orders", when).name == f"{NAMES[number]}.parquet"
    assert lake.as_of("acme_orders", when).collect()["n"].to_list() == [number]


def test_before_the_first_snapshot_there_is_nothing_and_it_says_since_when(lake: Lake) -> None:
    with pytest.raises(LakeError, match=f"had no snapshot yet at 2026-10-30: its first is {NAMES[0]}"):
        lake.as_of("acme_orders", "2026-10-30")
    with pytest.raises(LakeError, match=r"no dataset that matches '\*_orders' had a snapshot yet"):
        lake.as_of("*_orders", "2026-10-30")
    with pytest.raises(LakeError, match="has one snapshot only"):
        lake.snapshot("bolt_orders", "previous")
    with pytest.raises(LakeError, match=r"has no snapshot 20261101T120000000001Z\.parquet"):
        lake.snapshot("acme_orders", "20261101T120000000001Z")


@pytest.mark.parametrize("when", ["", "soon", "2026-13-01", "20261301T120000000000Z", "2026-11-01T25:00"])
def test_what_is_no_moment_is_wrong_usage(lake: Lake, when: str) -> None:
    with pytest.raises((UsageError, LakeError)):
        lake.snapshot("acme_orders", when)


def test_a_pattern_unites_datasets_now_and_then(lake: Lake) -> None:
    rows = lake.latest("*_orders").collect()
    assert rows.to_dicts() == [{"n": 3.0, "extra": None}, {"n": 20.5, "extra": "x"}]
    assert lake.as_of("*_orders", "2026-11-01T12:00").collect().to_dicts() == [{"n": 1}]
    assert lake.datasets("a*") == ["acme_orders"]
    with pytest.raises(LakeError, match=r"no dataset matches '\*_order'.*did you mean"):
        lake.latest("*_order")


@pytest.mark.parametrize("name", ["../../etc", "a/b", "/etc", "..", ".staging", "_meta", "", "a\0b", "a\\b"])
def test_a_name_leads_to_no_other_folder(lake: Lake, name: str) -> None:
    with pytest.raises(UsageError, match="is no dataset's name"):
        lake.latest(name)


def test_a_run_and_a_consistent_set_name_what_belongs_together(writer: Writer) -> None:
    def told(run: str, status: Any, *paths: str) -> None:
        datasets = [
            DatasetSummary(dataset=path.split("/")[1], stream="s", status="published", path=path)
            for path in paths
        ]
        write_run(
            writer.lake.store,
            RunRecord(run_id=run, started_at="2026-01-01T00:00:00Z", status=status, datasets=datasets),
        )

    for number in range(3):
        writer.upsert(frame([{"id": number}], SCHEMA), items=[frame([], ITEM)])
    orders, items = (writer.lake.snapshots(name) for name in ("orders", "orders__items"))
    told("20260101T000000000000Z-1", "ok", orders[0].path, items[0].path)
    told("20260102T000000000000Z-2", "ok", orders[1].path, items[0].path)
    told("20260103T000000000000Z-3", "failed", orders[2].path)
    lake = writer.lake
    assert {name: one.path for name, one in lake.consistent().items()} == {
        "orders": orders[1].path,
        "orders__items": items[0].path,
    }
    assert list(lake.consistent("*__items")) == ["orders__items"]
    assert lake.run("20260101T000000000000Z-1")["orders"].path == orders[0].path
    with pytest.raises(LakeError, match="no run 'x'"):
        lake.run("x")
    (writer.root / orders[0].path).unlink()
    with pytest.raises(LakeError, match="it was pruned, or moved away"):
        lake.run("20260101T000000000000Z-1")


def sorted_rows(rows: pl.LazyFrame) -> list[dict[str, Any]]:
    return sorted(rows.collect().to_dicts(), key=repr)


def test_a_diff_by_key_tells_added_changed_and_deleted(writer: Writer) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": None, "v": "n"}]
    writer.upsert(frame(rows, SCHEMA))
    wider = {**SCHEMA, "_sdc_extracted_at": pl.String, "new": pl.Int64}
    changes = [
        {"id": 1, "v": "a", "_sdc_extracted_at": "later"},
        {"id": 2, "v": "B", "new": 7},
        {"id": 3, "v": "c"},
    ]
    writer.write([frame(changes, wider)], load_method="overwrite")
    found = writer.lake.diff("orders")
    assert found.keys == ("id",)
    assert found.columns == "new: _sdc_extracted_at, new"
    assert found.counts == {"added": 1, "changed": 1, "deleted": 1}
    assert sorted_rows(found.added) == [{"id": 3, "v": "c", "new": None}]
    assert sorted_rows(found.changed) == [{"id": 2, "v": "B", "new": 7}]
    assert sorted_rows(found.deleted) == [{"id": None, "v": "n", "new": None}]
    assert found.sample(1)["changed"] == [
        {"before": {"id": 2, "v": "b", "new": None}, "after": {"id": 2, "v": "B", "new": 7}}
    ]
    back = writer.lake.diff("orders", "latest", "previous")
    assert back.counts == {"added": 1, "changed": 1, "deleted": 1}


def test_without_keys_whole_rows_are_counted(writer: Writer) -> None:
    writer.write([frame([{"v": "a"}, {"v": "a"}, {"v": "b"}, {"v": None}], {"v": pl.String})], keys=())
    writer.write([frame([{"v": "a"}, {"v": "c"}, {"v": "c"}, {"v": None}], {"v": pl.String})], keys=())
    found = writer.lake.diff("orders")
    assert found.keys == ()
    assert found.counts == {"added": 2, "changed": 0, "deleted": 2}
    assert sorted_rows(found.added) == [{"v": "c"}, {"v": "c"}]
    assert sorted_rows(found.deleted) == [{"v": "a"}, {"v": "b"}]


def test_children_are_matched_by_parent_and_position(writer: Writer) -> None:
    for sku in ("a", "b"):
        child = frame([{PARENT + "id": 1, "_position": 0, "sku": sku}], ITEM)
        writer.upsert(frame([{"id": 1, "v": sku}], SCHEMA), items=[child])
    found = writer.lake.diff("orders__items")
    assert (found.keys, found.counts["changed"]) == ((PARENT + "id", "_position"), 1)


VALUES = st.none() | st.integers(0, 3)
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=12)


@settings(deadline=None)
@given(before=ROWS, after=ROWS, parts=st.integers(1, 4), keyed=st.booleans())
def test_in_parts_or_at_once_a_diff_is_what_plain_counting_finds(
    tmp_path_factory: pytest.TempPathFactory, before: Any, after: Any, parts: int, *, keyed: bool
) -> None:
    root = tmp_path_factory.mktemp("lake")
    if keyed:
        before, after = list(dict(before).items()), list(dict(after).items())
    schema = {"k": pl.Int64, "v": pl.Int64}
    found = []
    for name, rows in zip(NAMES, (before, after), strict=False):
        folder = root / "raw/orders"
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / f"{name}.parquet")
        found.append(read(open_store(str(root)), f"raw/orders/{name}.parquet"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "PART_ROWS", max(1, max(len(before), len(after)) // parts))
        different = compare(*found)
        if keyed:
            different = diff.Diff(different.a, different.b, ("k",), None)
        counts = different.counts
        added = sorted(different.added.collect().rows(), key=repr)
    if keyed:
        old, new = dict(before), dict(after)
        assert counts == {
            "added": len(new.keys() - old.keys()),
            "changed": sum(old[key] != value for key, value in new.items() if key in old),
            "deleted": len(old.keys() - new.keys()),
        }
        assert added == sorted(((k, v) for k, v in after if k not in old), key=repr)
    else:
        more, less = Counter(after) - Counter(before), Counter(before) - Counter(after)
        assert added == sorted(more.elements(), key=repr)
        assert counts == {"added": more.total(), "changed": 0, "deleted": less.total()}

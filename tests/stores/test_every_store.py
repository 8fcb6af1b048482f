"""One suite for every kind of store: a lake in a folder and one in an object store behave alike."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake_parquet.claims import BEGINNING
from lake_parquet.errors import LakeError
from lake_parquet.runs import RunRecord, read_runs, write_run
from lake_parquet.store import Store
from tests.lake.test_commit import CrashError, items, pairs, rows, skus
from tests.lake.test_store import take_in
from tests.lake.writer import ITEMS, Writer


def test_an_upsert_merges_onto_the_latest_and_history_stays(writer: Writer) -> None:
    writer.upsert(rows((1, "old"), (2, "old")), items=items((1, 1, "old"), (2, 2, "old")))
    first, child = writer.upsert(rows((2, "new"), (3, "new")), items=items((1, 2, "new"), (2, 3, "new")))
    assert (first.status, first.row_count, first.rows_added, first.rows_updated) == ("published", 3, 1, 1)
    assert pairs(writer) == [(1, "old"), (2, "new"), (3, "new")]
    assert skus(writer) == [(1, "old"), (2, "new"), (3, "new")]
    oldest, newest = writer.lake.snapshots("orders")
    assert sorted(oldest.scan().collect().rows()) == [(1, "old"), (2, "old")]
    assert newest.info is not None
    assert newest.info.base == oldest.path
    assert newest.info.children == {ITEMS: child.path}
    assert (newest.path, newest.size) == (first.path, first.bytes)
    assert writer.lake.datasets() == ["orders", ITEMS]


def test_nothing_new_writes_nothing(writer: Writer) -> None:
    writer.upsert(rows((1, "a")))
    (again,) = writer.upsert(rows((1, "a")))
    assert again.status == "unchanged"
    assert len(writer.names()) == 1


def test_held_rows_are_kept_aside(writer: Writer) -> None:
    writer.write([rows((1, "old"))], load_method="overwrite")
    (held,) = writer.write([rows((1, "new"))], load_method="overwrite", proof="open")
    store = writer.lake.store
    (run,) = store.folders(".incomplete")
    assert held.status == "held"
    kept = store.read(f".incomplete/{run}/orders.parquet")
    assert pl.read_parquet(io.BytesIO(kept)).to_dicts() == [{"id": 1, "v": "new"}]
    assert pairs(writer) == [(1, "old")]


def test_names_grow_though_the_clock_goes_back(writer: Writer) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for nth, offset in enumerate([0, -3600, 5]):
        writer.clock = noon + timedelta(seconds=offset)
        writer.upsert(rows((nth, "x")))
    assert writer.names() == [
        "20260101T120000000000Z.parquet",
        "20260101T120000000001Z.parquet",
        "20260101T120005000000Z.parquet",
    ]


@pytest.mark.parametrize("nth", [1, 2])
def test_what_a_dead_writer_decided_the_next_carries_out(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    writer.upsert(rows((1, "old")), items=items((1, 1, "old")))
    kind = type(writer.lake.store)
    real, count = kind.publish, iter(range(1, 10))

    def publish(store: Any, source: str, path: str) -> bool:
        if next(count) == nth:
            raise CrashError
        return bool(real(store, source, path))

    with monkeypatch.context() as patch:
        patch.setattr(kind, "publish", publish)
        with pytest.raises(CrashError):
            writer.upsert(rows((1, "new")), items=items((1, 1, "new")))
    assert (pairs(writer), skus(writer)) == ([(1, "old")], [(1, "old" if nth == 1 else "new")])
    writer.upsert(rows(), items=items())
    assert (pairs(writer), skus(writer)) == ([(1, "new")], [(1, "new")])
    assert writer.names() == writer.names(ITEMS)
    assert writer.lake.store.files("_meta/pending/orders") == []


def test_the_slower_of_two_writers_merges_again(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(writer.lake.store)
    real, others = kind.create, iter([2, 3])

    def create(store: Any, path: str, content: bytes) -> bool:
        other = next(others, None)
        if other is not None:
            Writer(writer.root, runs=other, url=writer.url).upsert(
                rows((other, "other")), items=items((1, other, "other"))
            )
        return bool(real(store, path, content))

    if not writer.url:
        pytest.skip("on a local disk the others wait; test_commit takes their lock away")
    monkeypatch.setattr(kind, "create", create)
    writer.upsert(rows((9, "mine")), items=items((1, 9, "mine")))
    assert [identity for identity, _ in pairs(writer)] == [2, 3, 9]
    assert [identity for identity, _ in skus(writer)] == [2, 3, 9]
    claims = writer.lake.store.files("_meta/claims/orders")
    assert claims[0] == BEGINNING.replace(".parquet", ".json")
    assert len(claims) == 3


def test_runs_are_remembered(writer: Writer) -> None:
    store = writer.lake.store
    one = RunRecord(run_id="20260101T000000000000Z-000001", started_at="2026-01-01T00:00:00Z")
    write_run(store, one)
    one.status = "failed"
    write_run(store, one)
    assert read_runs(store) == [one]


def test_a_name_is_given_once(writer: Writer, tmp_path: Path) -> None:
    store: Store = writer.lake.store
    first = take_in(store, tmp_path, "first", "_meta/pending/a/1")
    second = take_in(store, tmp_path, "second", "_meta/pending/a/2")
    found = [store.publish(path, "raw/a/final") for path in (first, first, second)]
    assert (found, store.read("raw/a/final"), store.size("raw/a/final")) == (
        [True, False, False],
        b"first",
        5,
    )
    store.delete(second)
    with pytest.raises(FileNotFoundError):
        store.publish(second, "raw/a/other")
    assert (store.files("raw/a"), store.folders("raw"), store.size("raw/a/other")) == (["final"], ["a"], None)
    assert store.fetch("raw/a/final", tmp_path).read_bytes() == b"first"
    assert store.exists()


def test_of_two_claims_the_first_stays(writer: Writer) -> None:
    store = writer.lake.store
    assert store.create("_meta/claims/a/1.json", b"first")
    assert not store.create("_meta/claims/a/1.json", b"second")
    assert store.read("_meta/claims/a/1.json") == b"first"


def test_a_broken_file_is_told(writer: Writer, tmp_path: Path) -> None:
    store = writer.lake.store
    store.publish(
        take_in(store, tmp_path, "no Parquet", "_meta/pending/a/1"), "raw/a/20260101T000000000000Z.parquet"
    )
    with pytest.raises(LakeError, match="cannot be read as Parquet"):
        writer.lake.snapshots("a")


def test_a_big_file_travels_in_parts_and_is_read_by_ranges(writer: Writer) -> None:
    frame = rows(*((i, f"{hash((i, 'a'))}{hash((i, 'b'))}") for i in range(700_000)))
    (one,) = writer.upsert(frame)
    assert one.bytes > 10_000_000
    assert writer.lake.latest("orders").select(pl.len(), pl.col("id").sum()).collect().row(0) == (
        700_000,
        sum(range(700_000)),
    )
    assert json.dumps(writer.lake.latest_snapshot("orders").row_count) == "700000"

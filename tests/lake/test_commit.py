"""The commit: children before their stream, one writer at a time, names that grow, files that stay."""

import contextlib
import itertools
import json
import multiprocessing
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from lake_parquet.errors import LakeError
from lake_parquet.footer import Owner
from lake_parquet.local_store import LocalStore
from lake_parquet.parquet_files import ParquetOptions
from tests.lake.writer import ITEMS, Writer, frame

SCHEMA = {"id": pl.Int64, "v": pl.String}
ITEM_SCHEMA = {"_parent_id": pl.Int64, "_position": pl.Int64, "sku": pl.String}


def rows(*pairs: tuple[int, str]) -> pl.DataFrame:
    return frame([{"id": identity, "v": v} for identity, v in pairs], SCHEMA)


def items(*triples: tuple[int, int, str]) -> list[pl.DataFrame]:
    return [
        frame([{"\0row": line, "_parent_id": identity, "_position": 0, "sku": sku}], ITEM_SCHEMA)
        for line, identity, sku in triples
    ] or [frame([], ITEM_SCHEMA)]


def pairs(writer: Writer) -> list[tuple[int, str]]:
    return sorted((row["id"], row["v"]) for row in writer.rows())


def skus(writer: Writer) -> list[tuple[int, str]]:
    return sorted((row["_parent_id"], row["sku"]) for row in writer.rows(ITEMS))


class CrashError(BaseException):
    """The process died."""


def crash_at(monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """Dies before the `nth` file gets its name."""
    count = 0
    real = LocalStore.publish

    def publish(store: LocalStore, source: str, path: str) -> bool:
        nonlocal count
        count += 1
        if count == nth:
            raise CrashError
        return real(store, source, path)

    monkeypatch.setattr(LocalStore, "publish", publish)


@pytest.mark.parametrize("again", ["the same", "the source went back", "nothing"])
@pytest.mark.parametrize("nth", [1, 2])
def test_after_a_crash_each_latest_is_whole_and_the_next_run_carries_out_what_was_decided(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, again: str, nth: int
) -> None:
    writer.upsert(rows((1, "old"), (2, "old")), items=items((1, 1, "old"), (2, 2, "old")))
    with monkeypatch.context() as patch:
        crash_at(patch, nth)
        with pytest.raises(CrashError):
            writer.upsert(rows((1, "new")), items=items((1, 1, "new")))
    assert pairs(writer) == [(1, "old"), (2, "old")]
    assert skus(writer) == [(1, "old" if nth == 1 else "new"), (2, "old")]  # whole, and at most ahead
    if again == "the same":
        writer.upsert(rows((1, "new")), items=items((1, 1, "new")))
    elif again == "the source went back":
        writer.upsert(rows((1, "old")), items=items((1, 1, "old")))
    else:
        writer.upsert(rows(), items=items())
    expected = "old" if again == "the source went back" else "new"
    assert pairs(writer) == [(1, expected), (2, "old")]
    assert skus(writer) == [(1, expected), (2, "old")]
    info = writer.lake.latest_snapshot("orders").info
    assert info is not None
    assert info.children == {ITEMS: writer.lake.latest_snapshot(ITEMS).path}
    assert writer.names() == writer.names(ITEMS)
    assert [path for path in (writer.root / "_meta" / "pending").rglob("*") if path.is_file()] == []


def test_a_crash_before_anything_is_decided_leaves_the_lake_as_it_was(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.upsert(rows((1, "old")), items=items((1, 1, "old")))
    before = {path: path.read_bytes() for path in (writer.root / "raw").rglob("*.parquet")}
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "create", _die)
        with pytest.raises(CrashError):
            writer.upsert(rows((1, "new")), items=items((1, 1, "new")))
    assert {path: path.read_bytes() for path in (writer.root / "raw").rglob("*.parquet")} == before
    writer.upsert(rows(), items=items())
    assert {path: path.read_bytes() for path in (writer.root / "raw").rglob("*.parquet")} == before
    assert [path for path in (writer.root / "_meta" / "pending").rglob("*") if path.is_file()] == []


def _die(*_: object) -> bool:
    raise CrashError


def test_a_claim_that_a_power_cut_emptied_or_whose_files_it_took_holds_nobody_up(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.upsert(rows((1, "old")))
    for loss in ("the claim's contents", "the files"):
        with monkeypatch.context() as patch:
            crash_at(patch, 1)
            with pytest.raises(CrashError):
                writer.upsert(rows((1, "lost")))
        lost = "claims" if loss == "the claim's contents" else "pending"
        newest = max((writer.root / "_meta" / lost / "orders").iterdir())
        if lost == "claims":
            newest.write_bytes(b"")
        else:
            newest.unlink()
    writer.upsert(rows((2, "new")))
    assert pairs(writer) == [(1, "old"), (2, "new")]


def test_a_stream_whose_childs_file_was_lost_on_the_way_is_not_published_without_it(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.upsert(rows((1, "old")), items=items((1, 1, "old")))
    with monkeypatch.context() as patch:
        crash_at(patch, 1)
        with pytest.raises(CrashError):
            writer.upsert(rows((1, "lost")), items=items((1, 1, "lost")))
    (lost,) = (writer.root / "_meta" / "pending" / "orders").glob(f"*{ITEMS}*")
    lost.unlink()

    writer.upsert(rows((2, "new")), items=items((1, 2, "new")))

    assert pairs(writer) == [(1, "old"), (2, "new")]
    assert skus(writer) == [(1, "old"), (2, "new")]
    assert len(writer.names()) == len(writer.names(ITEMS)) == 2


def test_a_latest_that_was_moved_away_is_not_brought_back(writer: Writer) -> None:
    """Who goes back to an earlier snapshot by hand gets just that."""
    writer.upsert(rows((1, "good")))
    writer.upsert(rows((1, "bad"), (2, "bad")))
    bad = writer.names()[-1]
    (writer.root / "raw" / "orders" / bad).unlink()
    writer.upsert(rows((3, "new")))
    assert pairs(writer) == [(1, "good"), (3, "new")]
    assert writer.names()[-1] > bad


def test_a_foreign_file_under_the_decided_name_is_told(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        crash_at(patch, 1)
        with pytest.raises(CrashError):
            writer.upsert(rows((1, "a")), items=items((1, 1, "a")))
    (claim,) = (writer.root / "_meta" / "claims" / "orders").iterdir()
    name = json.loads(claim.read_text())["name"]
    folder = writer.root / "raw" / ITEMS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("not ours")
    with pytest.raises(LakeError, match=f"{ITEMS}/{name} stands where run .* is to publish"):
        writer.upsert(rows((1, "a")))


def test_without_a_lock_the_slower_writer_merges_again(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer publishes just before this one would."""
    writer.upsert(rows((1, "a")), items=items((1, 1, "a")))
    real = LocalStore.create
    others = iter(range(2, 5))

    def create(store: LocalStore, path: str, content: bytes) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "create", real)
            for identity in itertools.islice(others, 1):
                Writer(writer.root, runs=identity).upsert(
                    rows((identity, "other")), items=items((1, identity, "other"))
                )
        return real(store, path, content)

    monkeypatch.setattr(LocalStore, "turn", lambda *_, **__: contextlib.nullcontext(enter_result=False))
    monkeypatch.setattr(LocalStore, "create", create)
    writer.upsert(rows((9, "mine")), items=items((1, 9, "mine")))
    assert [identity for identity, _ in pairs(writer)] == [1, 2, 3, 4, 9]
    assert [identity for identity, _ in skus(writer)] == [1, 2, 3, 4, 9]
    assert writer.names() == writer.names(ITEMS)


def test_earlier_snapshots_never_change(writer: Writer) -> None:
    kept: dict[Path, bytes] = {}
    for nth in range(5):
        writer.upsert(rows((nth % 2, f"{nth}")), items=items((1, nth % 2, f"{nth}")))
        assert {path: path.read_bytes() for path in kept} == kept
        kept = {path: path.read_bytes() for path in (writer.root / "raw").rglob("*.parquet")}
    assert len(kept) == 10


def test_names_grow_though_the_clock_goes_back(writer: Writer) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for nth, offset in enumerate([0, -3600, -3600, 0, 5, 4]):
        writer.clock = noon + timedelta(seconds=offset)
        writer.upsert(rows((nth, "x")))
    assert writer.names() == [
        "20260101T120000000000Z.parquet",
        "20260101T120000000001Z.parquet",
        "20260101T120000000002Z.parquet",
        "20260101T120000000003Z.parquet",
        "20260101T120005000000Z.parquet",
        "20260101T120005000001Z.parquet",
    ]
    assert len(writer.rows()) == 6


def test_a_clock_that_is_far_behind_is_noted(writer: Writer) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    notes = []
    for minutes in (0, -4, -6):
        writer.clock = noon + timedelta(minutes=minutes)
        (one,) = writer.upsert(rows((minutes, "x")))
        notes.append(one.notes)
    name = "20260101T120000000002Z.parquet"
    assert notes == [[], [], [f"the clock is behind the names that are there: {name} is in the future"]]


def test_a_child_and_its_stream_share_one_name_past_all_that_are_there(writer: Writer) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    writer.clock = noon + timedelta(hours=1)
    writer.upsert(rows((1, "a")), items=items((1, 1, "a")))
    writer.clock = noon
    writer.upsert(rows((1, "b")), items=items((1, 1, "b")))
    assert writer.names()[-1] == writer.names(ITEMS)[-1] == "20260101T130000000001Z.parquet"


def _append(root: Path, first: int, rounds: int) -> None:
    writer = Writer(root)
    for nth in range(rounds):
        identity = first + nth
        writer.upsert(rows((identity, "x")), items=items((1, identity, f"{identity}")))


def test_writers_at_once_on_one_dataset_all_land(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(tmp_path / "lake", 100 * n, 6)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    writer = Writer(tmp_path / "lake")
    expected = [100 * n + i for n in range(3) for i in range(6)]
    assert [identity for identity, _ in pairs(writer)] == expected
    assert [identity for identity, _ in skus(writer)] == expected
    assert len(writer.names()) == 18


def test_a_held_family_keeps_its_rows_aside_and_its_latest(writer: Writer) -> None:
    writer.write([rows((1, "old"))], load_method="overwrite", items=items((1, 1, "old")))
    stream, child = writer.write(
        [rows((1, "new"))], load_method="overwrite", items=items((1, 1, "new")), proof="open"
    )
    assert (stream.status, child.status, stream.proof) == ("held", "held", "open")
    assert (pairs(writer), skus(writer)) == ([(1, "old")], [(1, "old")])
    kept = {
        path.name: pl.read_parquet(path).to_dicts()
        for path in (writer.root / ".incomplete").rglob("*.parquet")
    }
    assert kept == {
        "orders.parquet": [{"id": 1, "v": "new"}],
        "orders__items.parquet": [{"_parent_id": 1, "_position": 0, "sku": "new"}],
    }
    assert child.notes[0] == "held with orders"
    assert stream.row_count == 1


def test_a_child_that_vanished_from_the_schema_is_no_longer_of_the_family(writer: Writer) -> None:
    writer.upsert(rows((1, "a")), items=items((1, 1, "a")))
    writer.upsert(rows((2, "b")))
    assert pairs(writer) == [(1, "a"), (2, "b")]
    assert skus(writer) == [(1, "a")]


def test_a_child_that_is_new_is_published_though_nothing_else_is(writer: Writer) -> None:
    writer.upsert(rows((1, "a")))
    writer.upsert(rows(), items=items())
    assert skus(writer) == []
    assert len(writer.names(ITEMS)) == 1


def test_each_file_says_what_it_is(writer: Writer) -> None:
    owner = Owner("orders", "acme", "shop")
    writer.upsert(
        rows((1, "a")), items=items((1, 1, "a")), owner=owner, origin="api", replication_keys=("v",)
    )
    base = writer.lake.latest_snapshot("orders").path
    writer.upsert(
        rows((2, "b")), items=items(), owner=owner, origin="api", replication_keys=("v",), version=7
    )
    info = writer.lake.latest_snapshot("orders").info
    assert info is not None
    assert (info.owner, info.origin, info.tap, info.load_method) == (owner, "api", "tap-test", "upsert")
    assert (info.keys, info.replication_keys, info.row_count, info.base) == (("id",), ("v",), 1, None)
    assert base != writer.lake.latest_snapshot("orders").path
    child = writer.lake.latest_snapshot(ITEMS).info
    assert child is not None
    assert child.owner == Owner("orders", "acme", "shop", "items")
    assert child.keys == ("_parent_id", "_position")


def test_a_missing_file_of_the_family_is_told_and_changes_nothing(writer: Writer) -> None:
    writer.upsert(rows((1, "a")), items=items((1, 1, "a")))
    shutil.rmtree(writer.root / "raw" / ITEMS)
    with pytest.raises(LakeError, match=r"orders__items/.*cannot be read"):
        writer.upsert(rows((2, "b")), items=items((1, 2, "b")))
    assert pairs(writer) == [(1, "a")]


@pytest.mark.parametrize("name", ["99991231T235959999999Z.parquet", "20269999T000000000000Z.parquet"])
def test_a_planted_name_that_none_can_follow_is_told(writer: Writer, name: str) -> None:
    writer.upsert(rows((1, "a")), items=items((1, 1, "a")))
    (writer.root / "raw" / ITEMS / name).touch()
    with pytest.raises(LakeError, match="no name can follow"):
        writer.upsert(rows((1, "b")), items=items((1, 1, "b")))
    assert pairs(writer) == [(1, "a")]


def test_a_file_of_other_making_is_never_built_upon(writer: Writer) -> None:
    folder = writer.root / "raw" / "orders"
    folder.mkdir(parents=True)
    pl.DataFrame({"id": [1]}).write_parquet(folder / "20260101T000000000000Z.parquet")
    (one,) = writer.upsert(rows((1, "a")))
    assert one.status == "held"
    assert "was not written by this project" in one.notes[0]


OPTIONS: list[tuple[ParquetOptions, str]] = [
    (ParquetOptions("zstd"), "ZSTD"),
    (ParquetOptions("snappy"), "SNAPPY"),
    (ParquetOptions("gzip", 9), "GZIP"),
    (ParquetOptions("lz4"), "LZ4"),
    (ParquetOptions("uncompressed"), "UNCOMPRESSED"),
]


@pytest.mark.parametrize(("options", "codec"), OPTIONS)
def test_a_file_is_compressed_as_asked(writer: Writer, options: ParquetOptions, codec: str) -> None:
    writer.options = options
    writer.upsert(rows((1, "a")))
    metadata = _metadata(writer)
    assert metadata.row_group(0).column(0).compression == codec


def test_row_groups_have_the_size_asked_for(writer: Writer) -> None:
    writer.options = ParquetOptions(row_group_rows=1000)
    writer.upsert(rows(*((i, "a") for i in range(2500))))
    metadata = _metadata(writer)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1000, 1000, 500]


def _metadata(writer: Writer) -> Any:
    return pq.read_metadata(writer.root / writer.lake.latest_snapshot("orders").path)

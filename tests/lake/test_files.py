"""The few file operations that durability rests on."""

import json
import multiprocessing
import multiprocessing.connection
import os
from pathlib import Path

import pytest

from lake_parquet import files
from lake_parquet.deadruns import sweep
from lake_parquet.footer import Owner, SnapshotInfo, read_info
from lake_parquet.local_store import LocalStore
from lake_parquet.staging import Staging


def test_a_small_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs" / "one.json"
    files.write_bytes(path, b"old")
    monkeypatch.setattr(files, "sync_file", _fail)
    with pytest.raises(OSError, match="no sync"):
        files.write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert [one.name for one in path.parent.iterdir()] == ["one.json"]


def _fail(_: Path) -> None:
    raise OSError("no sync")


def test_a_lock_is_held_by_one_and_freed_by_death(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    context = multiprocessing.get_context("spawn")
    parent, child = context.Pipe()
    process = context.Process(target=_hold, args=(path, child))
    process.start()
    assert parent.recv() == "held"
    assert files.try_lock(path) is None
    process.kill()
    process.join()
    with files.locked(path):
        assert path.exists()


def _hold(path: Path, pipe: "multiprocessing.connection.Connection[str, str]") -> None:
    files.try_lock(path)
    pipe.send("held")
    pipe.recv()


def test_staging_of_a_dead_run_is_swept_and_a_live_ones_is_not(tmp_path: Path) -> None:
    live, dead = Staging(tmp_path, "live"), Staging(tmp_path, "dead")
    assert dead._lock is not None
    os.close(dead._lock)  # as the system does when a process dies
    (tmp_path / ".staging" / "link").symlink_to(tmp_path)
    told = "Removed what the dead run dead left in staging; nothing printed rests on it."
    assert sweep(LocalStore(tmp_path)) == [told]
    assert live.folder.is_dir()
    live.close()
    assert sorted(one.name for one in (tmp_path / ".staging").iterdir()) == ["link", "lock"]


FULL = SnapshotInfo(
    run_id="r",
    owner=Owner("orders", "acme", "shop", "items"),
    created_at="2026-01-01T00:00:00Z",
    load_method="upsert",
    row_count=3,
    keys=("id", "line"),
    replication_keys=("at",),
    origin="api",
    tap="tap-shop",
    version=2**62,
    base="raw/a/b.parquet",
    children={"a__b": "raw/a__b/c.parquet"},
    json_columns=("j",),
    schema={"properties": {"n": {"maximum": 10**40, "multipleOf": 1e-38}}},
)


def test_a_footer_reads_back_as_it_was_written() -> None:
    metadata = {name.encode(): text.encode() for name, text in FULL.to_metadata().items()}
    found = read_info(metadata)
    assert found is not None
    assert found.owner == FULL.owner
    left, right = json.loads(FULL.to_metadata()["lake"]), json.loads(found.to_metadata()["lake"])
    assert left == right
    assert left["schema"]["properties"]["n"]["maximum"] == 10**40


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[]", b"{}", b'{"format": 1}'])
def test_a_footer_of_other_making_is_none(raw: bytes | None) -> None:
    assert read_info({} if raw is None else {b"lake": raw}) is None
    assert read_info(None) is None

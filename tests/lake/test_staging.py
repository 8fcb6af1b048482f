"""Where a run's rows wait: small blocks that came last in memory, all others in files."""

from pathlib import Path

import polars as pl
import pytest

from lake_parquet import staging
from lake_parquet.errors import LakeError
from lake_parquet.family import Family, Member
from lake_parquet.footer import Owner
from lake_parquet.journal import read_journal
from lake_parquet.policy import StreamFacts
from lake_parquet.staging import Staging
from tests.lake.writer import frame

SCHEMA = {"id": pl.Int64}
ROW_BYTES = 16
"""Of `ROW` and `id`."""


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Staging:
    """Blocks of up to four rows are small, and ten rows are what stays in memory."""
    monkeypatch.setattr(staging, "SMALL_BLOCK", 4 * ROW_BYTES)
    monkeypatch.setattr(staging, "RECENT_BYTES", 10 * ROW_BYTES + 1)
    return Staging(tmp_path, "run")


def block(*ids: int) -> pl.DataFrame:
    return frame([{"id": one} for one in ids], SCHEMA)


def ids(waiting: Staging, dataset: str) -> list[list[int]]:
    return [rows.collect()["id"].to_list() for rows in waiting.segments(dataset)]


def files(waiting: Staging) -> list[str]:
    return sorted(path.name for path in waiting.folder.glob("*.segment"))


def keep(waiting: Staging, dataset: str = "a") -> None:
    owner = Owner(dataset)
    waiting.keep([(Family(Member(dataset, owner, ())), StreamFacts(owner=owner, proof="open"))])


def test_small_blocks_stay_in_memory_and_the_oldest_make_room(waiting: Staging) -> None:
    waiting.append("a", block(1, 2, 3, 4))
    waiting.append("b", block(5, 6, 7, 8))
    assert files(waiting) == []
    waiting.append("a", block(9, 10, 11))
    assert files(waiting) == ["a.000000.segment"]
    waiting.append("a", block(12))
    assert files(waiting) == ["a.000000.segment"]
    assert ids(waiting, "a") == [[1, 2, 3, 4], [9, 10, 11], [12]]
    assert ids(waiting, "b") == [[5, 6, 7, 8]]
    assert (waiting.height("a"), waiting.height("b")) == (8, 4)


def test_a_large_block_goes_to_disk_and_the_order_stays(waiting: Staging) -> None:
    waiting.append("a", block(1))
    waiting.append("a", block(2, 3, 4, 5, 6))
    waiting.append("a", block(7))
    assert files(waiting) == ["a.000001.segment"]
    assert ids(waiting, "a") == [[1], [2, 3, 4, 5, 6], [7]]


def test_a_large_block_that_cannot_be_written_does_not_count(waiting: Staging) -> None:
    waiting.append("a", block(1))
    in_the_way = waiting.folder / "a.000001.segment"
    in_the_way.mkdir()
    with pytest.raises(LakeError, match="cannot be written to staging"):
        waiting.append("a", block(2, 3, 4, 5, 6))
    in_the_way.rmdir()
    keep(waiting)
    journal = read_journal(waiting.folder)
    assert journal is not None
    assert journal.families[0].segments == {"a": ["a.000000.segment"]}
    assert (ids(waiting, "a"), waiting.height("a")) == ([[1]], 1)


def test_all_is_in_files_before_a_journal_names_it(waiting: Staging) -> None:
    waiting.append("a", block())
    waiting.append("b", block(1))
    waiting.append("a", block(2))
    keep(waiting)
    journal = read_journal(waiting.folder)
    assert journal is not None
    (kept,) = journal.families
    assert kept.segments == {"a": ["a.000000.segment", "a.000001.segment"]}
    assert files(waiting) == ["a.000000.segment", "a.000001.segment", "b.000000.segment"]
    assert ids(waiting, "a") == [[], [2]]
    waiting.append("a", block(3))
    assert ids(waiting, "a") == [[], [2], [3]]


def test_a_block_that_cannot_be_written_is_named_by_no_journal_until_it_is(waiting: Staging) -> None:
    waiting.append("a", block(1))
    waiting.append("b", block(2))
    in_the_way = waiting.folder / "a.000000.segment"
    in_the_way.mkdir()
    for dataset in ("a", "b"):
        with pytest.raises(LakeError, match="mend the lake's disk and run again"):
            keep(waiting, dataset)
    assert read_journal(waiting.folder) is None
    in_the_way.rmdir()
    keep(waiting)
    assert files(waiting) == ["a.000000.segment", "b.000000.segment"]
    assert ids(waiting, "a") + ids(waiting, "b") == [[1], [2]]

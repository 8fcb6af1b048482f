"""What a run that died left in staging goes in an order that another death does no harm to."""

from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import polars as pl
import pytest

from lake_parquet import deadruns, paths
from lake_parquet.errors import LakeError
from lake_parquet.journal import read_journal
from tests.lake.writer import Writer, frame

SCHEMA = {"id": pl.Int64}
ROW_OF_TEXT = {"id": pl.Int64, "at": pl.String}


class Died(BaseException):
    """The process ended here."""


def test_a_run_that_dies_while_it_clears_away_merged_rows_leaves_no_journal_that_names_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removes_one(folder: Path, **_: object) -> None:
        min(folder.glob("*.segment")).unlink()
        raise Died

    writer = Writer(tmp_path)
    folder = writer.leave(*(frame([{"id": 10 + row}], SCHEMA, row) for row in (1, 2)))
    with monkeypatch.context() as patched:
        patched.setattr(deadruns, "shutil", SimpleNamespace(rmtree=removes_one))
        with pytest.raises(Died):
            writer.upsert(frame([{"id": 1}], SCHEMA))

    journal = read_journal(folder)
    assert journal is not None
    assert journal.families == []
    assert len(list(folder.glob("*.segment"))) == 1

    deadruns.sweep(writer.lake.store)
    writer.upsert(frame([{"id": 2}], SCHEMA))
    assert sorted(row["id"] for row in writer.rows()) == [1, 2, 11, 12]
    assert list((tmp_path / paths.STAGING).glob("*/")) == []
    assert not (tmp_path / paths.INCOMPLETE).exists()


@pytest.mark.parametrize("late", ["its journal", "the folder of runs"])
def test_rows_that_could_not_be_looked_at_once_are_still_merged_before_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """A lock that stayed with the process made it pass the dead run over; a later run put its rows on top."""
    writer = Writer(tmp_path)
    writer.leave(frame([{"id": 1, "at": "old"}], ROW_OF_TEXT))
    with monkeypatch.context() as patched:
        if late == "its journal":
            patched.setattr(deadruns, "read_journal", lambda _: fail(LakeError("EIO")))
            with pytest.raises(LakeError):
                list(deadruns.dead_runs(tmp_path))
        else:
            patched.setattr(deadruns, "_set_aside", lambda *_: fail(OSError("EIO")))
            deadruns.sweep(writer.lake.store)

    writer.upsert(frame([{"id": 1, "at": "new"}], ROW_OF_TEXT))

    assert writer.rows() == [{"id": 1, "at": "new"}]
    assert list((tmp_path / paths.STAGING).glob("*/")) == []


def fail(error: Exception) -> NoReturn:
    raise error

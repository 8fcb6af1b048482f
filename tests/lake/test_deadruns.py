"""What a run that died left in staging goes in an order that another death does no harm to."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from lake_parquet import deadruns, paths
from lake_parquet.family import Family, Member
from lake_parquet.footer import Owner
from lake_parquet.journal import read_journal
from lake_parquet.policy import StreamFacts
from lake_parquet.staging import Staging
from tests.lake.writer import Writer, frame

SCHEMA = {"id": pl.Int64}
OWNER = Owner("orders")
FACTS = StreamFacts(owner=OWNER, keys=("id",), proof="open", incremental=True, load_method="upsert")


class Died(BaseException):
    """The process ended here."""


def left(root: Path, number: int) -> Path:
    """A run that kept rows in staging and died."""
    staging = Staging(root, paths.run_id(datetime(2026, 1, number, tzinfo=UTC), f"dead{number:02}"))
    for row in (1, 2):
        staging.append("orders", frame([{"id": 10 * number + row}], SCHEMA, row))
    staging.keep([(Family(Member("orders", OWNER, ("id",), rows_read=2)), FACTS)])
    staging.close()
    return staging.folder


def test_a_run_that_dies_while_it_clears_away_merged_rows_leaves_no_journal_that_names_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removes_one(folder: Path, **_: object) -> None:
        min(folder.glob("*.segment")).unlink()
        raise Died

    writer, folder = Writer(tmp_path), left(tmp_path, 1)
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

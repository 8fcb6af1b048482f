"""The command `lake` over an object store tells and does what it does over a folder."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from click.testing import CliRunner, Result

from lake_parquet.cli import main
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from tests.lake.test_commit import rows
from tests.lake.writer import Writer

NOW = datetime.now(UTC)


def lake(writer: Writer, *argv: str) -> Result:
    return CliRunner().invoke(main, [*argv, "--lake", writer.url or str(writer.root)])


def parsed(writer: Writer, *argv: str) -> Any:
    return json.loads(lake(writer, *argv, "--json").stdout)


def lived(writer: Writer) -> list[str]:
    """Three snapshots of three days; their paths."""
    for day, values in ((9, "ab"), (8, "ac"), (0, "acd")):
        writer.clock = NOW - timedelta(days=day, minutes=1)
        writer.upsert(rows(*enumerate(values, 1)))
    record = RunRecord(run_id="20260101T000000000000Z-000001", started_at=NOW.isoformat())
    record.datasets = [DatasetSummary(dataset="orders", stream="orders", status="published", row_count=3)]
    write_run(writer.lake.store, record)
    return [one.path for one in writer.lake.snapshots("orders")]


def test_ls_show_check_and_runs_tell(writer: Writer) -> None:
    paths = lived(writer)
    (one,) = parsed(writer, "ls")
    assert (one["dataset"], one["row_count"], one["trend"], one["snapshots"], one["path"]) == (
        "orders", 3, [2, 2, 3], 3, paths[-1],
    )  # fmt: skip
    assert [each["path"] for each in parsed(writer, "show", "orders")["snapshots"]] == paths
    assert (lake(writer, "check").exit_code, lake(writer, "check").stdout) == (0, "")
    assert [run["run_id"] for run in parsed(writer, "runs")] == ["20260101T000000000000Z-000001"]


def test_diff_compares(writer: Writer) -> None:
    lived(writer)
    found = parsed(writer, "diff", "orders")
    assert (found["added"], found["changed"], found["deleted"]) == (1, 0, 0)


def test_verify_reads_every_row_and_finds_a_broken_file(writer: Writer) -> None:
    paths = lived(writer)
    assert [(one["path"], one["row_count"], one["problems"]) for one in parsed(writer, "verify")] == [
        (path, count, []) for path, count in zip(paths, (2, 2, 3), strict=True)
    ]
    writer.lake.store.write("raw/orders/20200101T000000000000Z.parquet", b"no Parquet")
    result = lake(writer, "verify")
    assert result.exit_code == 1
    assert "20200101T000000000000Z.parquet cannot be read as Parquet" in result.stdout


def test_prune_removes_what_may_go(writer: Writer) -> None:
    paths = lived(writer)
    asked = ("prune", "--keep-last", "1", "--keep-daily", "0")
    assert [one["path"] for one in parsed(writer, *asked)["snapshots"]] == paths[:1]
    assert len(writer.names()) == 3
    assert lake(writer, *asked, "--yes").exit_code == 0
    assert [one.path for one in writer.lake.snapshots("orders")] == paths[1:]
    assert writer.lake.latest("orders").select(pl.len()).collect().item() == 3


def test_sql_answers_over_a_folder_and_refuses_clearly_over_a_store(writer: Writer) -> None:
    lived(writer)
    result = lake(writer, "sql", "select count(*) as n from orders")
    if writer.url:
        assert (result.exit_code, "is an object store: use Lake.latest" in result.stderr) == (1, True)
    else:
        assert result.stdout == "n\n3\n"

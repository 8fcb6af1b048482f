"""The library's reading side and the `lake` command: `ls`, `show`, `runs`, with and without --json."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from lake_parquet import Lake
from lake_parquet.cli import main, readable_age, readable_bytes
from lake_parquet.errors import LakeError
from lake_parquet.footer import Owner
from lake_parquet.runs import DatasetSummary, RunRecord, read_runs, write_run
from lake_parquet.store import open_store
from tests.lake.writer import Writer, frame

SCHEMA = {"id": pl.Int64, "[bold]": pl.String}


def invoke(root: Path, *argv: str) -> Result:
    return CliRunner().invoke(main, [*argv, "--lake", str(root)])


def parsed(root: Path, *argv: str) -> Any:
    result = invoke(root, *argv, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


@pytest.fixture
def filled(writer: Writer) -> Writer:
    owner = Owner("orders", None, "shop")
    writer.upsert(frame([{"id": 1, "[bold]": "a"}], SCHEMA), owner=owner, origin="api")
    writer.upsert(frame([{"id": 2, "[bold]": "b"}], SCHEMA), owner=owner, origin="api")
    return writer


def test_ls_lists_each_dataset_with_its_latest(filled: Writer) -> None:
    (one,) = parsed(filled.root, "ls")
    latest = filled.lake.latest_snapshot("orders")
    assert latest.info is not None
    assert one == {
        "dataset": "orders",
        "row_count": 2,
        "bytes": (filled.root / latest.path).stat().st_size,
        "columns": 2,
        "created_at": latest.info.created_at,
        "read_at": latest.info.created_at,
        "source": "shop_api",
        "path": latest.path,
    }
    header, row = invoke(filled.root, "ls").stdout.splitlines()
    assert header.split() == ["dataset", "rows", "size", "columns", "age", "source"]
    assert row.split()[:2] == ["orders", "2"]
    assert row.split()[-1] == "shop_api"


def test_age_counts_from_the_last_run_that_read_the_dataset(filled: Writer) -> None:
    """A quiet table that is read every night is fresh, though its file is old."""
    quiet = DatasetSummary(dataset="orders", stream="orders", status="unchanged")
    held = DatasetSummary(dataset="orders", stream="orders", status="held")
    for number, (moment, one) in enumerate([("2030-01-01T00:00:00Z", quiet), ("2031-01-01T00:00:00Z", held)]):
        run = RunRecord(run_id=f"2030010{number}", started_at=moment, finished_at=moment, datasets=[one])
        write_run(filled.lake.store, run)
    (one,) = parsed(filled.root, "ls")
    assert one["read_at"] == "2030-01-01T00:00:00Z"


def test_an_empty_lake_is_said_to_be_empty_and_none_to_be_none(tmp_path: Path) -> None:
    result = invoke(tmp_path, "ls")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "is empty" in result.stderr
    assert parsed(tmp_path, "ls") == []
    assert parsed(tmp_path, "runs") == []
    result = invoke(tmp_path / "none", "ls")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no lake at" in result.stderr


def test_show_tells_columns_history_and_a_sample(filled: Writer) -> None:
    shown = parsed(filled.root, "show", "orders")
    assert shown["dataset"] == "orders"
    assert shown["columns"] == {"id": "Int64", "[bold]": "String"}
    assert [one["row_count"] for one in shown["snapshots"]] == [1, 2]
    assert shown["info"]["owner"] == {"stream": "orders", "tenant": None, "source": "shop", "child": None}
    text = invoke(filled.root, "show", "orders").stdout
    assert "[bold]" in text.splitlines()[2]
    assert filled.names()[0] in text


def test_show_of_what_is_not_there_names_what_is(filled: Writer) -> None:
    result = invoke(filled.root, "show", "oders")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no dataset 'oders'")
    assert "there are: orders" in result.stderr


RUN = RunRecord(
    run_id="20260101T000000000000Z-000001",
    started_at="2026-01-01T00:00:00.000000Z",
    finished_at="2026-01-01T00:00:01.000000Z",
    tap="tap-shop",
    datasets=[
        DatasetSummary(dataset="orders", stream="orders", status="published", row_count=1234, rows_added=5)
    ],
)


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert write_run(store, RUN) == "_meta/runs/20260101T000000000000Z-000001.json"
    assert read_runs(store) == [RUN]


def test_runs_lists_the_last_ones_the_newest_first(tmp_path: Path) -> None:
    write_run(open_store(str(tmp_path)), RUN)
    failed = RunRecord(
        run_id="20260102T000000000000Z-000002",
        started_at="2026-01-02T00:00:00Z",
        status="failed",
        error="line 1 [x]",
    )
    write_run(open_store(str(tmp_path)), failed)
    assert [run["run_id"] for run in parsed(tmp_path, "runs")] == [
        RUN.run_id,
        "20260102T000000000000Z-000002",
    ]
    assert [run["run_id"] for run in parsed(tmp_path, "runs", "--last", "1")] == [
        "20260102T000000000000Z-000002"
    ]
    _, newest, older = invoke(tmp_path, "runs").stdout.splitlines()
    assert "failed" in newest
    assert "line 1 [x]" in newest
    assert older.split()[-4:] == ["orders", "published", "1,234", "5"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_broken_run_record_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "_meta/runs").mkdir(parents=True)
    (tmp_path / "_meta/runs/2026.json").write_bytes(content)
    result = invoke(tmp_path, "runs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "2026.json is no record of a run" in result.stderr


def test_a_broken_snapshot_is_one_line(filled: Writer) -> None:
    broken = filled.root / "raw/orders/99990101T000000000000Z.parquet"
    broken.write_bytes(b"PAR1")
    for command in (["ls"], ["show", "orders"]):
        result = invoke(filled.root, *command)
        assert result.exit_code == 1
        assert "cannot be read as Parquet" in result.stderr


def test_the_latest_of_many_datasets_is_united_by_pattern(tmp_path: Path) -> None:
    for name, schema, value in (("acme_orders", pl.Int64, 1), ("bolt_orders", pl.String, "x")):
        folder = tmp_path / "raw" / name
        folder.mkdir(parents=True)
        pl.DataFrame({"v": pl.Series([value], dtype=schema)}).write_parquet(
            folder / "20260101T000000000000Z.parquet"
        )
    lake = Lake(tmp_path)
    assert lake.datasets() == ["acme_orders", "bolt_orders"]
    assert lake.latest("*_orders").collect()["v"].to_list() == ["1", "x"]
    assert lake.latest("bolt_orders").collect()["v"].to_list() == ["x"]
    with pytest.raises(LakeError, match="no dataset matches"):
        lake.latest("*_customers")
    (one,) = [row for row in parsed(tmp_path, "ls") if row["dataset"] == "acme_orders"]
    assert (one["source"], one["created_at"]) == (None, "2026-01-01T00:00:00+00:00")


def test_another_kind_of_store_is_refused() -> None:
    result = CliRunner().invoke(main, ["ls", "--lake", "ftp://bucket"])
    assert result.exit_code == 2
    assert "no kind of store" in result.stderr


SIZES = [
    (0, "0 B"),
    (999, "999 B"),
    (1000, "1.0 kB"),
    (14_400, "14 kB"),
    (2_500_000, "2.5 MB"),
    (10**13, "10.0 TB"),
]


@pytest.mark.parametrize(("count", "text"), SIZES)
def test_a_size_is_written_for_people(count: int, text: str) -> None:
    assert readable_bytes(count) == text


def test_an_age_is_written_for_people() -> None:
    assert readable_age("1970-01-01T00:00:00Z").endswith(" d")
    assert readable_age("9999-01-01T00:00:00Z") == "0 s"

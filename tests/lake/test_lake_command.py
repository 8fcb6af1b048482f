"""The library's reading side and the `lake` command: `ls`, `show`, `runs`, with and without --json."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner, Result

from lake_parquet import Lake
from lake_parquet.cli import main
from lake_parquet.errors import LakeError
from lake_parquet.footer import Owner
from lake_parquet.readable import PLAIN_BARS, readable_bytes, readable_time, sparkline
from lake_parquet.runs import DatasetSummary, RunRecord, read_runs, write_run
from lake_parquet.store import open_store
from tests.lake.writer import Writer, frame

OVERVIEW = ("dataset", "rows", "trend", "last run", "size", "cols", "age", "source", "notes")
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
    size = (filled.root / latest.path).stat().st_size
    assert one == {
        "dataset": "orders",
        "tenant": None,
        "source": "shop_api",
        "row_count": 2,
        "bytes": size,
        "columns": 2,
        "snapshots": 2,
        "trend": [1, 2],
        "created_at": latest.info.created_at,
        "read_at": latest.info.created_at,
        "last_run": None,
        "path": latest.path,
        "notes": [],
    }
    result = invoke(filled.root, "ls")
    header, row = result.stdout.splitlines()
    assert re.split("  +", header) == list(OVERVIEW)
    assert re.fullmatch(r"orders +2  ▅█     - +\d\.\d kB     2  \d s  shop_api  -", row)
    assert result.stderr == (
        f"{filled.root}: 1 dataset, 2 rows, {readable_bytes(size)} in the latest snapshots\nnothing odd\n"
    )


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
    assert shown["columns"] == {"id": "int64", "[bold]": "string"}
    assert shown["sample"] == [{"id": 1, "[bold]": "a"}, {"id": 2, "[bold]": "b"}]
    assert [one["row_count"] for one in shown["snapshots"]] == [1, 2]
    assert shown["info"]["owner"] == {"stream": "orders", "tenant": None, "source": "shop", "child": None}
    text = invoke(filled.root, "show", "orders").stdout
    assert "\nid      int64   1 | 2\n[bold]  string  a | b\n" in text
    older, newer = filled.names()
    assert text.index(newer) < text.index(older)


def test_ls_sums_up_the_last_day_and_show_tells_the_last_run(filled: Writer) -> None:
    now = datetime.now(UTC)
    for number, hours in enumerate((5, 20, 30)):
        began = (now - timedelta(hours=hours)).isoformat()
        one = DatasetSummary(
            dataset="orders", stream="orders", status="published", rows_added=5, rows_updated=2
        )
        other = DatasetSummary(dataset="gone", stream="gone", status="published", rows_added=1000)
        run = RunRecord(
            run_id=f"2026010{9 - number}T000000000000Z-000001", started_at=began, datasets=[one, other]
        )
        run.status = "incomplete" if hours == 20 else "ok"
        run.tenant_id, run.source = "acme", "shop"
        write_run(filled.lake.store, run)
    told = invoke(filled.root, "ls").stderr.splitlines()
    assert told[1:] == [
        "last 24 h: 2 runs (1 not ok), 1 dataset loaded, +10 ~4 -0 rows",
        "last run 5 h ago (acme / shop): ok",
        "nothing odd",
    ]
    assert "\nlast run   5 h ago: +5 ~2 -0\n" in invoke(filled.root, "show", "orders").stdout


def test_show_tells_why_the_last_run_was_held(filled: Writer) -> None:
    held = DatasetSummary(dataset="orders", stream="orders", status="held", notes=["rows fell"], path="x")
    write_run(filled.lake.store, msgspec.structs.replace(RUN, datasets=[held]))
    shown = invoke(filled.root, "show", "orders").stdout.splitlines()
    assert [line.split() for line in shown if line.startswith("held")] == [["held", "rows", "fell"]]


def test_show_of_what_is_not_there_names_what_is(filled: Writer) -> None:
    result = invoke(filled.root, "show", "oders")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: no dataset 'oders' in {filled.root}: did you mean orders?\n"


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
    assert re.split("  +", older)[3:] == [
        "ok",
        "tap-shop",
        "orders",
        "published",
        "1,234",
        "0",
        "+5 ~0 -0",
        "-",
    ]


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
    result = invoke(filled.root, "show", "orders")
    assert result.exit_code == 1
    assert "cannot be read as Parquet" in result.stderr
    (one,) = parsed(filled.root, "ls")  # which goes on with the others
    assert [note["kind"] for note in one["notes"]] == ["unreadable"]
    assert one["row_count"] is None


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
    assert (one["source"], one["created_at"]) == (None, "2026-01-01T00:00:00Z")


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


TIMES = [(-5, "0 s"), (99, "99 s"), (100, "1 min"), (5999, "99 min"), (6000, "1 h"), (26 * 3600, "26 h")]


@pytest.mark.parametrize(("seconds", "text"), [*TIMES, (48 * 3600, "2 d"), (10**9, "11574 d")])
def test_a_length_of_time_is_written_for_people(seconds: int, text: str) -> None:
    assert readable_time(timedelta(seconds=seconds)) == text


def test_a_trend_starts_at_zero_so_that_a_small_change_looks_small() -> None:
    assert sparkline([500, 502, 20, 0]) == "██▁▁"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([1, 8], PLAIN_BARS) == ".@"


@pytest.mark.parametrize("command", ["show", "diff"])
def test_a_command_that_needs_a_name_asks_for_it(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(main, [command, "--lake", str(tmp_path)], prog_name="lake")
    assert (result.exit_code, result.stdout) == (2, "")
    told = f"Error: Name a dataset, as in: lake {command} NAME. `lake ls` lists them all."
    assert result.stderr.splitlines()[-1] == told


def test_moments_are_written_alike_everywhere(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    lake = Lake(tmp_path)
    lake.write_records("orders", [{"id": 1, "at": moment, "day": moment.date()}], keys=["id"])
    later = {"id": 1, "at": moment + timedelta(microseconds=5), "day": moment.date()}
    lake.write_records("orders", [later], keys=["id"])
    row = {"id": 1, "at": "2026-11-01T06:30:00.000005Z", "day": "2026-11-01"}
    assert parsed(tmp_path, "show", "orders")["sample"] == [row]
    assert parsed(tmp_path, "sql", "from orders") == [row]
    (changed,) = parsed(tmp_path, "diff", "orders")["rows"]["changed"]
    assert changed == {"before": row | {"at": "2026-11-01T06:30:00Z"}, "after": row}
    assert f"~ id=1  at: 2026-11-01T06:30:00Z -> {row['at']}" in invoke(tmp_path, "diff", "orders").stdout


@pytest.mark.parametrize(
    ("pattern", "told"), [("nope", "No dataset matches 'nope'"), ("*", "The lake at {} is empty")]
)
def test_where_there_is_nothing_to_verify_that_is_said(tmp_path: Path, pattern: str, told: str) -> None:
    result = invoke(tmp_path, "verify", pattern)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{told.format(tmp_path)}: there is nothing to verify.\n"


@pytest.mark.parametrize(
    "argv", [("diff", "orders", "--rows", "-1"), ("show", "orders", "--last", "0"), ("runs", "--last", "-1")]
)
def test_a_number_of_rows_or_runs_that_is_none_is_wrong_usage(filled: Writer, argv: tuple[str, ...]) -> None:
    result = invoke(filled.root, *argv)
    assert result.exit_code == 2
    assert f"is not in the range x>={0 if '--rows' in argv else 1}" in result.output

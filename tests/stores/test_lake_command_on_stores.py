"""The command `lake` over an object store tells and does what it does over a folder."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from lake_parquet import Lake, sql
from lake_parquet.cli import main
from lake_parquet.errors import LakeError
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from lake_parquet.sql import Sql
from tests.lake.test_commit import rows
from tests.lake.writer import Writer
from tests.stores.conftest import Running, use
from tests.stores.proxy import Proxy

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


def test_recover_finds_no_rows_that_wait(writer: Writer) -> None:
    lived(writer)
    result = lake(writer, "recover")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No rows wait.\n")


def test_prune_removes_what_may_go(writer: Writer) -> None:
    paths = lived(writer)
    asked = ("prune", "--keep-last", "1", "--keep-daily", "0")
    assert [one["path"] for one in parsed(writer, *asked)["snapshots"]] == paths[:1]
    assert len(writer.names()) == 3
    assert lake(writer, *asked, "--yes").exit_code == 0
    assert [one.path for one in writer.lake.snapshots("orders")] == paths[1:]
    assert writer.lake.latest("orders").select(pl.len()).collect().item() == 3


def test_sql_reads_the_latest_rows(writer: Writer) -> None:
    lived(writer)
    writer.lake.write_records("bolt_orders", [{"id": 7, "v": "z", "note": 'it\'s, "odd"'}])
    query = "select * from latest('*orders') order by id"
    expected = 'id,v,note\n1,a,\n2,c,\n3,d,\n7,z,"it\'s, ""odd"""\n'
    assert (lake(writer, "sql", query).stdout, lake(writer, "sql", query).stderr) == (expected, "")
    joined = "select count(*) as n from orders join bolt_orders using (id)"
    assert parsed(writer, "sql", joined) == [{"n": 0}]
    shell = CliRunner().invoke(
        main, ["sql", "--open", "--lake", writer.url or str(writer.root)], input=".tables\nfrom orders;\n"
    )
    assert (shell.exit_code, shell.stdout) == (0, "bolt_orders\norders\nid,v\n1,a\n2,c\n3,d\n")


def test_sql_reads_the_latest_alone_and_writes_nothing(writer: Writer) -> None:
    older, latest = lived(writer)[-2:]
    places = [writer.lake.location("orders", path.rpartition("/")[2]) for path in (older, latest)]
    refused = [
        f"from read_parquet('lake://{older}')",
        f"from read_parquet('{places[0]}')",
        "from glob('lake://*')",
        "from read_text('/etc/passwd')",
        f"copy (select 1) to 'lake://{latest}'",
        f"copy (select 1) to '{places[1]}'",
    ]
    for query in refused:
        result = lake(writer, "sql", query)
        assert (result.exit_code, result.stdout, result.stderr[:7]) == (1, "", "Error: "), query
    assert [one["problems"] for one in parsed(writer, "verify")] == [[], [], []]


def test_sql_over_many_datasets_opens_those_that_are_named(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, running["moto"])
    lake = Lake(running["moto"].url())
    for name in "abc":
        lake.write_records(name, [{"n": 1}])
    monkeypatch.setattr(sql, "MOST_REMOTE_VIEWS", 2)
    with Sql(lake) as opened:
        assert opened.run("from a join c using (n)")[1].fetchall() == [(1,)]
        assert opened.connection.execute("show tables").fetchall() == [("a",), ("c",)]


@pytest.mark.parametrize(
    ("fault", "told"), [("403", "may not read raw/a/"), ("503", "cannot read raw/a/"), ("404", "any more")]
)
def test_sql_tells_what_the_store_says(spoilt: Proxy, running: Running, fault: str, told: str) -> None:
    lake = Lake(running["moto"].url())
    lake.write_records("a", [{"n": 1}])
    with Sql(lake) as opened:
        operation = "head" if fault == "404" else "get"
        spoilt.faults.operation, spoilt.faults.fault, spoilt.faults.always = operation, fault, True
        with pytest.raises(LakeError, match=told) as raised:
            opened.run("from a")
        assert "\n" not in str(raised.value)
        spoilt.faults.always = False
        assert opened.run("from a")[1].fetchall() == [(1,)]

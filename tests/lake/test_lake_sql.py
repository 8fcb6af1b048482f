"""`lake sql`: every dataset's latest as a view; nothing else is read, nothing is written."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lake_parquet import Lake, sql
from lake_parquet.cli import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lake = Lake(tmp_path)
    for tenant, n in (("acme", 1), ("bolt", 2)):
        lake.write_records(f"{tenant}_orders", [{"n": 9}])
        lake.write_records(f"{tenant}_orders", [{"n": n, "note": "x, y"}])
    return tmp_path


def query(root: Path, *argv: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["sql", *argv, "--lake", str(root)], input=stdin)


def test_rows_are_csv_in_a_pipe_and_json_on_request(root: Path) -> None:
    result = query(root, "select n, note, null as nothing from acme_orders")
    assert (result.exit_code, result.stdout, result.stderr) == (0, 'n,note,nothing\n1,"x, y",\n', "")
    assert json.loads(query(root, "from bolt_orders", "--json").stdout) == [{"n": 2, "note": "x, y"}]


def test_a_pattern_unites_the_latest_of_many_datasets(root: Path) -> None:
    assert query(root, "select sum(n) as s from latest('*_orders')").stdout == "s\n3\n"
    assert query(root, "from latest('none')").exit_code == 1


def test_a_moment_is_written_in_utc(root: Path) -> None:
    result = query(root, "select timestamptz '2026-01-01 00:00:00+00' as t, [1] as l")
    assert result.stdout == "t,l\n2026-01-01T00:00:00Z,[1]\n"


REFUSED = [
    "copy (select 1) to '/tmp/x.csv'",
    "copy (select 1) to '{latest}'",
    "create table t as select 1",
    "attach '/tmp/x.db'",
    "set allowed_paths = ['/etc/passwd']",
    "reset enable_external_access",
    "install httpfs",
    "from read_text('/etc/passwd')",
    "from '/etc/passwd'",
    "from read_parquet('{older}')",
    "from glob('/*')",
    "select 1; drop view acme_orders",
    "selec",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_nothing_but_reading_the_latest_is_possible(root: Path, statement: str) -> None:
    older, latest = sorted((root / "raw/acme_orders").iterdir())
    before = latest.read_bytes()
    result = query(root, statement.format(latest=latest, older=older))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert latest.read_bytes() == before


def test_in_a_large_lake_only_what_is_named_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "MOST_VIEWS", 1)
    assert query(root, "select * from acme_orders join bolt_orders using (note)").exit_code == 0
    opened = sql.Sql(Lake(root))
    opened.run("from acme_orders")
    assert opened.connection.execute("show tables").fetchall() == [("acme_orders",)]


def test_a_name_is_quoted(tmp_path: Path) -> None:
    Lake(tmp_path).write_records("a-b", [{"n": 1}])
    (tmp_path / "raw/a-b").rename(tmp_path / 'raw/it\'s "odd"')
    assert query(tmp_path, 'select n from "it\'s ""odd"""').stdout == "n\n1\n"


def test_the_shell_runs_what_a_semicolon_ends_and_goes_on_after_an_error(root: Path) -> None:
    result = query(
        root, "--open", stdin=".tables\nselect n\nfrom acme_orders;\nselec;\n\nselect 7 as x;\n.quit\n"
    )
    assert (result.exit_code, result.stdout) == (0, "acme_orders\nbolt_orders\nn\n1\nx\n7\n")
    assert result.stderr.startswith("Error: Parser Error")


def test_without_a_query_it_says_how(root: Path) -> None:
    result = query(root)
    assert result.exit_code == 2
    assert "Give a query" in result.stderr

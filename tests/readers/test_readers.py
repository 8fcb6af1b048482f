"""The README's recipes for reading the latest, word for word; and a dataset as any reader takes it."""

import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from pyarrow import parquet as pq

from tests.readers.home import ACME, BOLT, BOTH, LAKE, recipe


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["_tenant"], row["id"]))


def query(database: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = database.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# --- a dataset by its folder and by a glob ------------------------------------------------------


def from_duckdb(source: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        return query(connection, f"FROM read_parquet('{source}')")


WAYS: dict[str, Callable[[str], list[Any]]] = {
    "polars, directory": lambda raw: pl.read_parquet(raw).to_dicts(),
    "polars, glob": lambda raw: pl.scan_parquet(f"{raw}/*.parquet").collect().to_dicts(),
    "pyarrow, directory": lambda raw: pq.read_table(raw).to_pylist(),
    "pyarrow, glob": lambda raw: pq.read_table([*Path(raw).glob("*.parquet")]).to_pylist(),
    "pandas, directory": lambda raw: pd.read_parquet(raw).to_dict("records"),
    "pandas, glob": lambda raw: pd.concat(map(pd.read_parquet, Path(raw).glob("*.parquet"))).to_dict(
        "records"
    ),
    "duckdb, directory": lambda raw: from_duckdb(f"{raw}/"),
    "duckdb, glob": lambda raw: from_duckdb(f"{raw}/*.parquet"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_is_a_table(way: str) -> None:
    assert WAYS[way]("storage/lake/raw/bolt_shopify_orders") == BOLT


# --- the recipes --------------------------------------------------------------------------------


def test_the_lake_has_lived(home: Path) -> None:
    counts = {folder.name: len(list(folder.iterdir())) for folder in (home / LAKE / "raw").iterdir()}
    assert counts == {"acme_shopify_orders": 2, "bolt_shopify_orders": 1, "bolt_shopify_customers": 1}


def test_polars_reads_the_latest() -> None:
    names: dict[str, Any] = {}
    exec(recipe("python", "pl.read_parquet"), names)  # noqa: S102  # the recipe as the README has it
    assert by_id(names["orders"].to_dicts()) == ACME


def test_pandas_reads_the_latest() -> None:
    names: dict[str, Any] = {}
    exec(recipe("python", "pd.read_parquet"), names)  # noqa: S102  # the recipe as the README has it
    frame = names["orders"].sort_values("id")
    found = frame.astype(object).where(frame.notna(), None).to_dict("records")
    assert found == ACME


def test_pyarrow_reads_the_latest() -> None:
    latest = max(Path("storage/lake/raw/acme_shopify_orders").glob("*.parquet"))
    assert by_id(pq.read_table(latest).to_pylist()) == ACME


def statements(sql: str) -> tuple[str, str]:
    """The macro, and the query that shows its use."""
    macro, query = (part for part in sql.split(";") if part.strip())
    return macro, query


def test_duckdb_counts_the_orders_of_all_shops(database: duckdb.DuckDBPyConnection) -> None:
    macro, example = statements(recipe("sql", "create macro"))
    database.execute(macro)
    assert sorted(database.execute(example).fetchall()) == [("acme", 3), ("bolt", 1)]


def test_duckdb_reads_the_orders_of_all_shops_and_no_other_column(
    database: duckdb.DuckDBPyConnection,
) -> None:
    database.execute(statements(recipe("sql", "create macro"))[0])
    found = query(database, "select * exclude (filename) from lake_latest('*_shopify_orders')")
    assert by_id(found) == by_id(BOTH)
    types = {
        name: kind
        for name, kind, *_ in database.execute("describe from lake_latest('*_shopify_orders')").fetchall()
    }
    assert (types["id"], types["price"]) == ("BIGINT", "DOUBLE")


def test_duckdb_reads_one_shop(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(statements(recipe("sql", "create macro"))[0])
    found = query(database, "select * exclude (filename) from lake_latest('acme_shopify_orders')")
    assert by_id(found) == ACME


def test_duckdbs_macro_follows_a_new_snapshot(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home / "storage", tmp_path / "storage")
    monkeypatch.chdir(tmp_path)
    *_, newest = sorted((LAKE / "raw" / "acme_shopify_orders").iterdir())
    aside = newest.rename(tmp_path / newest.name)
    macro, example = statements(recipe("sql", "create macro"))
    database.execute(macro)
    assert sorted(database.execute(example).fetchall()) == [("acme", 2), ("bolt", 1)]
    aside.rename(newest)
    assert sorted(database.execute(example).fetchall()) == [("acme", 3), ("bolt", 1)]


def test_duckdb_reads_all_shops_without_a_macro(database: duckdb.DuckDBPyConnection) -> None:
    sql = """
      select * exclude (filename)
      from read_parquet(
        'storage/lake/raw/*_shopify_orders/[0-9]*.parquet', filename = true, union_by_name = true)
      where filename in (
        select max(file) from glob('storage/lake/raw/*_shopify_orders/[0-9]*.parquet')
        group by parse_dirpath(file))
    """
    assert by_id(query(database, sql)) == by_id(BOTH)


def test_duckdb_loses_no_digit_of_a_column_that_was_widened(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The macro binds its columns over old files too, where the number was a float still."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "storage/lake/raw/acme_shopify_orders"
    folder.mkdir(parents=True)
    exact = Decimal("12345678901234567890.123456789")
    pl.DataFrame({"price": [1.5]}).write_parquet(folder / "20260101T000000000000Z.parquet")
    new = pl.DataFrame({"price": [exact]}, schema={"price": pl.Decimal(38, 9)})
    new.write_parquet(folder / "20260102T000000000000Z.parquet")
    for statement in recipe("sql", "set variable newest").split(";"):
        if statement.strip():
            database.execute(statement)
    assert database.fetchall() == [(exact,)]

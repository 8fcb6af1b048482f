"""The README's recipes for reading the latest, word for word, on a lake that has lived a little.

Two shops, several snapshots, columns that came, widened and differ between the shops, and beside the orders
another dataset whose columns have the same names and other types.
"""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pyarrow import parquet as pq

from tests.community.singer import load

README = Path(__file__).parents[2] / "README.md"
LAKE = Path("storage", "lake")


def recipes(language: str) -> list[str]:
    """The README's code blocks of that language on reading."""
    reading = README.read_text().partition("<!-- readers -->")[2].partition("<!-- /readers -->")[0]
    return re.findall(rf"```{language}\n(.*?)```", reading, flags=re.DOTALL)


def recipe(language: str, word: str) -> str:
    return next(block for block in recipes(language) if word in block)


# --- a lake -------------------------------------------------------------------------------------

KEYED = {"key_properties": ["id"], "bookmark_properties": ["updated_at"]}
STAMP = {"type": "string", "format": "date-time"}


def messages(stream: str, properties: dict[str, Any], rows: list[dict[str, Any]], bookmark: str) -> bytes:
    schema = {"type": "object", "properties": properties | {"updated_at": STAMP}}
    lines: list[dict[str, Any]] = [{"type": "SCHEMA", "stream": stream, "schema": schema, **KEYED}]
    lines += [{"type": "RECORD", "stream": stream, "record": {**row, "updated_at": bookmark}} for row in rows]
    state = {"replication_key": "updated_at", "replication_key_value": bookmark}
    lines.append({"type": "STATE", "value": {"bookmarks": {stream: state}}})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def publish(folder: Path, tenant: str, stream: bytes) -> None:
    lake = str(folder / LAKE)
    run = load(stream, folder, lake_root=lake, tenant_id=tenant, source="shopify")
    assert run.exit_code == 0, run.log


INTEGER, NUMBER, TEXT = ({"type": ["null", name]} for name in ("integer", "number", "string"))
ORDERS_AT_FIRST = {"id": INTEGER, "price": INTEGER, "note": TEXT}
ORDERS_LATER = {"id": INTEGER, "price": NUMBER, "note": TEXT, "coupon": TEXT}
ORDERS_OF_BOLT = {"id": INTEGER, "price": NUMBER, "gift": {"type": ["null", "boolean"]}}
MORNING, NOON = datetime(2024, 1, 1, 8, tzinfo=UTC), datetime(2024, 1, 1, 12, tzinfo=UTC)

ACME: list[dict[str, Any]] = [
    {"id": 1, "price": 10.0, "note": "first", "coupon": None, "updated_at": MORNING, "_tenant": "acme"},
    {"id": 2, "price": 0.5, "note": "changed", "coupon": "XMAS", "updated_at": NOON, "_tenant": "acme"},
    {"id": 3, "price": None, "note": None, "coupon": None, "updated_at": NOON, "_tenant": "acme"},
]
BOLT: list[dict[str, Any]] = [
    {"id": 1, "price": 7.25, "gift": True, "updated_at": MORNING, "_tenant": "bolt"}
]
ABSENT: dict[str, Any] = {"note": None, "coupon": None, "gift": None}
BOTH = [ABSENT | row for row in [*ACME, *BOLT]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder from which the README's paths hold."""
    folder = tmp_path_factory.mktemp("home")
    at_first: list[dict[str, Any]] = [
        {"id": 1, "price": 10, "note": "first"},
        {"id": 2, "price": 20, "note": "second"},
    ]
    later: list[dict[str, Any]] = [{"id": 2, "price": 0.5, "note": "changed", "coupon": "XMAS"}, {"id": 3}]
    customers: list[dict[str, Any]] = [{"id": "c-1", "price": "a word"}]
    publish(folder, "acme", messages("orders", ORDERS_AT_FIRST, at_first, MORNING.isoformat()))
    publish(folder, "acme", messages("orders", ORDERS_LATER, later, NOON.isoformat()))
    of_bolt: list[dict[str, Any]] = [{"id": 1, "price": 7.25, "gift": True}]
    publish(folder, "bolt", messages("orders", ORDERS_OF_BOLT, of_bolt, MORNING.isoformat()))
    publish(
        folder, "bolt", messages("customers", {"id": TEXT, "price": TEXT}, customers, MORNING.isoformat())
    )
    return folder


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

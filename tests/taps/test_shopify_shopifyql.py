"""Reports in ShopifyQL are streams like any other: typed by what the API says, whole, or a clear error."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tap_common.errors import ApiError, ConfigError
from tap_shopify.shopifyql import Report, ShopifyqlStream, Table, table_of
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import Fault, ShopifyServer, shopifyql
from tests.taps.conftest import TOKEN
from tests.taps.singer import read, run

Config = dict[str, Any]
SALES = {
    "name": "sales_by_day",
    "query": "FROM sales SHOW total_sales, orders, returning_customer_rate GROUP BY day "
    "SINCE -2y ORDER BY day",
    "primary_keys": ["day"],
}


def asking(config: Config, query: str, *keys: str) -> Config:
    return {**config, "shopifyql": [{"name": "report", "query": query, "primary_keys": list(keys)}]}


def test_a_report_is_a_stream_typed_by_the_columns_the_api_names(shop: ShopifyServer, config: Config) -> None:
    output = read({**config, "shopifyql": [SALES]}, streams=("sales_by_day",))

    (schema,) = output.kind("SCHEMA", "sales_by_day")
    assert schema["key_properties"] == ["day"]
    assert "bookmark_properties" not in schema or schema["bookmark_properties"] == []
    assert schema["schema"]["properties"] == {
        "day": {"type": ["string", "null"], "format": "date"},
        "total_sales": {
            "type": ["string", "null"],
            "format": "x-singer.decimal",
            "precision": 38,
            "scale": 6,
        },
        "orders": {"type": ["integer", "null"]},
        "returning_customer_rate": {"type": ["number", "null"]},
    }
    rows = output.rows("sales_by_day")
    orders = shop.store.rows("orders")
    days = Counter(order["createdAt"][:10] for order in orders)
    assert {row["day"]: row["orders"] for row in rows} == days
    assert sum(Decimal(row["total_sales"]) for row in rows) == sum(map(shopifyql.amount, orders))
    assert {type(row["returning_customer_rate"]) for row in rows} == {float}


def test_a_report_is_read_in_full_each_time_and_replaces_what_was_there(
    shop: ShopifyServer, config: Config
) -> None:
    config = {**config, "shopifyql": [SALES]}
    first = read(config, streams=("sales_by_day",))
    for gid in shop.store.ids("orders")[:60]:
        shop.store.delete_order(gid)

    second = read(config, streams=("sales_by_day",), state=first.state)

    assert sum(row["orders"] for row in second.rows("sales_by_day")) == 60
    assert [output.types("sales_by_day").count("ACTIVATE_VERSION") for output in (first, second)] == [1, 1]


EVERY_TYPE: dict[str, tuple[object, object]] = {
    "ARRAY": (["a", None], ["a", None]),
    "BOOLEAN": ("true", True),
    "COLOR": ("#ff0000", "#ff0000"),
    "CUMULATIVE": ("1.5", 1.5),
    "DAY_DURATION": ("3", 3.0),
    "DAY_OF_WEEK": ("7", 7),
    "DAY_TIMESTAMP": ("2026-01-31", "2026-01-31"),
    "DECIMAL": (0.1, "0.1"),
    "ENTITY": ("Order", "Order"),
    "FLOAT": (2, 2.0),
    "GEO_COORDINATE": ({"lat": 1}, '{"lat": 1}'),
    "HOUR_OF_DAY": (23, 23),
    "HOUR_TIMESTAMP": ("2026-01-31T13:00:00+01:00", "2026-01-31T13:00:00+01:00"),
    "IDENTITY": (4711, "4711"),
    "INTEGER": ("12", 12),
    "MONEY": ("1234567890123456789.123456789", "1234567890123456789.123456789"),
    "MONTH_TIMESTAMP": ("2026-01-01T00:00:00Z", "2026-01-01"),
    "PERCENT": ("0.016", 0.016),
    "STRING": ("x", "x"),
    "TIMESTAMP": (0, "1970-01-01T00:00:00+00:00"),
    "UNSPECIFIED": (None, None),
    "A_TYPE_TO_COME": ("x", "x"),
}


def answer(values: dict[str, object]) -> dict[str, Any]:
    columns = [{"name": kind, "data_type": kind, "sub_type": "STRING"} for kind in values]
    return {"parse_errors": [], "table_data": {"columns": columns, "rows": [values]}}


@pytest.mark.parametrize("shape", [dict, lambda row: list(row.values())], ids=["objects", "arrays"])
def test_every_type_that_shopify_has_is_read(shape: Callable[[Any], Any]) -> None:
    given = answer({kind: value for kind, (value, _) in EVERY_TYPE.items()})
    given["table_data"]["rows"] = [shape(row) for row in given["table_data"]["rows"]]

    (record,) = table_of(given, "Stream x").records("Stream x")

    assert record == {kind.lower(): wanted for kind, (_, wanted) in EVERY_TYPE.items()}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("INTEGER", "1.5"),
        ("INTEGER", 2.5),
        ("DAY_TIMESTAMP", "secret"),
        ("MONEY", "secret"),
        ("BOOLEAN", "secret"),
        ("TIMESTAMP", []),
    ],
)
def test_a_value_of_another_type_is_an_error_that_does_not_quote_it(kind: str, value: object) -> None:
    with pytest.raises(ApiError) as caught:
        list(table_of(answer({kind: value}), "Stream x").records("Stream x"))

    assert str(caught.value).startswith(f"Stream x: Shopify calls the column {kind} {kind}, and a value")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1", "Stream report: Shopify cannot read its ShopifyQL query: Line 1 Column 1: mismatched"),
        ("FROM sale SHOW orders", "Invalid dataset in FROM clause: sale. Mend it in the setting shopifyql"),
        ("FROM sales SHOW gold", "Column 'gold' not found"),
    ],
)
def test_a_query_that_shopify_cannot_read_is_told_in_its_words(
    shop: ShopifyServer, tmp_path: Path, query: str, words: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(asking({"shop_domain": shop.domain, "access_token": TOKEN}, query)))

    done = run("--config", file, "--discover")

    assert done.code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert words in line


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "orders", "query": "FROM sales SHOW orders"}, "a stream orders, which there is already"),
        ({"name": "Sales", "query": "x"}, "shopifyql.0.name is not valid"),
        ({"name": "sales"}, "shopifyql.0 is not valid: 'query' is a required property"),
        ({"name": "sales", "query": "x", "keys": ["day"]}, "shopifyql.0 is not valid"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(config: Config, entry: Config, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TapShopify(config={**config, "shopifyql": [entry]})

    assert words in str(caught.value)


def test_two_reports_of_one_name_are_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match="a stream sales_by_day, which there is already"):
        TapShopify(config={**config, "shopifyql": [SALES, SALES]})


def test_keys_that_are_no_columns_are_refused_with_those_there_are(config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        TapShopify(config=asking(config, "FROM sales SHOW orders GROUP BY day", "date")).streams  # noqa: B018

    assert str(caught.value) == (
        "Stream report: primary_keys names date, which is no column of the report. It has day, orders."
    )


def test_keys_that_do_not_tell_rows_apart_are_refused(config: Config) -> None:
    query = "FROM sales SHOW orders GROUP BY day, shipping_country SINCE -2y"

    with pytest.raises(ConfigError, match="rows share the same shipping_country"):
        read(asking(config, query, "shipping_country"), streams=("report",))
    assert read(asking(config, query, "day", "shipping_country"), streams=("report",)).rows("report")


def test_a_report_of_one_row_needs_no_key(shop: ShopifyServer, config: Config) -> None:
    output = read(asking(config, "FROM sales SHOW total_sales, orders SINCE -2y"), streams=("report",))

    assert [row["orders"] for row in output.rows("report")] == [len(shop.store.ids("orders"))]
    assert output.kind("SCHEMA", "report")[0]["key_properties"] == []


@pytest.mark.parametrize(("limit", "warns"), [(3, True), (100_000, False)])
def test_as_many_rows_as_limit_allows_are_a_warning(
    config: Config, caplog: pytest.LogCaptureFixture, limit: int, *, warns: bool
) -> None:
    query = f"FROM sales SHOW orders GROUP BY day SINCE -2y ORDER BY day LIMIT {limit}"

    read(asking(config, query, "day"), streams=("report",))

    told = [text for record in caplog.records if "there may be more" in (text := record.getMessage())]
    assert bool(told) == warns


def test_shopifys_warnings_are_told(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    read(asking(config, "FROM sales SHOW orders TIMESERIES month SINCE -2y", "month"), streams=("report",))

    assert "Stream report: Shopify warns of its ShopifyQL query: TIMESERIES is deprecated, use GROUP BY." in {
        record.getMessage() for record in caplog.records
    }


def test_an_older_version_of_the_api_has_reports_too(config: Config) -> None:
    config = {**config, "api_version": "2026-01", "shopifyql": [SALES]}

    assert read(config, streams=("sales_by_day",)).rows("sales_by_day")


def test_without_the_scope_reports_are_left_out_and_the_rest_is_read(
    shop: ShopifyServer, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    shop.store.scopes -= {"read_reports", "write_reports"}

    streams = TapShopify(config={**config, "shopifyql": [SALES]}).streams

    assert "customers" in streams
    assert "sales_by_day" not in streams
    assert any(
        "Stream sales_by_day is left out: the token lacks read_reports." in record.getMessage()
        for record in caplog.records
    )
    assert "shopifyqlQuery" not in {root for request in shop.requests for root in request.root_fields}


def test_without_access_to_customer_data_reports_are_left_out_in_shopifys_words(
    shop: ShopifyServer, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    words = "Access denied for shopifyqlQuery field. Required access: Level 2 access to Customer data."
    shop.faults.add(Fault.graphql_error("ACCESS_DENIED", words), root="shopifyqlQuery")

    streams = TapShopify(config={**config, "shopifyql": [SALES]}).streams

    assert "orders" in streams
    assert "sales_by_day" not in streams
    assert any(words in record.getMessage() for record in caplog.records)


def test_a_limit_that_no_reply_tells_of_is_waited_for(shop: ShopifyServer, config: Config) -> None:
    rule = shop.faults.add(Fault.throttled(), root="shopifyqlQuery", times=8)

    assert read({**config, "shopifyql": [SALES]}, streams=("sales_by_day",)).rows("sales_by_day")
    assert rule.fired == 8


def test_several_shops_each_have_their_report(shop: ShopifyServer) -> None:
    with ShopifyServer(shop="bolt.myshopify.com", token=TOKEN, orders=9, customers=3, products=3) as bolt:
        shops = [{"shop_domain": server.domain, "access_token": TOKEN} for server in (shop, bolt)]

        output = read({"shops": shops, "shopifyql": [SALES]}, streams=("sales_by_day",))

    assert output.kind("SCHEMA")[0]["key_properties"] == ["shop_domain", "day"]
    sums: Counter[str] = Counter()
    for row in output.rows("sales_by_day"):
        sums[row["shop_domain"]] += row["orders"]
    assert sums == {"acme.myshopify.com": 120, "bolt.myshopify.com": 9}


def test_columns_that_change_during_a_run_are_an_error(config: Config) -> None:
    tap = TapShopify(config={**config, "shopifyql": [SALES]})
    stream = ShopifyqlStream(tap, Report("report", str(SALES["query"])), Table((), []))

    with pytest.raises(ApiError, match="other columns than at the start"):
        list(stream.pages(None))


def test_columns_that_would_have_one_name_are_an_error() -> None:
    columns = [
        {"name": name, "data_type": "STRING", "sub_type": None} for name in ("total sales", "total_sales")
    ]

    with pytest.raises(ConfigError, match="two columns would be called total_sales"):
        table_of({"parse_errors": [], "table_data": {"columns": columns, "rows": []}}, "Stream x")


def test_stub_data_holds_no_reports_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"shopifyql": [SALES]}))

    done = run("--config", file, "--discover")

    assert done.code == 0
    assert "sales_by_day" not in {stream["stream"] for stream in json.loads(done.stdout)["streams"]}
    assert "The streams of shopifyql are left out: stub data holds no reports." in done.stderr

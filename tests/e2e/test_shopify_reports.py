"""A ShopifyQL report through the target: typed columns, restated as a whole by each run."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl

from lake_parquet import Lake
from tests.e2e.shopify_pipe import Pipe
from tests.emulators.shopify import ShopifyServer, shopifyql
from tests.taps.conftest import TOKEN

SALES = {
    "name": "sales_by_day",
    "query": "FROM sales SHOW total_sales, orders, returning_customer_rate GROUP BY day "
    "SINCE -2y ORDER BY day",
    "primary_keys": ["day"],
}


def test_a_report_in_the_lake_is_what_the_shop_says_today(tmp_path: Path) -> None:
    with ShopifyServer(token=TOKEN, orders=12, customers=4, products=3) as shop:
        pipe = Pipe(tmp_path, [shop], ("sales_by_day",), {"shopifyql": [SALES]})
        pipe.run()
        for gid in shop.store.ids("orders")[:5]:
            shop.store.delete_order(gid)
        pipe.run()

        table = Lake(tmp_path / "lake").latest("shopify_sales_by_day").collect()
        orders = shop.store.rows("orders")

    assert {
        name: table.schema[name] for name in ("day", "total_sales", "orders", "returning_customer_rate")
    } == {
        "day": pl.Date(),
        "total_sales": pl.Decimal(38, 6),
        "orders": pl.Int64(),
        "returning_customer_rate": pl.Float64(),
    }
    days = Counter(date.fromisoformat(order["createdAt"][:10]) for order in orders)
    assert dict(zip(table["day"], table["orders"], strict=True)) == days
    assert sum(table["total_sales"], Decimal(0)) == sum(map(shopifyql.amount, orders))
    assert len(pipe.files()) == 2

"""Customers' data that Shopify denies to an app: the columns are left out and named, the rows come."""

from __future__ import annotations

from typing import Any

import pytest

from tap_shopify import backfill
from tap_shopify.errors import DeniedError
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import Output, read

Rows = list[dict[str, Any]]
DENIED = {"Order.email", "Order.phone", "Customer"}
WORDS = (
    "Stream orders comes without customer, email, phone, which Shopify denies to this app: "
    "This app is not approved to "
)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def without_protected(rows: Rows) -> Rows:
    gone = {"customer", "email", "phone"}
    return [{name: value for name, value in row.items() if name not in gone} for row in rows]


def by_id(output: Output) -> Rows:
    return sorted(output.rows("orders"), key=lambda row: int(row["id"]))


def test_denied_columns_are_left_out_and_told_once(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    whole = read(config, streams=("orders",))
    shop.store.protected = DENIED

    output = read({**config, "page_size": 50}, streams=("orders",))

    assert output.rows("orders") == without_protected(whole.rows("orders"))
    (line,) = warnings(caplog)
    assert line.startswith(WORDS)
    assert line.endswith("Ask Shopify for access to protected customer data, or deselect these columns.")
    assert output.types("orders")[-2:] == ["ACTIVATE_VERSION", "STATE"]


def test_a_bulk_operation_asks_for_no_denied_column(
    shop: ShopifyServer,
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would fail as a whole; so one row is asked for first."""
    monkeypatch.setattr(backfill, "WORTH", 100)
    whole = read(config, streams=("orders",))
    shop.store.protected = DENIED

    output = read({**config, "bulk": "auto"}, streams=("orders",))

    assert by_id(output) == without_protected(by_id(whole))
    assert [one.failure for one in shop.store.bulk.operations.values()] == [None]
    (line,) = warnings(caplog)
    assert line.startswith(WORDS)


def test_who_deselects_them_hears_no_more_of_it(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop.store.protected = DENIED

    output = read(config, streams=("orders",), deselect=("orders.email", "orders.phone", "orders.customer"))

    assert len(output.rows("orders")) == 120
    assert warnings(caplog) == []


@pytest.mark.parametrize("denied", ["Order", "Order.updatedAt"])
def test_what_a_read_cannot_do_without_fails_the_stream(
    shop: ShopifyServer, config: dict[str, Any], denied: str
) -> None:
    shop.store.protected = {denied}

    with pytest.raises(DeniedError, match="This app is not approved to "):
        read(config, streams=("orders",))


def test_what_one_shop_denies_another_still_shows(shop: ShopifyServer) -> None:
    shop.store.protected = DENIED
    with ShopifyServer(
        shop="bolt.myshopify.com", token=TOKEN, orders=9, customers=4, products=3, bucket=TokenBucket(100_000)
    ) as bolt:
        shops = [{"shop_domain": one.domain, "access_token": TOKEN} for one in (shop, bolt)]
        rows = read({"shops": shops, "bulk": "never"}, streams=("orders",)).rows("orders")

    assert {row["shop_domain"] for row in rows if "email" in row} == {"bolt.myshopify.com"}
    assert len(rows) == 129

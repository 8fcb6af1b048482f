"""What a person sees: a page about the tap, a line for each stream, errors that say where and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.singerlib import Catalog

from tap_common.errors import ApiError
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import read, run

CAPACITY = 1_000_000


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    """A small shop that never throttles."""
    bucket = TokenBucket(capacity=CAPACITY, restore_rate=50_000)
    with ShopifyServer(token=TOKEN, orders=6, customers=3, products=2, bucket=bucket) as server:
        yield server


def catalog_of(config: dict[str, Any], *streams: str) -> dict[str, Any]:
    """Return a catalog that selects some streams."""
    catalog = TapShopify(config=config, setup_mapper=False).catalog_dict
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return dict(catalog)


def logged(tmp_path: Path, config: dict[str, Any], *streams: str, state: object = None) -> list[str]:
    """Run the tap as a process on some streams and return what its log says, without time and place."""
    files = {"config": config, "catalog": catalog_of(config, *streams), "state": state or {}}
    arguments: list[str | Path] = []
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        arguments += [f"--{name}", path]
    done = run(*arguments)
    assert done.code == 0, done.stderr
    return [line.split(" | ", 3)[-1] for line in done.stderr.splitlines()]


def test_about_tells_the_ways_in_and_every_setting_with_its_default() -> None:
    text = run("--about").stdout
    settings = json.loads(run("--about", "--format=json").stdout)["settings"]["properties"]

    assert text.startswith("tap-shopify 0.1.0: Singer tap for Shopify's GraphQL Admin API.\n")
    assert "  shop_domain, client_id, client_secret\n" in text
    assert "as SHOPIFY_<SETTING> (TAP_SHOPIFY_<SETTING> counts before it)" in text
    assert "  access_token (secret)\n" in text
    assert "  lookback (default 60)\n      Seconds by which" in text
    assert re.findall(r"^  (\w+)(?: \(.*\))?$", text, re.MULTILINE)[1:] == [*settings]


def test_a_run_has_a_line_for_each_stream_and_none_for_the_others(
    shop: ShopifyServer, tmp_path: Path, config: dict[str, Any]
) -> None:
    newest = max(row["updatedAt"] for row in shop.store.rows("orders"))

    lines = logged(tmp_path, config, "orders", "shop")

    assert lines == [
        f"Stream orders: 6 records, read from the start, bookmark {newest}.",
        "Stream shop: 1 record, read in full.",
    ]


def test_a_later_run_says_since_when(shop: ShopifyServer, tmp_path: Path, config: dict[str, Any]) -> None:
    state = read(config, streams=("orders",)).state
    since = state["bookmarks"]["orders"]["replication_key_value"]
    shop.store.touch_orders(1)

    (line,) = logged(tmp_path, config, "orders", state=state)

    assert re.fullmatch(rf"Stream orders: \d records?, changed since {since}, bookmark 2026-\S+Z\.", line)


def test_a_first_run_with_a_start_date_says_so(tmp_path: Path, config: dict[str, Any]) -> None:
    (line,) = logged(tmp_path, {**config, "start_date": "2026-01-31"}, "customers")

    assert line == "Stream customers: 0 records, changed since 2026-01-31T00:00:00Z."


@pytest.mark.parametrize("stream", ["orders", "order_refunds", "deletions", "payouts", "shop", "users"])
def test_a_refusal_names_stream_shop_request_and_what_to_do(
    shop: ShopifyServer, config: dict[str, Any], stream: str
) -> None:
    catalog = catalog_of(config, stream)
    words = "Access denied for a field. Required access: `read_something` access scope."
    tap = TapShopify(config=config, catalog=Catalog.from_dict(catalog))
    assert tap.client.shop.name == "acme.myshopify.com"
    shop.faults.add(Fault.graphql_error("ACCESS_DENIED", words), times=None)

    with pytest.raises(ApiError) as caught:
        tap.sync_all()

    assert re.fullmatch(
        rf"{stream} of http://127\.0\.0\.1:\d+, request [0-9a-f-]{{36}}: Shopify refused the query: Access "
        r"denied for a field\. .* Grant the app that read scope, or deselect the stream\.",
        str(caught.value),
    )


def test_of_several_shops_an_error_names_the_one(shop: ShopifyServer) -> None:
    with ShopifyServer(shop="bolt.myshopify.com", token=TOKEN, orders=9, customers=3, products=3) as bolt:
        shops = [{"shop_domain": server.domain, "access_token": TOKEN} for server in (shop, bolt)]
        bolt.faults.add(Fault.null_cursor(), root="orders", times=None)

        with pytest.raises(ApiError) as caught:
            read({"shops": shops, "page_size": 2, "bulk": "never"}, streams=("orders",))

    assert str(caught.value).startswith("Stream orders of bolt.myshopify.com: the server says there are more")

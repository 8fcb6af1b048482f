"""Lists longer than Shopify pages are read whole or refused, at the root and inside objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tap_common.errors import ApiError
from tap_shopify import walk
from tests.emulators.shopify import ShopifyServer, TokenBucket, data_stock
from tests.taps.conftest import TOKEN
from tests.taps.singer import read

LONGEST = 120
"""More than a first page has of any list inside an object."""
CODES = ("Basic", "Bxgy", "App", "FreeShipping")
INSIDE = {
    "collection_products": "products of gid://shopify/Collection/",
    "discount_redeem_codes": "codes of gid://shopify/DiscountCodeNode/",
    "inventory_levels": "inventory_levels of gid://shopify/Location/",
    "metaobjects": "metaobjects of gid://shopify/MetaobjectDefinition/",
    "orders": "line_items of gid://shopify/Order/",
}


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tap hold the limit for so low that few rows come to it."""
    monkeypatch.setattr(walk, "LONGEST_WALK", LONGEST)
    monkeypatch.setattr(walk, "LARGEST_PAGE", 8)


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    """A shop with lists inside objects that are longer than that."""
    bucket = TokenBucket(1_000_000, 1_000_000)
    with ShopifyServer(token=TOKEN, orders=1, customers=1, products=130, bucket=bucket) as server:
        store = server.store
        store.sizes |= {"collections": 2, "discountNodes": 2, "metaobjectDefinitions": 2}
        store.sizes |= {"blogs": 300, "pages": 300}
        store.nested |= {("Collection", "products"): 130, ("MetaobjectDefinition", "metaobjects"): 130}
        store.nested |= {(f"DiscountCode{kind}", "codes"): 130 for kind in CODES}
        (order,) = store.rows("orders")
        line = order["lineItems"][0]
        order["lineItems"] = [{**line, "id": f"gid://shopify/LineItem/{place}"} for place in range(130)]
        for place in store.rows("locations"):
            for level in data_stock.levels(store, place):
                level["updatedAt"] = "2026-01-01T00:00:00Z"  # no window parts them
        yield server


@pytest.mark.parametrize("stream", INSIDE)
def test_a_list_inside_an_object_that_ends_where_shopify_stops_to_page_is_an_error(
    shop: ShopifyServer, config: dict[str, Any], stream: str
) -> None:
    read(config, streams=(stream,))  # longer ones are none
    shop.store.longest_list = LONGEST

    with pytest.raises(ApiError) as caught:
        read(config, streams=(stream,))

    said = str(caught.value)
    assert f"Stream {stream}, {INSIDE[stream]}" in said
    assert "the list ended after exactly 120 objects, which is as far as Shopify pages" in said


@pytest.mark.parametrize("stream", ["pages", "blogs"])
def test_what_is_longer_than_shopify_pages_comes_whole(
    shop: ShopifyServer, config: dict[str, Any], stream: str
) -> None:
    """Sorted, and by windows."""
    config = {**config, "page_size": 8}
    whole = read(config, streams=(stream,)).rows(stream)
    shop.store.longest_list = LONGEST
    rows = read(config, streams=(stream,)).rows(stream)

    assert len(whole) == 300
    assert {row["id"]: row for row in rows} == {row["id"]: row for row in whole}


def test_what_changed_in_one_second_and_is_longer_is_an_error(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    for row in shop.store.rows("pages"):
        row["updatedAt"] = "2026-01-01T00:00:00Z"
    shop.store.longest_list = LONGEST

    with pytest.raises(ApiError, match="Stream pages: the list ended after exactly 120 objects"):
        read({**config, "page_size": 8}, streams=("pages",))

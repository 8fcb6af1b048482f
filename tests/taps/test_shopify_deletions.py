"""What the shop deletes is told once as a tombstone, never lost, and never of a row that is there."""

from __future__ import annotations

from typing import Any

import pytest

from tap_common.stream import DELETED_AT
from tap_shopify.deletions import IN_STATE
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import Fault, ShopifyServer
from tests.taps.singer import Output, read, run

Config = dict[str, Any]
TABLES = {
    "orders": "orders",
    "order_risks": "orders",
    "customer_journeys": "orders",
    "draft_orders": "draftOrders",
    "customers": "customers",
    "companies": "companies",
    "company_locations": "companyLocations",
    "products": "products",
    "collections": "collections",
    "discounts": "discountNodes",
    "pages": "pages",
    "blogs": "blogs",
    "articles": "articles",
    "comments": "comments",
}


def number(gid: str) -> int:
    return int(gid.rsplit("/", 1)[-1])


def tombstones(output: Output, stream: str) -> list[dict[str, Any]]:
    return [row for row in output.rows(stream) if row.get(DELETED_AT)]


def delete_once_read(shop: ShopifyServer, order: str) -> None:
    """Delete an order when the first page of orders has gone out."""

    def watch(stage: str) -> None:
        if stage == "answered" and shop.requests[-1].root_fields == ("orders",):
            shop.watch = lambda _: None
            shop.store.delete_order(order)

    shop.watch = watch


def told(state: dict[str, Any], stream: str) -> str:
    return str(state["bookmarks"][stream][IN_STATE])


def test_every_stream_that_declares_it_is_tried_here() -> None:
    streams = TapShopify(config={}).streams.values()

    declared = {stream.name for stream in streams if getattr(stream, "deleted_as", ())}
    assert declared == {*TABLES, "product_variants"}


@pytest.mark.parametrize("stream", TABLES)
def test_what_the_shop_deleted_arrives_on_its_own_stream(
    shop: ShopifyServer, config: Config, stream: str
) -> None:
    first = read(config, streams=(stream,))
    gone, *_ = shop.store.ids(TABLES[stream])
    shop.store.delete(TABLES[stream], gone)

    second = read(config, streams=(stream,), state=first.state)

    (key,) = second.kind("SCHEMA", stream)[0]["key_properties"]
    assert tombstones(first, stream) == []
    assert tombstones(second, stream) == [{key: number(gone), DELETED_AT: shop.store.timestamp}]
    assert number(gone) in {row[key] for row in first.rows(stream)}
    assert DELETED_AT in second.kind("SCHEMA", stream)[0]["schema"]["properties"]


def test_the_mark_is_the_beginning_of_the_read_and_moves_with_each_run(
    shop: ShopifyServer, config: Config
) -> None:
    began = shop.store.timestamp
    first = read(config, streams=("orders",))
    shop.store.advance(86_400)
    again = shop.store.timestamp
    second = read(config, streams=("orders",), state=first.state)

    assert (told(first.state, "orders"), told(second.state, "orders")) == (began, again)
    assert second.rows("orders")[-1].get(DELETED_AT) is None


def test_a_deletion_is_told_again_while_the_index_may_not_have_known_it(
    shop: ShopifyServer, config: Config
) -> None:
    state = read(config, streams=("orders",)).state
    shop.store.delete_order(shop.store.ids("orders")[0])
    counts = []
    for seconds in (0, 59, 60):
        shop.store.advance(seconds)
        output = read(config, streams=("orders",), state=state)
        state = output.state
        counts.append(len(tombstones(output, "orders")))

    assert counts == [1, 1, 1]
    assert tombstones(read(config, streams=("orders",), state=state), "orders") == []


def test_a_tombstone_comes_after_the_rows_of_its_run(shop: ShopifyServer, config: Config) -> None:
    state = read(config, streams=("orders",)).state
    gone = shop.store.ids("orders")[0]
    shop.store.update(gone, note="seen, then deleted")
    delete_once_read(shop, gone)

    rows = read(config, streams=("orders",), state=state).rows("orders")

    mine = [row for row in rows if row["id"] == number(gone)]
    assert [DELETED_AT in row for row in mine] == [False, True]


def test_a_first_read_tells_what_went_while_it_read(shop: ShopifyServer, config: Config) -> None:
    shop.store.delete_customer(shop.store.ids("customers")[0])
    gone = shop.store.ids("orders")[0]
    shop.store.advance(3600)
    delete_once_read(shop, gone)

    output = read({**config, "page_size": 40}, streams=("orders", "customers"))

    assert [row["id"] for row in tombstones(output, "orders")] == [number(gone)]
    assert tombstones(output, "customers") == []
    versions = {message.get("version") for message in output.kind("RECORD", "orders")}
    assert versions == {output.kind("ACTIVATE_VERSION", "orders")[0]["version"]}


def test_what_an_event_names_and_the_shop_still_has_stays(shop: ShopifyServer, config: Config) -> None:
    state = read(config, streams=("products",)).state
    there, gone = shop.store.ids("products")[:2]
    shop.store._tell("destroy", "PRODUCT", there)
    shop.store._tell("create", "PRODUCT", there)
    shop.store._tell("destroy", "ORDER", there)
    shop.store.delete_product(gone)

    output = read(config, streams=("products",), state=state)

    assert [row["id"] for row in tombstones(output, "products")] == [number(gone)]


def test_deleted_variants_are_told_where_shopify_tells_them(shop: ShopifyServer, config: Config) -> None:
    state = read(config, streams=("product_variants",)).state
    gone = "gid://shopify/ProductVariant/4711"
    shop.store._tell("destroy", "PRODUCT_VARIANT", gone)

    output = read(config, streams=("product_variants",), state=state)

    assert [row["id"] for row in tombstones(output, "product_variants")] == [4711]


def test_a_thousand_deletions_come_page_by_page(shop: ShopifyServer, config: Config) -> None:
    state = read(config, streams=("pages",)).state
    for place in range(1000):
        shop.store._tell("destroy", "PAGE", f"gid://shopify/Page/{place + 1}")

    output = read(config, streams=("pages",), state=state)

    assert [row["id"] for row in tombstones(output, "pages")] == list(range(1, 1001))


def test_a_run_that_dies_before_the_end_tells_its_deletions_again(
    shop: ShopifyServer, config: Config
) -> None:
    state = read(config, streams=("pages",)).state
    gone = shop.store.ids("pages")[0]
    shop.store.delete("pages", gone)
    shop.store.advance(3600)
    rule = shop.faults.add(Fault.graphql_error("ACCESS_DENIED", "no"), root="events", nth=1)

    denied = read(config, streams=("pages",), state=state)
    allowed = read(config, streams=("pages",), state=denied.state)

    assert rule.fired == 1
    assert tombstones(denied, "pages") == []
    assert told(denied.state, "pages") == told(state, "pages")
    assert [row["id"] for row in tombstones(allowed, "pages")] == [number(gone)]


def test_a_token_that_may_not_read_events_is_told_and_reads_the_rest(
    shop: ShopifyServer, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    shop.faults.add(Fault.graphql_error("ACCESS_DENIED", "Access denied."), root="events", times=None)

    output = read(config, streams=("pages",))

    assert len(output.rows("pages")) == len(shop.store.ids("pages"))
    (line,) = [record.getMessage() for record in caplog.records if "deleted rows stay" in record.getMessage()]
    assert line.startswith("Stream pages: deleted rows stay, for the token may not read events. ")
    assert "Grant the app" in line


def test_a_state_without_the_mark_heals_with_all_that_shopify_knows(
    shop: ShopifyServer, config: Config
) -> None:
    state = read(config, streams=("orders",)).state
    del state["bookmarks"]["orders"][IN_STATE]
    gone = shop.store.ids("orders")[0]
    shop.store.delete_order(gone)
    shop.store.advance(30 * 86_400)

    output = read(config, streams=("orders",), state=state)

    assert [row["id"] for row in tombstones(output, "orders")] == [number(gone)]
    assert told(output.state, "orders") == shop.store.timestamp


def test_a_mark_older_than_shopifys_memory_is_a_warning(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    state = read(config, streams=("orders",)).state
    state["bookmarks"]["orders"][IN_STATE] = "2024-06-01T00:00:00Z"

    read(config, streams=("orders",), state=state)

    assert any(
        "Stream orders: the last run was in 2024-06-01T00:00:00Z; Shopify keeps events for a year"
        in record.getMessage()
        for record in caplog.records
    )


def test_the_mark_is_kept_before_an_operation_reads_ahead(shop: ShopifyServer, config: Config) -> None:
    """A row in the result of an operation may be gone when another run takes the result up."""
    began = shop.store.timestamp

    states = read({**config, "bulk": "always"}, streams=("customers", "orders")).kind("STATE")

    marks = [
        bookmark[IN_STATE]
        for state in states
        for bookmark in state["value"]["bookmarks"].values()
        if "bulk_operation" in str(bookmark)
    ]
    assert marks
    assert set(marks) == {began}


def test_who_deselects_the_mark_is_not_told(shop: ShopifyServer, config: Config) -> None:
    state = read(config, streams=("pages",), deselect=(f"pages.{DELETED_AT}",)).state
    shop.store.delete("pages", shop.store.ids("pages")[0])

    output = read(config, streams=("pages",), state=state, deselect=(f"pages.{DELETED_AT}",))

    assert [row for row in output.rows("pages") if "title" not in row] == []
    assert "events" not in {root for request in shop.requests for root in request.root_fields}


def test_a_stream_map_keeps_tombstones_and_sees_every_column(shop: ShopifyServer, config: Config) -> None:
    maps = {"pages": {"id": "id", "loud": "str(title).upper()", "__else__": None}}
    mapped = {**config, "stream_maps": maps}
    state = read(mapped, streams=("pages",)).state
    gone = shop.store.ids("pages")[0]
    shop.store.delete("pages", gone)

    output = read(mapped, streams=("pages",), state=state)

    assert tombstones(output, "pages") == [
        {"id": number(gone), "loud": "NONE", DELETED_AT: shop.store.timestamp}
    ]


def test_stub_rows_hold_no_tombstones() -> None:
    output = Output.of(run().stdout)

    assert [row for message in output.kind("RECORD") if DELETED_AT in (row := message["record"])] == []

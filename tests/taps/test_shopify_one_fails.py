"""A stream that fails stays open and is named; the others are read. A shop that fails ends the run."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.singerlib import Catalog

from tap_common.errors import ApiError, IncompleteError
from tap_shopify.stream import ShopifyStream
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import FIRST_THREE, Output, Run, run, selected

DENIED = Fault.graphql_error("ACCESS_DENIED", "Access denied for orders field.")


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    """A small shop."""
    with ShopifyServer(
        token=TOKEN, orders=12, customers=5, products=3, bucket=TokenBucket(100_000)
    ) as server:
        yield server


def process(tmp_path: Path, config: dict[str, Any], streams: tuple[str, ...] = FIRST_THREE) -> Run:
    """Run the tap as a process on some streams."""
    files = {"config": {**config, "page_size": 5, "max_tries": 1}, "catalog": selected(config, streams)}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    return run("--config", tmp_path / "config", "--catalog", tmp_path / "catalog")


def sync(config: dict[str, Any], *streams: str, state: dict[str, Any] | None = None) -> tuple[Output, str]:
    """Run the tap in this process; return what it printed, and its last word."""
    catalog = Catalog.from_dict(selected(config, streams))
    tap = TapShopify(config=config, state=state or {}, catalog=catalog)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out):
        tap.sync_all()
    with pytest.raises(IncompleteError) as caught:
        tap.check_complete()
    out.seek(0)
    return Output.of(out.read()), str(caught.value)


def test_one_refused_stream_is_told_and_stays_open_and_the_others_close(
    tmp_path: Path, shop: ShopifyServer, config: dict[str, Any]
) -> None:
    rule = shop.faults.add(DENIED, nth=2, times=None, root="orders")

    done = process(tmp_path, config)

    output = Output.of(done.stdout)
    assert done.code == 1
    assert rule.fired == 1
    first, last = (line.split(" | ", 3)[-1] for line in done.errors)
    place = r"orders of http://127\.0\.0\.1:\d+, request [0-9a-f-]{36}: "
    assert re.match(rf"Stream orders failed; the others go on\. {place}.*read scope", first)
    assert last == (
        "1 stream failed: orders. The errors above say why; the others went well. Mend what can be mended, "
        "or deselect what cannot, and run again with the last state."
    )
    assert {stream: output.types(stream).count("ACTIVATE_VERSION") for stream in FIRST_THREE} == {
        "customers": 1,
        "orders": 0,
        "products": 1,
    }
    assert (len(output.rows("orders")), len(output.rows("products"))) == (5, 3)
    marks = {name: "starting_replication_value" in entry for name, entry in output.state["bookmarks"].items()}
    assert marks == {"customers": False, "orders": True, "products": False}


def test_the_last_state_says_that_the_last_stream_is_open(
    config: dict[str, Any], shop: ShopifyServer
) -> None:
    shop.faults.add(DENIED, times=None, root="products")

    output, _ = sync(config, "customers", "products")

    assert "starting_replication_value" in output.state["bookmarks"]["products"]
    assert output.messages[-1]["type"] == "STATE"


def test_no_bookmark_moves_where_nothing_was_read(config: dict[str, Any], shop: ShopifyServer) -> None:
    bookmark = {"replication_key": "updated_at", "replication_key_value": "2026-01-05T00:00:00Z"}
    shop.faults.add(DENIED, times=None, root="orders")

    output, _ = sync(config, *FIRST_THREE, state={"bookmarks": {"orders": dict(bookmark)}})

    assert output.rows("orders") == []
    assert output.state["bookmarks"]["orders"].items() >= bookmark.items()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.null_cursor(), "more pages but gives no cursor"),
        (Fault.repeated_cursor(), "a second time"),
        (Fault.graphql_error("undefinedField", "Field 'x' doesn't exist on type 'Order'"), "api_version"),
        (Fault.internal_error(), "an error of its own"),
        (Fault.status(504), "HTTP 504"),
        (Fault.html(), "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_wrong_with_one_stream_alone(
    config: dict[str, Any], shop: ShopifyServer, caplog: pytest.LogCaptureFixture, fault: Fault, words: str
) -> None:
    shop.faults.add(fault, times=None, root="orders")

    output, last = sync({**config, "page_size": 5, "max_tries": 1}, "orders", "products")

    assert last.startswith("1 stream failed: orders. ")
    assert words in caplog.text
    assert output.types("products")[-2:] == ["ACTIVATE_VERSION", "STATE"]


def test_an_answer_that_our_code_does_not_understand(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the tap's: it is told as one, without a word of what the record held."""
    records = ShopifyStream.records

    def strange(self: ShopifyStream, rows: list[dict[str, Any]], **asked: Any) -> Any:
        if self.name in {"customers", "orders"}:
            raise KeyError("jane@example.com")
        return records(self, rows, **asked)

    monkeypatch.setattr(ShopifyStream, "records", strange)

    output, last = sync(config, *FIRST_THREE)

    assert last.startswith("2 streams failed: customers, orders. ")
    assert len(output.rows("products")) == 3
    assert "Unexpected KeyError in test_shopify_one_fails.py, line " in caplog.text
    assert "jane" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.status(401), "refused the access token"),
        (Fault.status(402), "The shop is frozen"),
        (Fault.status(404), "No such shop"),
        (Fault.status(503), "HTTP 503"),
        (Fault.cut("start"), "cannot be reached|broke off"),
    ],
    ids=["401", "402", "404", "503", "cut"],
)
def test_trouble_with_the_shop_ends_the_run_at_once(
    config: dict[str, Any], shop: ShopifyServer, fault: Fault, words: str
) -> None:
    catalog = Catalog.from_dict(selected(config))
    tap = TapShopify(config={**config, "max_tries": 1}, catalog=catalog)
    tap.open()
    shop.faults.add(fault, times=None)
    before = len(shop.requests)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    with redirect_stdout(out), pytest.raises(ApiError, match=words):
        tap.sync_all()

    out.seek(0)
    messages = Output.of(out.read()).messages
    assert [message["stream"] for message in messages if "stream" in message] == ["customers"]
    assert len(shop.requests) - before <= 4


def test_of_two_shops_one_refuses_and_the_other_is_read(
    shop: ShopifyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The stream stays open as a whole, for its rows of both shops share one version."""
    with ShopifyServer(
        shop="bolt.myshopify.com", token=TOKEN, orders=4, customers=2, products=2, bucket=TokenBucket(100_000)
    ) as bolt:
        both = {"shops": [{"shop_domain": one.domain, "access_token": TOKEN} for one in (shop, bolt)]}
        shop.faults.add(DENIED, times=None, root="orders")
        caplog.set_level(logging.ERROR)

        output, last = sync({**both, "bulk": "never"}, *FIRST_THREE)

    assert last.startswith("1 stream failed: orders. ")
    assert {row["shop_domain"] for row in output.rows("orders")} == {"bolt.myshopify.com"}
    assert output.kind("ACTIVATE_VERSION", "orders") == []
    assert {row["shop_domain"] for row in output.rows("products")} == {
        "acme.myshopify.com",
        "bolt.myshopify.com",
    }


def test_a_report_that_fails_takes_no_other_stream_with_it(
    config: dict[str, Any], shop: ShopifyServer, caplog: pytest.LogCaptureFixture
) -> None:
    shop.faults.add(Fault.internal_error(), times=None, root="shopifyqlQuery")
    report = {"name": "sales", "query": "FROM sales SHOW total_sales"}

    output, last = sync({**config, "max_tries": 1, "shopifyql": [report]}, "products")

    assert "Stream sales failed" in caplog.text
    assert last.startswith("1 stream failed: sales. ")
    assert len(output.rows("products")) == 3

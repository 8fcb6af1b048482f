"""What can go wrong on the way: retried where it helps, else one clear error; never a loop, never silence."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from singer_sdk.singerlib import Catalog

from tap_common.errors import ApiError, ConfigError, RetryableError
from tap_common.http import JsonApi
from tap_shopify.client import ShopifyClient, origin_of_shop
from tap_shopify.tap import TapShopify
from tap_shopify.tokens import FixedToken
from tests.emulators.shopify import Fault, ShopifyServer, connections, resolvers
from tests.taps.conftest import TOKEN
from tests.taps.singer import read, selected, sync

HELPED_BY_ANOTHER_TRY = {
    "429": Fault.status(429, retry_after=0.01),
    "429 without Retry-After": Fault.status(429),
    "500": Fault.status(500),
    "502 as HTML": Fault.status(502),
    "503": Fault.status(503),
    "page of a proxy": Fault.html(),
    "cut before the headers": Fault.cut("start"),
    "cut after the headers": Fault.cut("headers"),
    "cut in the body": Fault.cut("body"),
    "half of the JSON": Fault.truncated_json(),
    "INTERNAL_SERVER_ERROR": Fault.internal_error(),
    "THROTTLED": Fault.throttled(),
    "null data": Fault.null_data(),
    "data beside an error of Shopify's own": Fault.partial(),
}
FINAL = {
    "400": (Fault.status(400), "refused the request"),
    "402": (Fault.status(402), "frozen"),
    "403": (Fault.status(403), "denies access"),
    "404": (Fault.status(404), "No such shop, or no API version 2026-10"),
    "423": (Fault.status(423), "locked"),
    "redirect": (Fault.redirect("https://evil.example/steal"), "redirects to https://evil.example"),
    "ACCESS_DENIED": (Fault.graphql_error("ACCESS_DENIED", "Access denied for orders field."), "read scope"),
    "data beside a refusal": (Fault.partial("ACCESS_DENIED"), "read scope"),
    "undefinedField": (Fault.graphql_error("undefinedField", "Field 'x' doesn't exist"), "api_version"),
}


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    """Pages so small that every stream has several."""
    return {**config, "page_size": 8}


@pytest.mark.parametrize("name", HELPED_BY_ANOTHER_TRY)
def test_a_passing_fault_costs_nothing(shop: ShopifyServer, config: dict[str, Any], name: str) -> None:
    rule = shop.faults.add(HELPED_BY_ANOTHER_TRY[name], nth=2, times=2, root="customers")

    rows = read(config, streams=("customers",)).rows("customers")

    assert rule.fired == 2
    assert sorted(row["admin_graphql_api_id"] for row in rows) == sorted(shop.store.ids("customers"))


@pytest.mark.parametrize("name", HELPED_BY_ANOTHER_TRY)
def test_a_fault_that_stays_ends_the_run(
    shop: ShopifyServer, config: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShopifyClient, "longest_throttle", 3)
    rule = shop.faults.add(HELPED_BY_ANOTHER_TRY[name], times=None, root="customers")

    with pytest.raises(ApiError):
        read({**config, "max_tries": 3}, streams=("customers",))

    assert rule.fired == 3


@pytest.mark.parametrize("name", FINAL)
def test_what_another_try_cannot_help_is_not_tried_again(
    shop: ShopifyServer, config: dict[str, Any], name: str
) -> None:
    fault, words = FINAL[name]
    rule = shop.faults.add(fault, times=None, root="customers")

    with pytest.raises(ApiError, match=words) as caught:
        read(config, streams=("customers",))

    assert rule.fired == 1
    assert not isinstance(caught.value, RetryableError)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "fault", [Fault.repeated_cursor(1), Fault.repeated_cursor(2), Fault.repeated_cursor(3)]
)
def test_cursors_that_go_round_end_the_run(shop: ShopifyServer, config: dict[str, Any], fault: Fault) -> None:
    shop.faults.add(fault, times=None, root="customers")

    with pytest.raises(ApiError, match=r"Stream customers: .* a second time"):
        read(config, streams=("customers",))

    # Whether the shop answers at all, too; and a read that seems long goes on in two places at once.
    assert len(shop.requests) <= 2 * (fault.length + 4)


def test_more_pages_without_a_cursor_end_the_run(shop: ShopifyServer, config: dict[str, Any]) -> None:
    shop.faults.add(Fault.null_cursor(), root="customers")

    with pytest.raises(ApiError, match="more pages but gives no cursor"):
        read(config, streams=("customers",))


@pytest.mark.parametrize("fault", [Fault.null_cursor("line_items"), Fault.repeated_cursor(1, "line_items")])
def test_nested_pages_are_guarded_too(shop: ShopifyServer, config: dict[str, Any], fault: Fault) -> None:
    shop.faults.add(fault, times=None)

    with pytest.raises(ApiError, match=r"Stream orders, line_items of gid://shopify/Order/\d+: "):
        read(config, streams=("orders",))


def test_a_filter_shopify_does_not_understand_is_an_error(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shopify would drop it and send every order."""
    execute = ShopifyClient.execute

    def misspelt(self: ShopifyClient, query: str, variables: dict[str, Any], what: str, **rest: Any) -> Any:
        return execute(self, query, {**variables, "query": "changed_at:>='2026-01-01'"}, what, **rest)

    monkeypatch.setattr(ShopifyClient, "execute", misspelt)

    with pytest.raises(ApiError, match="did not understand the filter"):
        read(config, streams=("orders",))


def test_another_served_version_is_told_once(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog.from_dict(selected({}, ("shop",)))
    sync(TapShopify(config={**config, "api_version": "2025-01"}, catalog=catalog))

    told = [record.getMessage() for record in caplog.records if "API version" in record.getMessage()]
    assert len(told) == 1
    assert "You asked for API version 2025-01, Shopify serves 20" in told[0]


def test_a_field_that_will_go_is_told_of_once(shop: ShopifyServer, caplog: pytest.LogCaptureFixture) -> None:
    client = ShopifyClient(JsonApi(shop.url, {}), FixedToken(TOKEN), "2026-10")
    for _ in range(2):
        client.execute("{ orders(first: 1) { nodes { id totalPrice } } }", {}, "orders")

    (told,) = (record.getMessage() for record in caplog.records if "will remove" in record.getMessage())
    assert told == (
        "Shopify will remove what this tap asks for in version 2026-10: Order.totalPrice. "
        "Update the tap in time."
    )


def short(*arguments: Any) -> Any:
    """Return a page that says it is the last: a list that ends too early."""
    found = connections.connection(*arguments)
    return {**found, "pageInfo": {**found["pageInfo"], "hasNextPage": False}}


def test_fewer_rows_than_the_shop_counts_are_told_of_with_both_figures(
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read(config, streams=("customers",))
    assert "Shopify counts" not in caplog.text
    monkeypatch.setattr(resolvers, "connection", short)
    read(config, streams=("customers",))

    (warning,) = (line for line in caplog.messages if "Shopify counts" in line)
    assert warning == (
        "Stream customers: Shopify counts 24 records, 8 were read, and the next run does not go back to the "
        "others. Read the stream anew, with --full-refresh or a state without it; report it to the tap's "
        "authors if it stays."
    )


def test_a_count_that_is_refused_fails_no_stream_whose_rows_were_sent(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    whole = read(config, streams=("customers",))
    shop.faults.add(Fault.graphql_error("ACCESS_DENIED", "Access denied."), times=None, root="customersCount")
    output = read(config, streams=("customers",))

    assert output.rows("customers") == whole.rows("customers")
    assert output.types("customers") == whole.types("customers"), "ACTIVATE_VERSION at the end, too"
    assert output.state == whole.state
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert warning.startswith(
        "Stream customers: what was read could not be held against Shopify's own count. customers of "
    )
    assert "Access denied." in warning


@pytest.mark.parametrize(
    ("most", "deletions", "events"), [(10_000, "6", "12"), (5, "at least 5", "at least 5")]
)
def test_whatever_shopify_counts_is_held_against_what_was_read(
    shop: ShopifyServer,
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    most: int,
    deletions: str,
    events: str,
) -> None:
    """Some counts take no filter, that of events takes no limit."""
    monkeypatch.setattr(resolvers, "COUNTS_TO", most)
    for table in ("draftOrders", "pages", "orders"):
        for gid in shop.store.ids(table)[:2]:
            shop.store.delete(table, gid)
    shop.store.advance(60)
    of_six = ("blogs", "gift_cards", "locations", "publications", "segments", "url_redirects")
    streams = (*of_six, "deletions", "events")
    config["page_size"] = 2
    read(config, streams=streams)
    assert "Shopify counts" not in caplog.text
    monkeypatch.setattr(resolvers, "connection", short)

    read(config, streams=streams)

    told = dict(re.findall(r"Stream (\w+): Shopify counts ((?:at least )?\d+) records", caplog.text))
    assert told == {**dict.fromkeys(of_six, "6"), "deletions": deletions, "events": events}


def test_what_comes_to_be_while_all_is_read_is_not_missing(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A gift card that is sold after its page was read is in the count at the end."""

    def sell(stage: str) -> None:
        if stage == "answered" and "giftCards" in shop.requests[-1].root_fields:
            shop.watch = lambda _: None
            shop.store.add("giftCards")

    shop.watch = sell
    rows = read(config, streams=("gift_cards",)).rows("gift_cards")

    assert (len(rows), len(shop.store.ids("giftCards"))) == (6, 7)
    assert "Shopify counts" not in caplog.text


class Elsewhere(BaseHTTPRequestHandler):
    """Notes who calls."""

    calls: list[dict[str, str]]

    def do_POST(self) -> None:
        """Note the headers."""
        self.calls.append(dict(self.headers))
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        """Note the headers of a GET, which some redirects turn a POST into."""
        self.do_POST()


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A second origin, where no token may arrive."""
    Elsewhere.calls = []
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", Elsewhere.calls
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_carries_the_token_away(
    shop: ShopifyServer, config: dict[str, Any], elsewhere: tuple[str, list[dict[str, str]]], code: int
) -> None:
    address, calls = elsewhere
    shop.faults.add(Fault.redirect(address, code))

    with pytest.raises(ApiError, match="redirects"):
        read(config)

    assert calls == []


def test_a_slow_answer_is_given_up_and_asked_for_again(
    shop: ShopifyServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JsonApi, "read_timeout", 0.3)
    rule = shop.faults.add(Fault.slow(1.0), root="customers")

    assert len(read(config, streams=("customers",)).rows("customers")) == 24
    assert rule.fired == 1


@pytest.mark.parametrize(
    ("domain", "origin"),
    [
        ("acme", "https://acme.myshopify.com"),
        ("acme.myshopify.com", "https://acme.myshopify.com"),
        ("ACME.myshopify.com", "https://acme.myshopify.com"),
        (" https://acme.myshopify.com/ ", "https://acme.myshopify.com"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("localhost", "http://localhost"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_ways_to_name_a_shop(domain: str, origin: str) -> None:
    assert origin_of_shop(domain) == origin


@pytest.mark.parametrize(
    "domain",
    [
        "http://acme.myshopify.com",
        "acme.example.com",
        "evil.example/.myshopify.com",
        "evil.example#.myshopify.com",
        "me:pw@acme.myshopify.com",
        "acme.myshopify.com:444",
        "acme.myshopify.com/admin",
        "acme.myshopify.com.evil.example",
        "127.0.0.1.evil.example",
        "ftp://localhost",
        "localhost:port",
        "a b",
        "-acme",
        "//",
    ],
)
def test_what_is_no_shop_is_refused(domain: str) -> None:
    with pytest.raises(ConfigError, match="shop_domain"):
        origin_of_shop(domain)

"""The bucket is used up and never overdrawn; what a query costs is known before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from singer_sdk.singerlib import Catalog

import tap_shopify
from tap_common.errors import ApiError
from tap_common.http import JsonApi
from tap_shopify import windows
from tap_shopify.client import ShopifyClient
from tap_shopify.cost import LARGEST_PAGE, MAX_QUERY_COST, SIZES, Price
from tap_shopify.graphql import Query
from tap_shopify.pace import MARGIN, Bucket, Pace
from tap_shopify.tap import TapShopify
from tap_shopify.tokens import FixedToken
from tests.emulators.asking import Clock
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket, api, cost
from tests.emulators.shopify.cost import Planner
from tests.emulators.shopify.schema import admin_schema, check
from tests.taps.conftest import TOKEN
from tests.taps.singer import Output, read, selected, sync

QUERIES = sorted(path.name for path in (files(tap_shopify) / "queries").iterdir())
LATENCY = 0.3  # seconds of the clock that a request takes


class Plan:
    """A shop on a plan, with a clock that only requests and waits move."""

    def __init__(self, capacity: int, rate: int, **size: Any) -> None:
        self.clock = Clock()
        self.waits: list[float] = []
        self.bucket = TokenBucket(capacity, rate, self.clock)
        self.server = ShopifyServer(token=TOKEN, bucket=self.bucket, **size)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds

    def client(self) -> ShopifyClient:
        pace = Pace(clock=self.clock, sleep=self.sleep)
        return ShopifyClient(JsonApi(self.server.url, {}), FixedToken(TOKEN), "2026-10", pace)

    def read(self) -> Output:
        config = {"shop_domain": self.server.domain, "access_token": TOKEN}
        tap = TapShopify(config=config, catalog=Catalog.from_dict(selected({})))
        tap.__dict__["clients"] = [self.client()]
        return sync(tap)


@pytest.fixture
def _latency(monkeypatch: pytest.MonkeyPatch) -> None:
    post = JsonApi.post

    def slow(self: JsonApi, *arguments: Any) -> Any:
        Plan.running.clock.now += LATENCY  # type: ignore[attr-defined]
        return post(self, *arguments)

    monkeypatch.setattr(JsonApi, "post", slow)


@pytest.fixture(params=[(400, 20), (200, 100)], ids=["slow", "fast"])
def plan(request: pytest.FixtureRequest, _latency: None) -> Iterator[Plan]:
    capacity, rate = request.param
    running = Plan(capacity, rate, orders=350, customers=20, products=10)
    Plan.running = running  # type: ignore[attr-defined]
    with running.server:
        yield running


def emulated(text: str, variables: dict[str, Any]) -> int:
    """Return what the emulator asks for a document, by its own reading of the rules."""
    checked = check(text, None)
    assert checked.operation is not None, checked.errors
    return Planner(admin_schema(), checked.fragments, variables).plan(checked.operation).requested()


@pytest.mark.parametrize("name", QUERIES)
def test_the_estimate_is_what_the_server_asks_for_at_every_page_size(name: str) -> None:
    text = Query((files(tap_shopify) / "queries" / name).read_text(encoding="utf-8")).text
    price = Price(text)

    assert [price.points({"first": rows}) for rows in SIZES] == [
        emulated(text, {"first": rows}) for rows in SIZES
    ]


def test_every_request_of_a_run_was_priced_right_before_it_was_sent(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    read(config)

    sent = {(request.query, request.variables.get("first")): request for request in shop.requests}
    assert len(sent) > 5, "remainders among them"
    for request in sent.values():
        points = Price(request.query).points(request.variables)
        assert points == emulated(request.query, request.variables)
        assert points <= MAX_QUERY_COST


@pytest.mark.parametrize("name", QUERIES)
def test_a_page_is_as_large_as_a_thousand_points_allow(name: str) -> None:
    price = Price(Query((files(tap_shopify) / "queries" / name).read_text(encoding="utf-8")).text)
    rows = price.most_rows({}, MAX_QUERY_COST)

    assert price.points({"first": rows}) <= MAX_QUERY_COST
    assert rows == LARGEST_PAGE or price.points({"first": rows + 1}) > MAX_QUERY_COST


def test_at_least_nine_tenths_of_the_restored_points_are_used_and_nothing_is_throttled(plan: Plan) -> None:
    rows = plan.read().rows("orders")

    spent = sum(request.points or 0 for request in plan.server.requests)
    restored = plan.clock.now * plan.bucket.restore_rate
    assert len(rows) == 350
    assert spent > 2 * plan.bucket.capacity, "else the first filling of the bucket pays for it all"
    assert 0.9 * restored <= spent <= restored + plan.bucket.capacity
    assert [request for request in plan.server.requests if request.points == 0] == []


def test_a_bucket_smaller_than_a_page_gets_smaller_pages() -> None:
    plan = Plan(100, 50, orders=40, customers=0, products=5)
    with plan.server:
        assert len(plan.read().rows("orders")) == 40
    asked = [
        request.variables["first"] for request in plan.server.requests if "orders" in request.root_fields
    ]
    assert max(asked) <= 2
    assert [request for request in plan.server.requests if request.points == 0] == []


def test_throttled_waits_for_exactly_what_is_missing() -> None:
    """Another process of the same app empties the bucket behind the tap's back."""
    plan = Plan(1000, 50, orders=30, customers=0, products=5)
    text = Query((files(tap_shopify) / "queries" / "orders.graphql").read_text(encoding="utf-8")).text
    with plan.server:
        client = plan.client()
        assert client.shop.name == "acme.myshopify.com"
        plan.bucket.take(970)
        left = plan.bucket.status()["currentlyAvailable"]
        client.execute(text, {}, "orders")

    requested = emulated(text, {"first": LARGEST_PAGE})
    assert [request.points == 0 for request in plan.server.requests] == [False, True, False]
    assert plan.waits == [pytest.approx((requested - left) / 50 + MARGIN)]


def test_a_bucket_waits_for_what_is_missing() -> None:
    now = [100.0]
    bucket = Bucket(clock=lambda: now[0])
    assert bucket.missing(500) == 0
    bucket.learn({"maximumAvailable": 2000.0, "currentlyAvailable": 300.0, "restoreRate": 100.0})

    assert bucket.missing(500) == pytest.approx(2.0 + MARGIN)
    assert bucket.missing(200) == 0
    now[0] += 1.5
    assert bucket.missing(500) == pytest.approx(0.5 + MARGIN)
    now[0] += 60
    assert bucket.missing(2000) == 0


def sizes(shop: ShopifyServer, root: str) -> list[int]:
    return [request.variables["first"] for request in shop.requests if root in request.root_fields]


@pytest.mark.parametrize(
    "fault", [Fault.status(502), Fault.cut("body"), Fault.internal_error()], ids=["502", "cut", "internal"]
)
def test_a_page_that_breaks_the_server_becomes_smaller_and_grows_again(
    shop: ShopifyServer, config: dict[str, Any], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONG", 100)  # one page after the other
    shop.faults.add(fault, times=2, root="customers")

    rows = read({**config, "page_size": 8}, streams=("customers",)).rows("customers")

    assert len(rows) == 24
    assert sizes(shop, "customers") == [8, 4, 2, 2, 2, 4, 4, 4, 8]


def test_a_429_is_no_reason_for_smaller_pages(
    shop: ShopifyServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONG", 100)
    shop.faults.add(Fault.status(429, retry_after=0.01), times=2, root="customers")

    read({**config, "page_size": 8}, streams=("customers",))

    assert sizes(shop, "customers") == [8, 8, 8, 8, 8]


def test_a_server_that_charges_more_than_documented_is_believed(
    shop: ShopifyServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    documented = cost.scale
    monkeypatch.setattr(cost, "scale", lambda rows: 3 * documented(rows))

    rows = read(config, streams=("orders",)).rows("orders")

    first, *others = sizes(shop, "orders")
    assert len(rows) == 120
    assert first == LARGEST_PAGE
    assert len({*others}) == 1, "refused once, then asked for what fits"
    assert others[0] < 100


def test_a_lower_limit_of_one_query_is_believed(
    shop: ShopifyServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_QUERY_COST", 300)

    assert len(read(config, streams=("orders",)).rows("orders")) == 120
    assert len({*sizes(shop, "orders")}) == 2


def test_a_query_that_is_too_dear_is_never_sent_again_as_it_is(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    shop.faults.add(Fault.graphql_error("MAX_COST_EXCEEDED", "Too much."), times=None, root="customers")

    with pytest.raises(ApiError, match=r"^customers of http://.*, request .*Even the smallest page"):
        read(config, streams=("customers",))

    assert sizes(shop, "customers") == [250, 125, 62, 31, 15, 7, 3, 1]


def test_pages_that_fail_at_once_halve_the_page_once() -> None:
    text = Query((files(tap_shopify) / "queries" / "customers.graphql").read_text(encoding="utf-8")).text
    pace = Pace()
    sent = pace.fitted(text, {})

    for _ in range(3):
        pace.failed(text, sent)

    assert pace.fitted(text, {})["first"] == sent["first"] // 2


def test_what_is_under_way_is_not_spent_twice() -> None:
    now = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    text = Query((files(tap_shopify) / "queries" / "customers.graphql").read_text(encoding="utf-8")).text
    pace = Pace(clock=lambda: now[0], sleep=sleep)
    asked = {"first": 10}
    points = Price(text).points(asked)
    pace.bucket.learn(
        {"maximumAvailable": 4.0 * points, "currentlyAvailable": 3.0 * points, "restoreRate": 10.0}
    )

    assert pace.room(text) == 0, "nothing is known of what it asks for"
    with pace.turn(text, asked):
        assert pace.room(text) == 0, "half of the bucket, less one"
        with pace.turn(text, asked), pace.turn(text, asked):
            assert waits == []
            with pace.turn(text, asked):
                assert waits == [pytest.approx(points / 10 + MARGIN)]
    assert pace.room(text) == 2, "all of it is there again but what half of it needs"

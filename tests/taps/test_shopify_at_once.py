"""A long read goes on in several places at once where the bucket pays for it, and brings the same."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tap_shopify import windows
from tap_shopify.pace import Pace
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import Output, read

LATENCY = 0.05


class Watch:
    """Counts the requests that a shop works on, and makes it slow."""

    def __init__(self, shop: ShopifyServer) -> None:
        self.asked = self.now = self.most = 0
        self.lock = threading.Lock()
        shop.watch = self.see

    def see(self, stage: str) -> None:
        with self.lock:
            self.asked += stage == "asked"
            self.now += 1 if stage == "asked" else -1
            self.most = max(self.most, self.now)
        if stage == "asked":
            time.sleep(LATENCY)


def shop_with(bucket: TokenBucket) -> Iterator[ShopifyServer]:
    with ShopifyServer(token=TOKEN, orders=300, customers=60, products=60, bucket=bucket) as server:
        yield server


@pytest.fixture
def large() -> Iterator[ShopifyServer]:
    yield from shop_with(TokenBucket(capacity=100_000, restore_rate=5_000))


@pytest.fixture
def small() -> Iterator[ShopifyServer]:
    """One whose bucket is never full enough to spare anything, and refills fast, for the test's sake."""
    yield from shop_with(TokenBucket(capacity=300, restore_rate=300))


def mark(output: Output, stream: str) -> str:
    return str(output.state["bookmarks"][stream]["replication_key_value"])


def settings(shop: ShopifyServer, page_size: int) -> dict[str, Any]:
    return {
        "shop_domain": shop.domain,
        "access_token": TOKEN,
        "bulk": "never",
        "page_size": page_size,
        "max_tries": 3,
    }


@pytest.mark.parametrize("stream", ["orders", "order_refunds", "product_variants", "inventory_levels"])
def test_what_is_read_at_once_is_what_is_read_page_by_page(
    large: ShopifyServer, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    watch = Watch(large)
    at_once = read(settings(large, 6), streams=(stream,))
    most = watch.most
    watch.most = 0
    monkeypatch.setattr(Pace, "room", lambda *_: 0)
    one_by_one = read(settings(large, 6), streams=(stream,))

    assert Counter(map(str, at_once.rows(stream))) == Counter(map(str, one_by_one.rows(stream)))
    assert len(at_once.rows(stream)) > 30
    assert mark(at_once, stream) >= mark(one_by_one, stream)
    assert watch.most == 1
    assert 2 < most <= windows.AT_ONCE


def test_a_bucket_without_points_to_spare_is_asked_for_one_page_at_a_time(small: ShopifyServer) -> None:
    watch = Watch(small)

    rows = read(settings(small, 50), streams=("orders",)).rows("orders")

    assert len(rows) == 300
    assert watch.most == 1
    assert [request for request in small.requests if request.points == 0] == []


def test_a_bucket_that_runs_empty_meanwhile_throttles_nobody(large: ShopifyServer) -> None:
    watch = Watch(large)
    large.bucket.capacity, large.bucket.restore_rate = 1_500, 1_500
    large.bucket.take(98_500)

    rows = read(settings(large, 6), streams=("orders",)).rows("orders")

    assert len(rows) == 300
    assert watch.most > 1
    assert [request for request in large.requests if request.points == 0] == []


def test_an_error_in_one_place_ends_the_read_and_the_others_are_waited_for(large: ShopifyServer) -> None:
    watch = Watch(large)
    large.faults.add(Fault.slow(2), nth=8, root="orders")
    large.faults.add(Fault.status(403), nth=9, root="orders")

    with pytest.raises(Exception, match="orders of "):
        read(settings(large, 6), streams=("orders",))

    assert watch.asked == len(large.requests)  # these are noted before the answer is sent
    assert watch.most > 2

"""A shop on loopback, and a tap that does not wait long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tap_common.http import JsonApi
from tap_shopify.bulk import BulkOperations
from tests.emulators.shopify import ShopifyServer, TokenBucket

TOKEN = "shpat_0123456789abcdef"  # noqa: S105 - opens the emulator only


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep waits short, and settings of the person who runs the tests out of them."""
    monkeypatch.setattr(JsonApi, "retry_base", 0.001)
    monkeypatch.setattr(BulkOperations, "first_wait", 0.001)
    for name in os.environ:
        if name.startswith(("SHOPIFY_", "TAP_SHOPIFY_")):
            monkeypatch.delenv(name)


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    """A shop with a little of everything, on a plan that lets tests run fast."""
    bucket = TokenBucket(capacity=100_000, restore_rate=5_000)
    with ShopifyServer(token=TOKEN, orders=120, customers=24, products=12, bucket=bucket) as server:
        yield server


@pytest.fixture
def config(shop: ShopifyServer) -> dict[str, Any]:
    """The settings that open the shop, read page by page; `bulk` has tests of its own."""
    return {"shop_domain": shop.domain, "access_token": TOKEN, "bulk": "never"}

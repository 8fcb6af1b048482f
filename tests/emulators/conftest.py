"""A Shopify server whose points are restored by a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulators.asking import Clock
from tests.emulators.shopify import ShopifyServer, TokenBucket


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[ShopifyServer]:
    with ShopifyServer(orders=60, customers=12, products=8, bucket=TokenBucket(clock=clock)) as running:
        yield running

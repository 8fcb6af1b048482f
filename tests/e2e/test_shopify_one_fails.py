"""A stream that Shopify refuses, through the target: the others are published, that one keeps what it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.shopify_pipe import Pipe
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN

TABLES = ("customers", "orders", "products")
DENIED = Fault.graphql_error("ACCESS_DENIED", "Access denied for orders field.")


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    bucket = TokenBucket(100_000, 50_000)
    with ShopifyServer(token=TOKEN, orders=12, customers=6, products=4, bucket=bucket) as running:
        yield running


@pytest.fixture
def pipe(shop: ShopifyServer, tmp_path: Path) -> Pipe:
    return Pipe(tmp_path / "pipe", [shop], TABLES, {"bulk": "never"})


def statuses(pipe: Pipe) -> dict[str, Any]:
    """Return what the last run made of each dataset that is no child's."""
    run = max((pipe.folder / "lake" / "_meta" / "runs").glob("*.json"))
    datasets = json.loads(run.read_text(encoding="utf-8"))["datasets"]
    return {one["stream"]: one["status"] for one in datasets if "__" not in one["dataset"]}


def test_a_first_load_of_which_one_stream_is_refused_is_held_and_completed_later(
    shop: ShopifyServer, pipe: Pipe
) -> None:
    """Its first pages wait, unseen: half of a history is never the latest snapshot."""
    shop.faults.add(DENIED, nth=2, times=None, root="orders")

    pipe.run(codes=(1, 1))

    assert statuses(pipe) == {"customers": "published", "orders": "held", "products": "published"}
    assert not any("orders" in name for name in pipe.files())
    shop.faults.clear()
    pipe.run()
    pipe.assert_whole()


def test_a_stream_that_is_refused_later_keeps_its_snapshot_and_the_others_go_on(
    shop: ShopifyServer, pipe: Pipe
) -> None:
    pipe.run()
    before = {name for name in pipe.files() if "orders" in name}
    bookmark = dict((pipe.state or {})["bookmarks"]["orders"])
    shop.store.advance(3600)
    shop.store.touch_customers(2)
    shop.store.touch_orders(2)
    shop.faults.add(DENIED, times=None, root="orders")

    pipe.run(codes=(1, 0))

    assert "1 stream failed: orders. " in pipe.log
    assert {name for name in pipe.files() if "orders" in name} == before
    assert len(pipe.files()) > len(before)
    assert (pipe.state or {})["bookmarks"]["orders"].items() >= bookmark.items()
    assert pipe.held()["customers"] == sorted(
        (row["id"], row["updatedAt"]) for row in shop.store.rows("customers")
    )
    shop.faults.clear()
    pipe.run()
    pipe.assert_whole()

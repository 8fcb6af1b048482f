"""SIGKILL at the requests of a first load by bulk operation, resumed: nothing is lost, nothing comes twice.

Asking for a slot, starting, looking, downloading, and the pages after it are all requests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shopify_pipe import Pipe
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN

TABLES = ("customers", "orders", "products")
BULK = {"bulk": "always"}
STAGES = ("asked", "answered")


def server(name: str) -> ShopifyServer:
    bucket = TokenBucket(100_000, 50_000)
    shop = f"{name}.myshopify.com"
    return ShopifyServer(shop=shop, token=TOKEN, orders=12, customers=6, products=4, bucket=bucket)


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    with server("acme") as running:
        yield running


def loads_whole_after_a_kill(shop: ShopifyServer, folder: Path, kill_at: int, stage: str) -> int:
    pipe = Pipe(folder / f"{stage}-{kill_at}", [shop], TABLES, BULK)
    made = pipe.run(kill_at, stage, meanwhile=lambda: shop.store.touch_orders(1))
    pipe.run()
    pipe.assert_whole()
    shutil.rmtree(pipe.folder)
    return made


def test_a_load_killed_at_its_first_download_is_taken_up_without_loss(
    shop: ShopifyServer, tmp_path: Path
) -> None:
    """The long form below takes every request."""
    whole = Pipe(tmp_path / "whole", [shop], TABLES, BULK)
    whole.run()
    whole.assert_whole()
    roots = [request.root_fields[0] for request in shop.requests]
    assert roots.count("bulkResult") == 3

    loads_whole_after_a_kill(shop, tmp_path, roots.index("bulkResult") + 1, "answered")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_load_killed_at_any_request_is_taken_up_without_loss(
    shop: ShopifyServer, tmp_path: Path, stage: str
) -> None:
    kill_at = 1
    while loads_whole_after_a_kill(shop, tmp_path, kill_at, stage) >= kill_at:
        kill_at += 1

    assert kill_at > 15


@pytest.mark.slow
def test_a_load_of_two_shops_killed_at_any_request_is_taken_up_without_loss(tmp_path: Path) -> None:
    with server("acme") as acme, server("bolt") as bolt:
        kill_at = 1
        while loads_both_after_a_kill([acme, bolt], tmp_path / str(kill_at), kill_at) >= kill_at:
            kill_at += 1

    assert kill_at > 12


def loads_both_after_a_kill(shops: list[ShopifyServer], folder: Path, kill_at: int) -> int:
    pipe = Pipe(folder, shops, ("orders",), BULK)
    made = pipe.run(kill_at)
    pipe.run()
    held = sorted((row["shop_domain"], row["admin_graphql_api_id"]) for row in pipe.rows("orders"))
    assert held == sorted((one.shop, gid) for one in shops for gid in one.store.ids("orders"))
    shutil.rmtree(folder)
    return made

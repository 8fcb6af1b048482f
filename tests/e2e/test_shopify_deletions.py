"""What a shop deletes leaves the lake, once and for good, whenever a run dies; what is there stays.

Real processes on a real pipe: the tap, the target, a lake on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shopify_pipe import Pipe
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN

TABLES = ("orders", "pages", "blogs")
PAGED = {"bulk": "never"}


def server(name: str) -> ShopifyServer:
    return ShopifyServer(
        shop=f"{name}.myshopify.com",
        token=TOKEN,
        orders=8,
        customers=3,
        products=3,
        bucket=TokenBucket(100_000, 50_000),
    )


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    with server("acme") as running:
        yield running


def delete_some(shop: ShopifyServer) -> None:
    for table in TABLES:
        for gid in shop.store.ids(table)[:2]:
            shop.store.delete(table, gid)


def test_deleted_rows_leave_the_lake_with_their_lines_and_stay_away(
    shop: ShopifyServer, tmp_path: Path
) -> None:
    pipe = Pipe(tmp_path, [shop], TABLES, PAGED)
    pipe.run()
    pipe.assert_whole()
    delete_some(shop)
    shop.store.add_order()

    pipe.run()

    pipe.assert_whole()
    files = pipe.files()
    for _ in range(2):  # told again, as the index may lag; then a quiet hour later not at all
        pipe.run()
        shop.store.advance(3600)
    pipe.assert_whole()
    assert pipe.files() == files


@pytest.mark.parametrize("step", [100, pytest.param(1, marks=pytest.mark.slow)], ids=["one", "each"])
def test_a_run_that_dies_at_a_request_loses_no_deletion(
    shop: ShopifyServer, tmp_path: Path, step: int
) -> None:
    loaded = Pipe(tmp_path / "loaded", [shop], TABLES, PAGED)
    loaded.run()
    shop.store.advance(3600)
    delete_some(shop)
    shop.store.touch_orders(2)
    shop.store.advance(3600)
    requests = loaded.copy(tmp_path / "whole").run()
    assert requests > 8

    for kill_at in range(requests if step == 1 else requests * 3 // 4, 0, -step):
        pipe = loaded.copy(tmp_path / f"killed-{kill_at}")
        pipe.run(kill_at)
        pipe.run()
        pipe.assert_whole()


def test_a_first_load_that_dies_still_learns_what_was_deleted_since(
    shop: ShopifyServer, tmp_path: Path
) -> None:
    pipe = Pipe(tmp_path, [shop], TABLES, PAGED)
    pipe.run(kill_at=6)
    shop.store.advance(86_400)
    delete_some(shop)
    shop.store.advance(86_400)

    pipe.run()

    pipe.assert_whole()


def test_of_two_shops_each_loses_its_own_row_alone(tmp_path: Path) -> None:
    with server("acme") as acme, server("bolt") as bolt:
        pipe = Pipe(tmp_path, [acme, bolt], TABLES, PAGED)
        pipe.run()
        gone = acme.store.ids("orders")[0]
        assert gone in bolt.store.ids("orders")
        acme.store.delete_order(gone)

        pipe.run()

        held = {(row["shop_domain"], row["admin_graphql_api_id"]) for row in pipe.rows("orders")}
        assert held == {
            (store.shop["myshopifyDomain"], gid)
            for store in (acme.store, bolt.store)
            for gid in store.ids("orders")
        }


def test_who_keeps_deleted_rows_sees_key_and_time(shop: ShopifyServer, tmp_path: Path) -> None:
    pipe = Pipe(tmp_path, [shop], TABLES, PAGED, {"hard_delete": False})
    pipe.run()
    gone = shop.store.ids("pages")[0]
    shop.store.delete("pages", gone)

    pipe.run()

    (row,) = [row for row in pipe.rows("pages") if row["_sdc_deleted_at"]]
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": int(gone.rsplit("/", 1)[-1]),
        "_sdc_deleted_at": shop.store.now,
    }

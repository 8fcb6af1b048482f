"""What a shop deletes leaves the lake, once and for good, whenever a run dies; what is there stays.

Real processes on a real pipe: the tap, the target, a lake on disk.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lake_parquet import Lake
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import TAP

TARGET = TAP.with_name("target-lake-parquet")
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
TABLES = {"orders": "orders", "pages": "pages", "blogs": "blogs"}


def server(name: str) -> ShopifyServer:
    return ShopifyServer(
        shop=f"{name}.myshopify.com",
        token=TOKEN,
        orders=8,
        customers=3,
        products=3,
        bucket=TokenBucket(100_000, 50_000),
    )


@dataclass
class Pipe:
    """The tap and the target on a pipe, on one lake, each run from the state that the last one printed."""

    folder: Path
    shops: list[ShopifyServer]
    settings: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None

    def run(self, kill_at: int | None = None) -> int:
        """Run to the end, or kill the tap at its n-th request; return how many requests it made."""
        shops = [{"shop_domain": shop.domain, "access_token": TOKEN} for shop in self.shops]
        config = {**(shops[0] if len(shops) == 1 else {"shops": shops}), "page_size": 4, "bulk": "never"}
        catalog = TapShopify(config=config, setup_mapper=False).catalog_dict
        for entry in catalog["streams"]:
            selected = entry["tap_stream_id"] in TABLES
            next(one for one in entry["metadata"] if not one["breadcrumb"])["metadata"]["selected"] = selected
        tap: list[str | Path] = [
            "--config",
            self.written("tap", config),
            "--catalog",
            self.written("catalog", catalog),
        ]
        tap += ["--state", self.written("state", self.state)] if self.state else []
        target = {"lake_root": str(self.folder / "lake"), "source": "shopify", **self.settings}
        with (
            (self.folder / "log").open("ab") as log,
            subprocess.Popen([TAP, *tap], stdout=subprocess.PIPE, stderr=log, env=ENV) as reader,
        ):
            asked = self.watch(reader.pid, kill_at)
            done = subprocess.run(
                [TARGET, "--config", self.written("target", target)],
                stdin=reader.stdout,
                stdout=subprocess.PIPE,
                stderr=log,
                env=ENV,
                timeout=60,
                check=False,
            )
        for shop in self.shops:
            shop.watch = lambda _: None
        killed = reader.returncode == -signal.SIGKILL
        assert (reader.returncode, done.returncode) == (0, 0) or killed, (self.folder / "log").read_text()
        if lines := done.stdout.splitlines():
            self.state = json.loads(lines[-1])
        return next(asked) - 1

    def watch(self, pid: int, kill_at: int | None) -> Iterator[int]:
        asked = itertools.count(1)

        def watch(stage: str) -> None:
            if stage == "asked" and next(asked) == kill_at:
                os.kill(pid, signal.SIGKILL)

        for shop in self.shops:
            shop.watch = watch
        return asked

    def written(self, name: str, content: object) -> Path:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def copy(self, folder: Path) -> Pipe:
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return Lake(self.folder / "lake").latest(f"shopify_{table}").collect().to_dicts()

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "lake" / "raw").rglob("*.parquet"))

    def assert_whole(self) -> None:
        """The lake holds what the shop holds, lines of orders too."""
        (shop,) = self.shops
        for table, root in TABLES.items():
            assert sorted(row["admin_graphql_api_id"] for row in self.rows(table)) == sorted(
                shop.store.ids(root)
            )
        assert sorted(row["admin_graphql_api_id"] for row in self.rows("orders__line_items")) == sorted(
            line["id"] for order in shop.store.rows("orders") for line in order["lineItems"]
        )


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    with server("acme") as running:
        yield running


def delete_some(shop: ShopifyServer) -> None:
    for table in TABLES.values():
        for gid in shop.store.ids(table)[:2]:
            shop.store.delete(table, gid)


def test_deleted_rows_leave_the_lake_with_their_lines_and_stay_away(
    shop: ShopifyServer, tmp_path: Path
) -> None:
    pipe = Pipe(tmp_path, [shop])
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


def test_a_run_that_dies_at_any_request_loses_no_deletion(shop: ShopifyServer, tmp_path: Path) -> None:
    loaded = Pipe(tmp_path / "loaded", [shop])
    loaded.folder.mkdir()
    loaded.run()
    shop.store.advance(3600)
    delete_some(shop)
    shop.store.touch_orders(2)
    shop.store.advance(3600)
    requests = loaded.copy(tmp_path / "whole").run()
    assert requests > 8

    for kill_at in range(requests // 2, requests + 1, 3):
        pipe = loaded.copy(tmp_path / f"killed-{kill_at}")
        pipe.run(kill_at)
        pipe.run()
        pipe.assert_whole()


def test_a_first_load_that_dies_still_learns_what_was_deleted_since(
    shop: ShopifyServer, tmp_path: Path
) -> None:
    pipe = Pipe(tmp_path, [shop])
    pipe.run(kill_at=6)
    shop.store.advance(86_400)
    delete_some(shop)
    shop.store.advance(86_400)

    pipe.run()

    pipe.assert_whole()


def test_of_two_shops_each_loses_its_own_row_alone(tmp_path: Path) -> None:
    with server("acme") as acme, server("bolt") as bolt:
        pipe = Pipe(tmp_path, [acme, bolt])
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
    pipe = Pipe(tmp_path, [shop], {"hard_delete": False})
    pipe.run()
    gone = shop.store.ids("pages")[0]
    shop.store.delete("pages", gone)

    pipe.run()

    (row,) = [row for row in pipe.rows("pages") if row["_sdc_deleted_at"]]
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": int(gone.rsplit("/", 1)[-1]),
        "_sdc_deleted_at": shop.store.now,
    }

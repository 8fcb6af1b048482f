"""SIGKILL at every request of an incremental run, resumed from the last state: nothing lost, nothing twice.

Real processes on a real pipe: the tap, the target, a lake on disk, and a shop that changes as the tap dies.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lake_parquet import Lake
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import TAP, selected

TARGET = TAP.with_name("target-lake-parquet")
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
TABLES = ("customers", "orders", "products")
STAGES = ("asked", "answered")


@dataclass
class Pipe:
    """The tap and the target on a pipe, with a lake and the last state that the target printed."""

    shop: ShopifyServer
    folder: Path
    state: dict[str, Any] | None = None

    def run(self, kill_at: int | None = None, stage: str = "asked") -> int:
        """Run to the end, or kill the tap at its n-th request; return how many requests it made."""
        tap = self.written("tap", {"shop_domain": self.shop.domain, "access_token": TOKEN, "page_size": 4})
        target = self.written("target", {"lake_root": str(self.folder / "lake"), "source": "shopify"})
        catalog = self.written("catalog", selected({}))
        state: list[str | Path] = ["--state", self.written("state", self.state)] if self.state else []
        command = [TAP, "--config", tap, "--catalog", catalog, *state]
        with (
            (self.folder / "log").open("ab") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=ENV) as reader,
        ):
            made = self.watch(reader, kill_at, stage)
            done = subprocess.run(
                [TARGET, "--config", target],
                stdin=reader.stdout,
                stdout=subprocess.PIPE,
                stderr=log,
                env=ENV,
                timeout=60,
                check=False,
            )
        self.shop.watch = lambda _: None
        killed = reader.returncode == -signal.SIGKILL
        assert (reader.returncode, done.returncode) == (0, 0) or killed, (self.folder / "log").read_text()
        if lines := done.stdout.splitlines():
            self.state = json.loads(lines[-1])
        return made["asked"]

    def watch(self, reader: subprocess.Popen[bytes], kill_at: int | None, stage: str) -> Counter[str]:
        """Count requests by what became of them, and kill the tap at one of them."""
        made: Counter[str] = Counter()

        def watch(now: str) -> None:
            made[now] += 1
            if now == stage and made[now] == kill_at:
                os.kill(reader.pid, signal.SIGKILL)
                self.shop.store.touch_orders(1)

        self.shop.watch = watch
        return made

    def written(self, name: str, content: object) -> Path:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def copy(self, folder: Path) -> Pipe:
        """Return the same with a lake of its own."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def held(self) -> dict[str, list[tuple[str, str]]]:
        """Return what the lake's latest snapshots hold: every row's id and time of change, sorted."""
        lake = Lake(self.folder / "lake")
        frames = {table: lake.latest(f"shopify_{table}").collect() for table in TABLES}
        return {
            table: sorted(
                zip(
                    frame["admin_graphql_api_id"].to_list(),
                    frame["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list(),
                    strict=True,
                )
            )
            for table, frame in frames.items()
        }

    def line_items(self) -> list[str]:
        """Return the ids of the line items in the lake, sorted."""
        frame = Lake(self.folder / "lake").latest("shopify_orders__line_items").collect()
        return sorted(frame["admin_graphql_api_id"].to_list())

    def assert_whole(self) -> None:
        """The lake holds what the shop holds, each row once."""
        store = self.shop.store
        assert self.held() == {
            table: sorted((row["id"], row["updatedAt"]) for row in store.rows(table)) for table in TABLES
        }
        assert self.line_items() == sorted(
            line["id"] for order in store.rows("orders") for line in order["lineItems"]
        )


@pytest.fixture(scope="module")
def shop() -> Iterator[ShopifyServer]:
    bucket = TokenBucket(100_000, 50_000)
    with ShopifyServer(token=TOKEN, orders=12, customers=6, products=4, bucket=bucket) as running:
        yield running


@pytest.fixture(scope="module")
def loaded(shop: ShopifyServer, tmp_path_factory: pytest.TempPathFactory) -> Pipe:
    """A lake after the first load, and a shop where much has changed since."""
    pipe = Pipe(shop, tmp_path_factory.mktemp("loaded"))
    pipe.run()
    pipe.assert_whole()
    for _ in range(2):
        shop.store.touch_customers(2)
        shop.store.advance(300)
        shop.store.touch_orders(3)
        shop.store.touch_products(2)
        shop.store.add_order()
        shop.store.advance(300)
    return pipe


@pytest.fixture(scope="module")
def requests_of_a_run(loaded: Pipe, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many requests the incremental run makes when nobody kills it."""
    pipe = loaded.copy(tmp_path_factory.mktemp("whole") / "pipe")
    made = pipe.run()
    pipe.assert_whole()
    return made


def killed_and_resumed(loaded: Pipe, folder: Path, kill_at: int, stage: str) -> None:
    pipe = loaded.copy(folder / f"{stage}-{kill_at}")
    pipe.run(kill_at, stage)
    pipe.run()
    pipe.assert_whole()
    shutil.rmtree(pipe.folder)


def test_a_run_killed_at_some_requests_is_taken_up_without_loss(
    loaded: Pipe, requests_of_a_run: int, tmp_path: Path
) -> None:
    """The long form below takes them all; here two, one before and one after the answer."""
    assert requests_of_a_run > 8
    for kill_at, stage in zip((requests_of_a_run // 3, requests_of_a_run * 2 // 3), STAGES, strict=True):
        killed_and_resumed(loaded, tmp_path, kill_at, stage)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_any_request_is_taken_up_without_loss(
    loaded: Pipe, requests_of_a_run: int, tmp_path: Path, stage: str
) -> None:
    for kill_at in range(1, requests_of_a_run + 1):
        killed_and_resumed(loaded, tmp_path, kill_at, stage)


@pytest.mark.slow
def test_runs_that_all_die_but_the_last_add_up_to_one(loaded: Pipe, tmp_path: Path) -> None:
    """Each gets one request further than the one before."""
    pipe = loaded.copy(tmp_path / "pipe")
    kill_at = 1
    while pipe.run(kill_at) >= kill_at:
        kill_at += 1

    assert kill_at > 5
    pipe.assert_whole()

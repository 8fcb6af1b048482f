"""The Shopify tap and the target on a real pipe, on one lake, with a shop that watches the tap's requests."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from lake_parquet import Lake
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import ShopifyServer
from tests.processes import start
from tests.taps.conftest import TOKEN
from tests.taps.singer import TAP
from tests.zygote import IMPATIENT

TARGET = TAP.with_name("target-lake-parquet")
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", IMPATIENT: "1"}
OK = (0, 0)


@dataclass
class Pipe:
    """Runs tap and target, each time from the state that the target printed last."""

    folder: Path
    shops: list[ShopifyServer]
    streams: tuple[str, ...]
    tap: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    log: str = ""
    """What tap and target said in the last run."""

    def run(
        self,
        kill_at: int | None = None,
        stage: str = "asked",
        *,
        codes: tuple[int, int] = OK,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> int:
        """Run to the end, which the exit codes of tap and target are held to; return the tap's requests.

        Or kill the tap at its n-th request, where `meanwhile` then happens in the shop.
        """
        tap: list[str | Path] = [
            TAP,
            "--config",
            self.written("tap", self.config),
            "--catalog",
            self.catalog(),
        ]
        tap += ["--state", self.written("state", self.state)] if self.state else []
        settings = {"lake_root": str(self.folder / "lake"), "source": "shopify", **self.target}
        target: list[str | Path] = [TARGET, "--config", self.written("target", settings)]
        nothing, out, errors = (self.folder / name for name in ("nothing", "out", "log"))
        nothing.touch()
        read, write = os.pipe()
        with nothing.open("rb") as stdin, out.open("wb") as stdout, errors.open("wb") as stderr:
            pid = Future[int]()
            made = self.watch(pid, kill_at, stage, meanwhile)
            reader = start(tap, [stdin.fileno(), write, stderr.fileno()], env=ENV)
            pid.set_result(reader.pid)
            os.close(write)
            writer = start(target, [read, stdout.fileno(), stderr.fileno()], env=ENV)
            os.close(read)
        ended = reader.end(), writer.end()
        for shop in self.shops:
            shop.watch = lambda _: None
        self.log = errors.read_text(encoding="utf-8")
        killed = kill_at is not None and ended[0] == -signal.SIGKILL
        assert killed or ended == codes, self.log
        if lines := out.read_bytes().splitlines():
            self.state = json.loads(lines[-1])
        return made["asked"]

    def watch(
        self,
        pid: Future[int],
        kill_at: int | None,
        stage: str,
        meanwhile: Callable[[], object],
    ) -> Counter[str]:
        """Count requests by what became of them, and kill the tap at one of them."""
        made: Counter[str] = Counter()
        one_by_one = Lock()

        def watch(now: str) -> None:
            with one_by_one:
                made[now] += 1
                if now == stage and made[now] == kill_at:
                    os.kill(pid.result(), signal.SIGKILL)
                    meanwhile()

        for shop in self.shops:
            shop.watch = watch
        return made

    @property
    def config(self) -> dict[str, Any]:
        """The tap's settings."""
        shops = [{"shop_domain": shop.domain, "access_token": TOKEN} for shop in self.shops]
        return {**(shops[0] if len(shops) == 1 else {"shops": shops}), "page_size": 4, **self.tap}

    def catalog(self) -> Path:
        """Return the file of the catalog, discovered once."""
        path = self.folder / "catalog.json"
        if not path.exists():
            catalog = TapShopify(config=self.config, setup_mapper=False).catalog_dict
            for entry in catalog["streams"]:
                root = next(one for one in entry["metadata"] if not one["breadcrumb"])
                root["metadata"]["selected"] = entry["tap_stream_id"] in self.streams
            self.written("catalog", catalog)
        return path

    def written(self, name: str, content: object) -> Path:
        """Write a file of the run."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def copy(self, folder: Path) -> Pipe:
        """Return the same with a lake of its own."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what the latest snapshot of a table holds."""
        return Lake(self.folder / "lake").latest(f"shopify_{table}").collect().to_dicts()

    def gids(self, table: str) -> list[str]:
        """Return the ids in the latest snapshot of a table, sorted."""
        return sorted(row["admin_graphql_api_id"] for row in self.rows(table))

    def files(self) -> list[str]:
        """Return the names of all snapshots."""
        raw = self.folder / "lake" / "raw"
        return sorted(str(path.relative_to(raw)) for path in raw.rglob("*.parquet"))

    def held(self) -> dict[str, list[tuple[str, str]]]:
        """Return what the latest snapshots hold: every row's id and time of change, sorted."""
        stamp = "%Y-%m-%dT%H:%M:%SZ"
        return {
            table: sorted(
                (row["admin_graphql_api_id"], row["updated_at"].strftime(stamp)) for row in self.rows(table)
            )
            for table in self.streams
        }

    def assert_whole(self) -> None:
        """The lake holds what the shop holds, each row once, lines of orders too."""
        (shop,) = self.shops
        assert self.held() == {
            table: sorted((row["id"], row["updatedAt"]) for row in shop.store.rows(table))
            for table in self.streams
        }
        assert self.gids("orders__line_items") == sorted(
            line["id"] for order in shop.store.rows("orders") for line in order["lineItems"]
        )

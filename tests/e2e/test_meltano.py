"""What a user of Meltano sees: this project's own meltano.yml, real runs, a real server on loopback.

Each Meltano call costs seconds, so a test tells a story of several claims. The project's system folder and
lake are temporary: nothing of the user's is touched.
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake_parquet import Lake
from tests.emulators.shopify import ShopifyServer, TokenBucket

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECONDS = 300

pytestmark = pytest.mark.xdist_group("meltano")  # one set of plugin environments, one worker


@dataclass
class Project:
    """This project, run from a temporary system folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def database(self) -> Path:
        return self.folder / "meltano.db"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN / "meltano"), f"--env-file={os.devnull}", *arguments],
            cwd=ROOT,
            env=self.environment | {"TARGET_LAKE_PARQUET_LAKE_ROOT": str(self.lake)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def meltano(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, log = process.communicate(timeout=SECONDS)
        return process.returncode, out, log

    def run(self, *arguments: str, **environment: str) -> str:
        code, _, log = self.meltano("run", *arguments, **environment)
        assert code == 0, log
        return log

    def states(self) -> dict[str, Any]:
        """All bookmarks by their id, from Meltano's database: asking Meltano takes seconds each time."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            rows = database.execute("SELECT state_id, completed_state FROM state").fetchall()
        return {state_id: json.loads(payload) for state_id, payload in rows}

    def rows(self, dataset: str) -> pl.DataFrame:
        return pl.read_parquet(max((self.lake / "raw" / dataset).glob("*.parquet")))

    def last_run(self) -> dict[str, Any]:
        return dict(json.loads(max((self.lake / "_meta/runs").glob("*.json")).read_text()))

    def summaries(self, dataset: str) -> list[tuple[Any, ...]]:
        """What every run said of a dataset, in order."""
        runs = [json.loads(path.read_text()) for path in sorted((self.lake / "_meta/runs").glob("*.json"))]
        facts = ("status", "row_count", "rows_added", "rows_updated", "rows_deleted")
        of_it = [one for run in runs for one in run["datasets"] if one["dataset"] == dataset]
        return [tuple(one[fact] for fact in facts) for one in of_it]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The plugins installed and the database made, once: two runs must do neither at the same time."""
    foreign = ("MELTANO_", "SHOPIFY_", "TAP_", "TARGET_", "TENANT_")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    folder = tmp_path_factory.mktemp("meltano")
    project = Project(folder, ours | {"MELTANO_SYS_DIR_ROOT": str(folder), "NO_COLOR": "1"})
    code, _, log = project.meltano("install", "tap-shopify", "target-lake-parquet")
    assert code == 0, log
    return project


@pytest.fixture
def project(system: Project, tmp_path: Path) -> Project:
    shutil.copy(system.folder / "meltano.db", tmp_path)  # each test has bookmarks of its own
    database = f"sqlite:///{tmp_path}/meltano.db"
    return Project(tmp_path, system.environment | {"MELTANO_DATABASE_URI": database})


def server(shop: str, token: str, orders: int, seed: int) -> ShopifyServer:
    bucket = TokenBucket(20_000, 10_000)  # nobody waits for points here: pace has its own tests
    return ShopifyServer(
        shop=shop, token=token, orders=orders, customers=5, products=4, seed=seed, bucket=bucket
    )


@pytest.fixture
def acme() -> Iterator[ShopifyServer]:
    with server("acme.myshopify.com", "shpat_acme", 40, 7) as running:
        yield running


@pytest.fixture
def bolt() -> Iterator[ShopifyServer]:
    with server("bolt.myshopify.com", "shpat_bolt", 25, 8) as running:
        yield running


def shop(running: ShopifyServer) -> dict[str, str]:
    three = json.dumps(["orders.*", "customers.*", "products.*"])
    selected = {f"{tap}__SELECT": three for tap in ("TAP_SHOPIFY", "TAP_SHOPIFY_ACME", "TAP_SHOPIFY_BOLT")}
    return {"SHOPIFY_SHOP_DOMAIN": running.domain, "SHOPIFY_ACCESS_TOKEN": running.token, **selected}


def ids(running: ShopifyServer) -> list[int]:
    return sorted(int(gid.rsplit("/", 1)[1]) for gid in running.store.ids("orders"))


def test_runs_are_incremental_and_the_latest_stays_whole(project: Project, acme: ShopifyServer) -> None:
    """The plain environment names work; deleted rows leave; a wrong token moves nothing."""
    environment = shop(acme) | {"TENANT_ID": "acme"}
    pipe = ("tap-shopify", "target-lake-parquet")
    dataset = "acme_shopify_orders"

    log = project.run(*pipe, **environment)
    assert project.rows(dataset)["id"].sort().to_list() == ids(acme)
    assert project.summaries(dataset)[-1] == ("published", 40, 40, 0, 0)
    assert "Published acme_shopify_orders: 40 rows (+40 added, 0 updated, 0 deleted)" in log
    assert (project.last_run()["tap"], project.last_run()["tenant_id"]) == ("tap-shopify", "acme")

    acme.store.touch_orders(3)
    acme.store.add_order()
    gone, gone_without_an_event = acme.store.ids("orders")[:2]
    acme.store.delete_order(gone)
    project.run(*pipe, **environment)
    assert project.rows(dataset)["id"].sort().to_list() == ids(acme)
    assert project.summaries(dataset)[-1] == ("published", 40, 1, 3, 1)

    acme.store.delete_order(gone_without_an_event)
    acme.store._tables["events"].clear()
    project.run("--full-refresh", *pipe, **environment)
    assert project.rows(dataset)["id"].sort().to_list() == ids(acme)
    assert project.summaries(dataset)[-1] == ("published", 39, 0, 0, 1)

    state_id = "dev:tap-shopify-to-target-lake-parquet:acme"
    states, files = project.states(), sorted((project.lake / "raw").rglob("*"))
    assert states[state_id]["singer_state"]["account"] == "acme.myshopify.com"
    code, _, log = project.meltano("run", *pipe, **environment | {"SHOPIFY_ACCESS_TOKEN": "shpat_wrong"})
    assert code != 0
    assert "Shopify refused the access token" in log
    assert "Traceback" not in log
    assert "shpat_wrong" not in log
    assert (project.states(), sorted((project.lake / "raw").rglob("*"))) == (states, files)


def running_taps() -> list[int]:
    """The taps that read now; those that only discover are not meant."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            words = path.read_bytes().decode(errors="replace").split("\0")
            if "--catalog" in words and any(word.endswith("bin/tap-shopify") for word in words):
                found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the tap's process in /proc")
def test_a_tap_that_dies_under_meltano_never_replaces_a_whole_snapshot(
    project: Project, acme: ShopifyServer
) -> None:
    """A full table anew, cut by SIGKILL and by SIGTERM: Meltano fails, readers see what they saw."""
    settings = {"TENANT_ID": "acme", "TAP_SHOPIFY_PAGE_SIZE": "4", "TAP_SHOPIFY_BULK": "never"}
    environment = shop(acme) | settings
    pipe = ("tap-shopify", "target-lake-parquet")
    project.run(*pipe, **environment)
    whole = {path: path.read_bytes() for path in (project.lake / "raw").rglob("*.parquet")}
    states = project.states()
    for number in (signal.SIGKILL, signal.SIGTERM):
        asked = 0

        def strike(stage: str, number: signal.Signals = number) -> None:
            nonlocal asked
            taps = running_taps() if stage == "asked" else []
            asked += bool(taps)
            if asked == 12:
                for tap in taps:
                    os.kill(tap, number)

        acme.watch = strike
        code, _, log = project.meltano("run", "--full-refresh", *pipe, **environment)
        assert asked >= 12, log
        assert code != 0
        assert {path: path.read_bytes() for path in (project.lake / "raw").rglob("*.parquet")} == whole
        assert project.states() == states
        (cut,) = (one for one in project.last_run()["datasets"] if one["dataset"] == "acme_shopify_orders")
        assert (cut["status"], cut["proof"], cut["row_count"]) == ("unchanged", "open", 40)
        acme.watch = lambda _: None
    project.run("--full-refresh", *pipe, **environment)
    assert project.rows("acme_shopify_orders")["id"].sort().to_list() == ids(acme)


def test_two_tenants_run_at_the_same_time(project: Project, acme: ShopifyServer, bolt: ShopifyServer) -> None:
    """Each has its own rows and its own bookmark, whatever the plain names say, and keeps them apart."""
    environment = {
        "ACME_SHOPIFY_SHOP_DOMAIN": acme.domain,
        "ACME_SHOPIFY_ACCESS_TOKEN": acme.token,
        "BOLT_SHOPIFY_SHOP_DOMAIN": bolt.domain,
        "BOLT_SHOPIFY_ACCESS_TOKEN": bolt.token,
        # what stands in .env for a single shop must not lead one tenant's rows to another
        **shop(acme),
        "TENANT_ID": "acme",
    }

    def run_both() -> None:
        runs = [project.start("run", tenant, **environment) for tenant in ("acme", "bolt")]
        ended = [(run.communicate(timeout=SECONDS)[1], run.returncode) for run in runs]
        assert [code for _, code in ended] == [0, 0], ended

    run_both()
    for tenant, running in (("acme", acme), ("bolt", bolt)):
        rows = project.rows(f"{tenant}_shopify_orders")
        assert rows["id"].sort().to_list() == ids(running)
        assert rows["_tenant"].unique().to_list() == [tenant]

    bolt.store.touch_orders(2)
    bolt.store.add_order()
    run_both()
    assert project.summaries("acme_shopify_orders")[-1] == ("unchanged", 40, 0, 0, 0)
    assert project.summaries("bolt_shopify_orders")[-1] == ("published", 26, 1, 2, 0)
    for tenant in ("acme", "bolt"):
        state = project.states()[f"dev:tap-shopify--{tenant}-to-target-lake-parquet--{tenant}:acme"]
        assert state["singer_state"]["account"] == f"{tenant}.myshopify.com"


def test_without_credentials_stub_rows_come_loudly_and_leave_no_bookmark(project: Project) -> None:
    """And on their way a stream map makes of them what the user wants."""
    maps = {"customers": {"last_name": "md5(last_name) if last_name else None", "note": "__NULL__"}}
    log = project.run("tap-shopify", "target-lake-parquet", TARGET_LAKE_PARQUET_STREAM_MAPS=json.dumps(maps))
    assert "STUB" in log
    customers = project.rows("shopify_customers")
    assert "note" not in customers.columns
    assert customers["last_name"].drop_nulls().str.contains("^[0-9a-f]{32}$").unique().to_list() == [True]
    assert {one["source"] for one in project.last_run()["datasets"]} == {"shopify_stub"}
    assert "shopify_orders" in {
        one["dataset"] for one in project.last_run()["datasets"]
    }  # no tenant set, none in the name
    assert project.states() == {}


@pytest.mark.slow
def test_the_night_of_the_readme_loads_and_prunes_in_production(
    project: Project, acme: ShopifyServer
) -> None:
    line = next(line for line in (ROOT / "README.md").read_text().splitlines() if "schedule run" in line)
    command = line.partition(".venv/bin/meltano ")[2].partition(" 2>&1")[0].split()
    code, _, log = project.meltano(*command)
    assert code != 0
    assert "stub_data is 'never'" in log
    code, _, log = project.meltano(*command, **shop(acme) | {"TENANT_ID": "acme"})
    assert code == 0, log
    assert project.rows("acme_shopify_orders")["id"].sort().to_list() == ids(acme)
    assert list(project.states()) == ["prod:tap-shopify-to-target-lake-parquet:acme"]
    assert "Removed 0 snapshots" in log


def test_a_tenant_without_credentials_takes_no_other_shop(project: Project, acme: ShopifyServer) -> None:
    """Production takes no stub rows, and nobody the shop that the plain names mean."""
    code, _, log = project.meltano("--environment=prod", "run", "bolt", **shop(acme))
    assert code != 0
    assert "No credentials: shop_domain and access_token are missing and stub_data is 'never'" in log
    assert "Traceback" not in log
    assert not (project.lake / "raw").exists()


def test_a_plugin_tells_of_itself(project: Project) -> None:
    code, out, log = project.meltano("invoke", "tap-shopify", "--about")
    assert code == 0, log
    assert out.startswith("tap-shopify ")


def test_meltano_prunes_the_lake_and_never_the_latest(project: Project) -> None:
    Lake(project.lake).write_records("acme_budget", [{"month": "2026-01", "amount": 1}])
    (latest,) = (project.lake / "raw/acme_budget").iterdir()
    for day in range(1, 10):
        shutil.copy(latest, latest.with_name(f"2026010{day}T000000000000Z.parquet"))
    log = project.run("lake:prune")
    kept = sorted(path.name for path in (project.lake / "raw/acme_budget").iterdir())
    assert kept == [*(f"2026010{day}T000000000000Z.parquet" for day in range(4, 10)), latest.name]
    assert "Removed 3 snapshots" in log

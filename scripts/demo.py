"""Show the whole path in one go: a Shopify server on loopback, two runs through Meltano, the rows read back.

    python scripts/demo.py [FOLDER]

`make demo` runs it. Everything it makes stands in `.demo/` (or FOLDER) and is made anew each time, but for
the plugins' environments: a second demo is quicker. Your own settings and bookmarks are neither read nor
touched. VERBOSE=1 shows Meltano's own log.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / ".demo"
LAKE = DEMO / "lake"
BIN = Path(sys.executable).parent
SHOP, TOKEN, TENANT = "acme.myshopify.com", "shpat_demo", "acme"
# a Plus shop's bucket, so that nobody waits for points in a demo
SERVER = f"--shop {SHOP} --token {TOKEN} --orders 500 --seed 7 --points 20000 --restore-rate 1000".split()
# what else could lead a run of the demo to the user's own shop, lake or bookmarks; .env could, too
FOREIGN = ("MELTANO_", "SHOPIFY_", "TAP_", "TARGET_")

console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def main() -> None:
    """Run the demo from start to end."""
    start_clean()
    with shopify_server() as url:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        environment = ours | {
            "TENANT_ID": TENANT,
            "SHOPIFY_SHOP_DOMAIN": url.removeprefix("http://"),
            "SHOPIFY_ACCESS_TOKEN": TOKEN,
            "TAP_SHOPIFY__SELECT": json.dumps(["orders.*", "customers.*", "products.*"]),
            "TARGET_LAKE_PARQUET_LAKE_ROOT": str(LAKE),
            "MELTANO_SYS_DIR_ROOT": str(DEMO / "meltano"),
            "MELTANO_PROJECT_ROOT": str(ROOT),
        }
        say(f"A Shopify server for {SHOP} listens on {url}, with 500 orders.")
        say("Run 1, everything of three streams: TENANT_ID=acme meltano run tap-shopify target-lake-parquet")
        meltano_run(environment)
        before = orders()
        show_run()
        changed = post(f"{url}/_emulator/touch", {"orders": 3, "new_orders": 2})
        say(f"On the server {len(changed['orders'])} orders change and {len(changed['new_orders'])} are new.")
        say("Run 2, what changed: the same command again")
        meltano_run(environment)
        show_run()
        show_changes(before, orders())
    say("The latest snapshot holds every order, and is the greatest file name in its folder. Try next:")
    lake = os.path.relpath(LAKE, ROOT)
    console.print(f"  .venv/bin/lake ls --lake {lake}")
    console.print(f"  .venv/bin/lake show {TENANT}_shopify_orders --lake {lake}")
    console.print("  cp .env.example .env    # your own shop: fill it in, then")
    console.print("  .venv/bin/meltano run tap-shopify target-lake-parquet")


def say(text: str) -> None:
    """Print one step."""
    console.print(f"\n[bold]{text}[/bold]", soft_wrap=True)


def start_clean() -> None:
    """Remove what an earlier demo left, but for the plugins' environments."""
    shutil.rmtree(LAKE, ignore_errors=True)
    for database in (DEMO / "meltano").glob("meltano.db*"):
        database.unlink()
    DEMO.mkdir(parents=True, exist_ok=True)


@contextmanager
def shopify_server() -> Iterator[str]:
    """Start the server of the tests in a process of its own; yield its address."""
    command = [sys.executable, "-m", "tests.emulators.shopify", "--port", "0", *SERVER]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        if not line:
            sys.exit(
                "The Shopify server did not start; to see why: .venv/bin/python -m tests.emulators.shopify"
            )
        yield json.loads(line)["url"]
    finally:
        server.terminate()
        server.wait()


def meltano_run(environment: dict[str, str]) -> None:
    """Run tap and target through Meltano; its log is shown only if it fails, or on request."""
    command = [
        str(BIN / "meltano"),
        f"--env-file={os.devnull}",
        "run",
        "tap-shopify",
        "target-lake-parquet",
    ]
    loud = bool(os.environ.get("VERBOSE"))
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=False,
        text=True,
        stdout=None if loud else subprocess.PIPE,
        stderr=None if loud else subprocess.STDOUT,
    )
    if run.returncode:
        sys.stderr.write(run.stdout or "")
        sys.exit(f"meltano run failed with exit code {run.returncode}: its log stands above.")


def post(url: str, body: dict[str, int]) -> dict[str, Any]:
    """Send JSON to the server's control endpoint."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return dict(json.load(answer))


def show_run() -> None:
    """Print the summary of the last run, as the target wrote it down."""
    run = json.loads(max((LAKE / "_meta/runs").glob("*.json")).read_text(encoding="utf-8"))
    table = Table(
        title=f"run {run['run_id']}: {run['status']}", title_justify="left", box=None, pad_edge=False
    )
    for name in ("dataset", "status", "source"):
        table.add_column(name, overflow="fold")
    for name in ("rows", "read", "added", "updated"):
        table.add_column(name, justify="right")
    quiet = [one for one in run["datasets"] if one["dataset"].count("__") > 1]
    for one in run["datasets"]:
        if one not in quiet:
            numbers = (str(one[key]) for key in ("row_count", "rows_read", "rows_added", "rows_updated"))
            table.add_row(one["dataset"], one["status"], one["source"], *numbers)
    console.print(table)
    console.print(
        f"and {len(quiet)} child datasets of child datasets; orders stand in {orders_entry(run)['path']}",
        style="dim",
    )


def orders_entry(run: dict[str, Any]) -> dict[str, Any]:
    """What a run says of the orders."""
    return next(one for one in run["datasets"] if one["dataset"] == f"{TENANT}_shopify_orders")


def orders() -> pl.DataFrame:
    """Read the latest orders as anyone can: the greatest file name."""
    return pl.read_parquet(max((LAKE / f"raw/{TENANT}_shopify_orders").glob("*.parquet")))


def show_changes(before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Print the latest rows, the changed ones first."""
    total = pl.col("total_price_set__shop_money__amount").alias("total")
    changed = after.join(before, on=["id", "updated_at"], how="anti").sort(
        "updated_at", "id", descending=True
    )
    say(f"Read back with Polars: {after.height} orders, {changed.height} of them new or changed since run 1:")
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=110):
        console.print(
            str(changed.select("id", "name", "updated_at", "display_financial_status", total)), markup=False
        )


if __name__ == "__main__":
    main()

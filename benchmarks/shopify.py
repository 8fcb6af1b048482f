"""Measures tap-shopify against singer-io's on one server, and its emission against the bare JSON library.

python -m benchmarks.shopify                             100,000 orders, three rounds in turn
python -m benchmarks.shopify --orders 5000 --rounds 1    a quick look
python -m benchmarks.shopify --write-docs                also writes the section in docs/benchmarks.md
"""

import argparse
import contextlib
import gc
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, cast

import msgspec

import tap_shopify
from benchmarks import tools
from benchmarks.measure import Clock, Cost, Failed, cpu_ratio, median, ratio, run
from benchmarks.report import quiet, table
from tap_common.cli import calm_collector
from tap_common.emit import LineWriter
from tap_shopify.backfill import PAGE_ROWS
from tap_shopify.bulk_query import BulkQuery
from tap_shopify.graphql import Query
from tap_shopify.jsonl import objects
from tap_shopify.stream import ShopifyStream
from tap_shopify.tap import TapShopify

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".bench"
SECTION = Path(__file__).with_name("shopify_section.md")
SHOP, TOKEN = "acme.myshopify.com", "shpat_bench"
PEER = tools.Tool(
    "tap_shopify_singer_io",
    "singer-io's tap-shopify",
    "",
    lambda place, _folder, _kind: [place / "tap-shopify"],
    requires=("tap-shopify==3.13.0",),
)
TAPS = ("**tap-shopify**", PEER.title)
COUNT = re.compile(r"Stream orders: ([\d,]+) records|INFO orders: (\d+)")
LINES = 100_000
"""Lines of a result that the emission is measured with."""
LEAST, MOST = 10, 4
"""The bars: how many times faster than the peer, and how many times the bare library's time."""

# Columns of the peer that reach types which the emulator does not model. It is spared the work.
SPARED = (
    "additional_fees",
    "channel_information",
    "customer_journey_summary",
    "disputes",
    "fulfillments",
    "merchant_business_entity",
    "retail_location",
    "shopify_protect",
)


def our_query() -> Query:
    """Our query for orders."""
    return Query((files(tap_shopify) / "queries" / "orders.graphql").read_text(encoding="utf-8"))


def our_document() -> str:
    """What we send to run in bulk."""
    return BulkQuery(our_query()).document(None, {})


class Shop:
    """The server, in a process of its own."""

    def __init__(self, orders: int) -> None:
        """Starts it and waits until it listens."""
        command = [sys.executable, "-m", "benchmarks.shopify_server", str(orders)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        said: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self.port, place = said.readline().decode().split()
        self._results = Path(place)

    def ready(self) -> None:
        """Has the rendered results written out, and in the page cache: neither is what is measured."""
        os.sync()
        for file in self._results.iterdir():
            with file.open("rb", buffering=0) as source:
                while source.read(1 << 20):
                    pass

    def close(self) -> None:
        """Ends it."""
        self._process.communicate(timeout=60)

    def result(self, count: int) -> list[bytes]:
        """The first lines of a bulk read of all orders."""
        run_query = "mutation R($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } } }"
        started = self._ask(run_query, q=our_document())["bulkOperationRunQuery"]["bulkOperation"]
        by_id = "query O($id: ID!) { bulkOperation(id: $id) { url } }"
        url = self._ask(by_id, id=started["id"])["bulkOperation"]["url"]
        with urllib.request.urlopen(url) as response:  # noqa: S310 - our own server
            return [line.rstrip(b"\n") for line in itertools.islice(response, count)]

    def _ask(self, query: str, **variables: str) -> Any:  # noqa: ANN401
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/admin/api/2026-10/graphql.json",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"X-Shopify-Access-Token": TOKEN, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return json.loads(response.read())["data"]


class Reads:
    """Both taps, reading all orders."""

    def __init__(self, shop: Shop, orders: int, folder: Path) -> None:
        """Installs the peer and writes both catalogs."""
        self.shop = shop
        self.folder = folder
        self.orders = orders
        self.nothing = folder / "nothing"
        self.nothing.touch()
        place = tools.install(PEER, HOME)
        self.versions = tools.versions(place)
        self.peer_env = {
            "PYTHONPATH": str(ROOT / "benchmarks" / "redirect"),
            "BENCH_SHOPIFY_PORT": shop.port,
        }
        ours, theirs = tools.BIN / "tap-shopify", place / "tap-shopify"
        one = tools.config(folder / "ours", shop_domain=f"127.0.0.1:{shop.port}", access_token=TOKEN)
        self.settings = {"shop": "acme", "access_token": TOKEN, "start_date": "2025-01-01T00:00:00Z"}
        other = tools.config(folder / "theirs", **self.settings)
        our_catalog = self._catalog([ours, "--config", one, "--discover"], {}, ())
        their_catalog = self._catalog([theirs, "--config", other, "--discover"], self.peer_env, SPARED)
        self.ours: list[str | Path] = [ours, "--config", one, "--catalog", our_catalog]
        self.theirs: list[str | Path] = [theirs, "--config", other, "--catalog", their_catalog]

    def _catalog(self, command: list[str | Path], env: dict[str, str], spared: tuple[str, ...]) -> Path:
        said = subprocess.run(command, check=True, capture_output=True, env={**os.environ, **env}).stdout
        catalog = json.loads(said)
        for entry in catalog["streams"]:
            for metadata in entry["metadata"]:
                crumb = metadata["breadcrumb"]
                is_root = not crumb
                is_spared = bool(crumb) and _snake(crumb[-1]) in spared
                if is_root or is_spared:
                    metadata["metadata"]["selected"] = is_root and entry["tap_stream_id"] == "orders"
                else:
                    metadata["metadata"]["selected"] = True
        path = self.folder / f"catalog-{len(catalog['streams'])}.json"
        path.write_text(json.dumps(catalog))
        return path

    def warm(self) -> None:
        """Lets the server render what the peer asks for, by a read of its last day alone."""
        day_ago = datetime.now(UTC) - timedelta(days=1)
        config = tools.config(self.folder / "warm", **{**self.settings, "start_date": day_ago.isoformat()})
        place, _, _, *catalog = self.theirs
        run([place, "--config", config, *catalog], self.nothing, env=self.peer_env)

    def rounds(self, number: int) -> Iterator[tuple[Cost, Cost]]:
        """Both in turn, ours first in every other round."""
        for at in range(number):
            steps = [(self.ours, {}), (self.theirs, self.peer_env)]
            costs = [self.once(command, env) for command, env in steps[:: -1 if at % 2 else 1]]
            ours, theirs = costs[:: -1 if at % 2 else 1]
            yield ours, theirs

    def once(self, command: list[str | Path], env: dict[str, str]) -> Cost:
        """One run of a tap; both say at the end how many orders they sent.

        Raises:
            Failed: it did not send all.
        """
        self.shop.ready()
        cost = run(command, self.nothing, env=env)
        said = self.nothing.with_name("last-words").read_text(encoding="utf-8")
        if found := [int((match[1] or match[2]).replace(",", "")) for match in COUNT.finditer(said)]:
            if found[-1] == self.orders:
                return cost
            raise Failed(f"{command[0]} sent {found[-1]} of {self.orders} orders")
        raise Failed(f"{command[0]} does not say how many orders it sent")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def emission(lines: list[bytes], port: str, rounds: int) -> list[tuple[float, float]]:
    """Seconds of CPU for the bare library to decode and encode lines, and for us to make records of them."""
    tap = TapShopify(config={"shop_domain": f"127.0.0.1:{port}", "access_token": TOKEN})
    stream = cast("ShopifyStream", tap.streams["orders"])
    nested, size = BulkQuery(our_query()).nested, sum(map(len, lines))
    calm_collector()  # as the command does

    def bare() -> None:
        for line in lines:
            msgspec.json.encode(msgspec.json.decode(line))

    def records() -> None:
        writer, rows = LineWriter(), objects(iter(lines), nested, size, "Stream orders")
        with Path(os.devnull).open("w", encoding="utf-8") as out, contextlib.redirect_stdout(out):
            while page := list(itertools.islice(rows, PAGE_ROWS)):
                for some in stream.records(page):
                    writer.write_records("orders", some, version=1, extracted=datetime.now(UTC))

    return [(_seconds(bare), _seconds(records)) for _ in range(rounds)]


def _seconds(work: Callable[[], None]) -> float:
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def section(
    orders: int, pairs: list[tuple[Cost, Cost]], speeds: list[tuple[float, float]], noted: str
) -> str:
    """The section of the document."""
    ours, theirs = ([pair[at] for pair in pairs] for at in (0, 1))
    faster, cheaper = ratio(theirs, ours), cpu_ratio(theirs, ours)
    emitted = statistics.median(mine / bare for bare, mine in speeds)
    one, other = median(ours), median(theirs)
    rows = [
        [TAPS[0], f"{one.wall:.1f}", f"{one.cpu:.1f}", f"{one.peak_mb:.0f}", "1", "1"],
        [
            TAPS[1],
            f"{other.wall:.1f}",
            f"{other.cpu:.1f}",
            f"{other.peak_mb:.0f}",
            f"{faster:.1f}",
            f"{cheaper:.1f}",
        ],
    ]
    head = ["tap", "wall s", "CPU s", "peak MB", "x ours, wall", "x ours, CPU"]
    met = "met" if faster >= LEAST else "missed"
    kept = "met" if emitted <= MOST else "missed"
    text = Path(__file__).with_name("shopify.md").read_text(encoding="utf-8")
    return text.format(
        orders=f"{orders:,}",
        table=table(head, rows),
        least=LEAST,
        met=met,
        emitted=emitted,
        most=MOST,
        kept=kept,
        noted=noted,
        spared=", ".join(SPARED),
    )


def noted(rounds: int, versions: str, others: float) -> str:
    """When and on what it was measured."""
    names = ("tap-shopify", "singer-python", "simplejson")
    found = [line for line in versions.split() if line.partition("==")[0] in names]
    return (
        f"Measured on {datetime.now(UTC).date()}, {os.cpu_count()} cores, rounds in turn: {rounds}; "
        f"peer: {', '.join(found)}. {quiet(others)}"
    )


def main() -> None:
    """Measures, prints, and writes the section if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=100_000, help="orders in the shop (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often both run (3)")
    parser.add_argument("--write-docs", action="store_true", help="write the section in docs/benchmarks.md")
    options = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    began = Clock.now()
    shop = Shop(options.orders)
    folder = Path(tempfile.mkdtemp(dir=HOME, prefix="work-"))
    try:
        reads = Reads(shop, options.orders, folder)
        reads.warm()
        pairs = []
        for pair in reads.rounds(options.rounds):
            pairs.append(pair)
            print(f"ours {pair[0].wall:.1f} s, theirs {pair[1].wall:.1f} s", file=sys.stderr, flush=True)
        speeds = emission(shop.result(LINES), shop.port, options.rounds)
    finally:
        shutil.rmtree(folder)
        shop.close()
    others = Clock.now().others(began)
    text = section(options.orders, pairs, speeds, noted(options.rounds, reads.versions, others))
    print(text)
    if options.write_docs:
        SECTION.write_text(text, encoding="utf-8")
        page = ROOT / "docs" / "benchmarks.md"
        before, _, after = page.read_text(encoding="utf-8").partition("## How to read it")
        kept = before.partition("## tap-shopify")[0].rstrip()
        page.write_text(f"{kept}\n\n{text.rstrip()}\n\n## How to read it{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

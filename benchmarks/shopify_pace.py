"""How much of a large plan's bucket a read page by page uses, at once and one page after the other.

    python -m benchmarks.shopify_pace [--orders 3000] [--streams orders customers ...]

A request takes half a second and what the emulator needs. So that it keeps up, pages have 25 rows and the
bucket refills 400 points a second, not the 250 and 1,000 of the plan Plus: one page after the other then uses
about the same share of it. The bucket holds 8,000 points, half of them at the start.
The time is from the first request of the stream to its last reply. What the shop's owner edited at once, a
fifth of all, changed within a minute: rows that share one second cannot be parted by time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from tap_shopify.tap import TapShopify
from tests.emulators.shopify import ShopifyServer, TokenBucket, refs

RATE = 400
CAPACITY = 20 * RATE
PAGE = 25
LATENCY = 0.5
TOKEN = "shpat_pace"  # noqa: S105 - opens the emulator only
STREAMS = ("orders", "order_refunds", "inventory_levels", "products", "fulfillments", "customers")
SERIAL = "import tap_shopify.pace as p; p.Pace.room = lambda *_: 0; "
RUN = "from tap_shopify.tap import TapShopify; TapShopify.cli()"


EDITS = tuple(
    refs.written(datetime.fromisoformat(edit) + timedelta(seconds=second))
    for second in range(60)
    for edit in refs.BULK_EDITS
)


class Watched:
    """A shop that is slow, and remembers when it was asked first and answered last."""

    def __init__(self, server: ShopifyServer) -> None:
        self.server = server
        self.begun = self.ended = 0.0
        server.watch = self._see

    def _see(self, stage: str) -> None:
        self.begun = self.begun or time.monotonic()
        if stage == "asked":
            time.sleep(LATENCY)
        self.ended = time.monotonic()


def measure(stream: str, orders: int, *, serial: bool) -> str:
    """Read a stream in full from a fresh shop; return a row of the table."""
    refs.BULK_EDITS = EDITS
    bucket = TokenBucket(CAPACITY, RATE)
    shop = ShopifyServer(
        token=TOKEN, bucket=bucket, orders=orders, customers=2 * orders, products=orders // 2
    )
    with shop as server, tempfile.TemporaryDirectory() as folder:
        config = {
            "shop_domain": server.domain,
            "access_token": TOKEN,
            "bulk": "never",
            "page_size": PAGE,
        }
        catalog = TapShopify(config=config, setup_mapper=False).catalog_dict
        for entry in catalog["streams"]:
            root = next(one for one in entry["metadata"] if not one["breadcrumb"])
            root["metadata"]["selected"] = entry["tap_stream_id"] == stream
        files = {"config": config, "catalog": catalog}
        arguments = []
        for name, content in files.items():
            path = Path(folder) / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
        server.requests.clear()
        bucket.take(CAPACITY // 2)
        watched = Watched(server)
        code = (SERIAL if serial else "") + RUN
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        rows = sum('"RECORD"' in line for line in done.stdout.splitlines())
        points = [request.points or 0 for request in server.requests]
        seconds = watched.ended - watched.begun
    way = "one page after the other" if serial else "at once"
    share = sum(points) / seconds / RATE
    return (
        f"| `{stream}` | {way} | {rows:,} | {len(points)} | {sum(points):,} | {points.count(0)} "
        f"| {seconds:.0f} | {share:.0%} |"
    )


def main() -> None:
    """Measure every stream both ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=3_000)
    parser.add_argument("--streams", nargs="+", default=STREAMS)
    asked = parser.parse_args()
    print("| stream | read | rows | requests | points | throttled | seconds | of what the bucket refills |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for stream in asked.streams:
        for serial in (True, False):
            print(measure(stream, asked.orders, serial=serial), flush=True)


if __name__ == "__main__":
    main()

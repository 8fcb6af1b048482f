"""Write tap-shopify's stub rows: what the tap sends of the emulator's shop, a few rows a stream.

    python -m scripts.generate_shopify_stubs

The shop's data are made up and the same each time; run this after a query, a schema or the data changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.emulators.shopify import ShopifyServer, TokenBucket

STUB = Path(__file__).resolve().parent.parent / "taps/tap-shopify/tap_shopify/stub"
TAP = Path(sys.executable).with_name("tap-shopify")
ORDERS, CUSTOMERS, PRODUCTS = 14, 12, 5
OF_ALL_KINDS = 16
"""Rows of what comes in many kinds, so that each has one."""
MOST_ROWS = {
    "orders": ORDERS,
    "customers": CUSTOMERS,
    "products": PRODUCTS,
    "discounts": OF_ALL_KINDS,
    "files": OF_ALL_KINDS,
}
OTHERS = 4
"""Rows of every other stream, at most."""


def shop() -> ShopifyServer:
    """Return a shop that holds something for every stream."""
    bucket = TokenBucket(1_000_000, 1_000_000)
    server = ShopifyServer(orders=ORDERS, customers=CUSTOMERS, products=PRODUCTS, seed=2026, bucket=bucket)
    server.store.sizes |= {"discountNodes": OF_ALL_KINDS, "files": OF_ALL_KINDS}
    for table in ("draftOrders", "pages"):
        server.store.delete(table, server.store.ids(table)[0])
    return server


def stub_rows() -> dict[str, str]:
    """Return the text of each stream's file."""
    rows: dict[str, list[dict[str, Any]]] = {}
    with shop() as server, tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump({"shop_domain": server.domain, "access_token": "shpat_test", "bulk": "never"}, config)
        config.flush()
        run = subprocess.run([TAP, "--config", config.name], stdout=subprocess.PIPE, check=True)
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            rows.setdefault(message["stream"], []).append(message["record"])
    return {
        stream: "".join(
            json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
            for row in some[: MOST_ROWS.get(stream, OTHERS)]
        )
        for stream, some in rows.items()
    }


def main() -> None:
    """Write the files and say how many rows each holds."""
    for stream, text in sorted(stub_rows().items()):
        (STUB / f"{stream}.jsonl").write_text(text, encoding="utf-8")
        print(f"{stream}: {len(text.splitlines())} rows")


if __name__ == "__main__":
    main()

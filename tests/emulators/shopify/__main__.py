"""The emulator at a prompt: `python -m tests.emulators.shopify --orders 500`, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from tests.emulators.shopify.cost import TokenBucket
from tests.emulators.shopify.server import ShopifyServer


def main() -> None:
    """Serve until SIGINT or SIGTERM; tell a person on stderr and a program on stdout where."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.shopify", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument(
        "--shop", default="acme.myshopify.com", help="the shop's domain (default: %(default)s)"
    )
    parser.add_argument("--token", default="shpat_demo", help="the good access token (default: %(default)s)")
    for table, rows in (("orders", 250), ("customers", 40), ("products", 30)):
        parser.add_argument(f"--{table}", type=int, default=rows, help=f"{table} to seed (default: {rows})")
    parser.add_argument("--seed", type=int, default=7, help="another seed, other data (default: 7)")
    parser.add_argument("--points", type=int, default=2000, help="size of the cost bucket (default: 2000)")
    parser.add_argument("--restore-rate", type=int, default=100, help="points a second (default: 100)")
    options = vars(parser.parse_args())
    bucket = TokenBucket(options.pop("points"), options.pop("restore_rate"))
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with ShopifyServer(**options, bucket=bucket) as server:
        sys.stderr.write(
            f"Shopify emulator on {server.url} until Ctrl-C: POST {server.url}/admin/api/2026-10/graphql.json"
            f" with the header X-Shopify-Access-Token: {server.token}\n"
            f'For shop.json: {{"shop_domain": "{server.domain}", "access_token": "{server.token}"}}\n'
        )
        facts = {"url": server.url, "shop": server.shop, "token": server.token}
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        done.wait()


if __name__ == "__main__":
    main()

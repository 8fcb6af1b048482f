"""The Shopify emulator with many orders, whose bulk results are rendered once: it is not what is measured.

    python -m benchmarks.shopify_server 100000

Prints its port, and where the rendered results stand, when it listens, and serves until its input ends.
Operations are done at once, and lines are grouped: a peer looks every 60 s only, and needs children below
their parent.
"""

import sys

from benchmarks.shopify import SHOP, TOKEN, our_document
from tests.emulators.shopify import ShopifyServer, TokenBucket


def main(orders: int) -> None:
    """Serve."""
    bucket = TokenBucket(10**9, 10**9)
    with ShopifyServer(
        shop=SHOP, token=TOKEN, orders=orders, customers=2_000, products=500, bucket=bucket
    ) as server:
        server.store.bulk.kept = {}
        kept = server.store.bulk.keep(our_document())
        print(server.url.rpartition(":")[2], kept.path.parent, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A Shopify server on loopback: the real Admin schema of 2026-10 over seeded data, with cost and faults.

    with ShopifyServer(shop="acme.myshopify.com", token="shpat_test", orders=250) as server:
        requests.post(f"{server.url}/admin/api/2026-10/graphql.json", ...)
        server.store.touch_orders(3)
        server.faults.add(Fault.status(429, retry_after=1), times=2)
        assert server.requests[-1].status == 200

It also runs by itself: `python -m tests.emulators.shopify --orders 500`.
"""

from tests.emulators.shopify.bulk import BulkPace, Short
from tests.emulators.shopify.cost import TokenBucket
from tests.emulators.shopify.faults import Fault, Faults
from tests.emulators.shopify.server import RequestRecord, ShopifyServer
from tests.emulators.shopify.store import Store

__all__ = ["BulkPace", "Fault", "Faults", "RequestRecord", "ShopifyServer", "Short", "Store", "TokenBucket"]

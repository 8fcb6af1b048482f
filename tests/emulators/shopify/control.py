"""The control endpoint under `/_emulator`, for tests and demos that run in another process.

GET  /_emulator/truth      what the shop holds: counts, ids, the clock
GET  /_emulator/requests   what was asked so far
POST /_emulator/touch      {"orders": 3, "new_orders": 2, "delete_orders": ["gid://..."]}
POST /_emulator/faults     {"fault": "status", "arguments": {"code": 429}, "times": 2, "root": "orders"}
DELETE /_emulator/faults   no more faults
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.emulators.shopify.api import Answer
from tests.emulators.shopify.errors import JSONObject
from tests.emulators.shopify.faults import Fault
from tests.emulators.shopify.store import Store

if TYPE_CHECKING:
    from tests.emulators.shopify.server import ShopifyServer

PREFIX = "/_emulator/"
TABLES = ("orders", "customers", "products")


def control(server: ShopifyServer, method: str, path: str, body: bytes) -> Answer:
    """Answer a control request; a bad one gets 400 and a sentence that says why."""
    action = (method, path.removeprefix(PREFIX))
    try:
        wish = json.loads(body) if body else {}
        match action:
            case ("GET", "truth"):
                payload = truth(server.store)
            case ("GET", "requests"):
                payload = {"requests": [record.summary() for record in list(server.requests)]}
            case ("POST", "touch"):
                payload = touch(server.store, wish)
            case ("POST", "faults"):
                payload = add_fault(server, wish)
            case ("DELETE", "faults"):
                server.faults.clear()
                payload = {"faults": 0}
            case _:
                return Answer(404, {"errors": "Not Found"})
        return Answer(payload=payload)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        return Answer(400, {"errors": f"{type(problem).__name__}: {problem}"})


def truth(store: Store) -> JSONObject:
    """Return what the shop holds at this moment."""
    with store.lock:
        tables = {name: {"count": len(ids), "ids": ids} for name in TABLES for ids in [store.ids(name)]}
        return {
            "now": store.timestamp,
            **tables,
            "line_items": {"count": sum(len(order["lineItems"]) for order in store.rows("orders"))},
            "variants": {"count": len(store.rows("productVariants"))},
        }


def touch(store: Store, wish: dict[str, Any]) -> JSONObject:
    """Change the shop as wished and return the ids of what changed, by wish.

    Raises:
        ValueError: the wish holds a name that nothing is done for.
        KeyError: a row to delete does not exist.
    """
    changes = {
        **{f"new_{name}": getattr(store, f"add_{name[:-1]}") for name in TABLES},
        **{f"delete_{name}": getattr(store, f"delete_{name[:-1]}") for name in TABLES},
    }
    unknown = set(wish) - set(TABLES) - set(changes) - {"advance_seconds"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    done: JSONObject = {}
    with store.lock:
        if "advance_seconds" in wish:
            store.advance(wish["advance_seconds"])
        for name in TABLES:
            if name in wish:
                done[name] = getattr(store, f"touch_{name}")(wish[name])
            if f"new_{name}" in wish:
                done[f"new_{name}"] = [changes[f"new_{name}"]() for _ in range(wish[f"new_{name}"])]
            if f"delete_{name}" in wish:
                done[f"delete_{name}"] = list(wish[f"delete_{name}"])
                for gid in done[f"delete_{name}"]:
                    changes[f"delete_{name}"](gid)
        return {**done, "now": store.timestamp}


def add_fault(server: ShopifyServer, wish: dict[str, Any]) -> JSONObject:
    """Add a fault by the name of its class method."""
    make = getattr(Fault, wish["fault"]) if not wish["fault"].startswith("_") else None
    if make is None:
        raise ValueError(f"no fault is called {wish['fault']!r}")
    choice = {name: wish[name] for name in ("times", "nth", "root") if name in wish}
    server.faults.add(make(**wish.get("arguments", {})), **choice)
    return {"faults": len(server.faults.rules)}

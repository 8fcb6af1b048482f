"""Stock: which location has how much of which item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulators.shopify.made import PARENT, PATH, number_at, source_of
from tests.emulators.shopify.refs import Ref, gid, times

if TYPE_CHECKING:
    from tests.emulators.shopify.store import Store

Row = dict[str, Any]

SHARE = 0.6
"""Of all items, how many a location holds."""


def levels(store: Store, location: Row) -> list[Row]:
    """Return the levels of a location, one an item that it holds."""
    if "inventoryLevels" not in location:
        location["inventoryLevels"] = [
            level(store, location, item, place)
            for place, item in enumerate(store.rows("inventoryItems"))
            if source_of(store, f"{location['id']}/{item['id']}").random() < SHARE
        ]
    return list(location["inventoryLevels"])


def level(store: Store, location: Row, item: Row, place: int) -> Row:
    """Return how much of an item a location has."""
    path = f"{location['id']}.{item['id']}"
    created, updated = times(source_of(store, path), place)
    number = f"{number_at(path)}?inventory_item_id={item['id'].rsplit('/', 1)[-1]}"
    return {
        "id": gid("InventoryLevel", 0).removesuffix("0") + number,
        PATH: path,
        PARENT: location["id"],
        "createdAt": created,
        "updatedAt": updated,
        "item": Ref(item["id"]),
        "location": Ref(location["id"]),
    }


def quantities(store: Store, level: Row, names: list[str]) -> list[Row]:
    """Return the quantities of a level that are asked for by name."""
    return [
        {
            "id": f"gid://shopify/InventoryQuantity/{number_at(level['id'] + name)}?name={name}",
            "name": name,
            "quantity": source_of(store, f"{level['id']}.{name}").randrange(-2, 200),
            "updatedAt": level["updatedAt"],
        }
        for name in names
    ]

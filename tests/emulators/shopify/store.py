"""The shop's data and its clock: what is true on the server, and how a test changes it.

Rows are plain dicts in the shape of their GraphQL type. Every change moves `updatedAt` to the store's clock,
which starts at a fixed instant after all seeded data and moves only when told to, or when something changes.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.emulators.shopify import data_orders, data_people, data_products
from tests.emulators.shopify.made import CREATED
from tests.emulators.shopify.money import SHOP_CURRENCY
from tests.emulators.shopify.refs import Ref
from tests.emulators.shopify.scopes import every_scope

if TYPE_CHECKING:
    from tests.emulators.shopify.bulk import BulkOperations
    from tests.emulators.shopify.made import Maker

__all__ = ["CLOCK_START", "Ref", "Store"]

Row = dict[str, Any]

CLOCK_START = datetime(2026, 2, 1, tzinfo=UTC)
# What belongs to a row and is found by its own id.
CHILDREN = {
    "orders": ("lineItems", "shippingLines", "transactions", "refunds", "fulfillments"),
    "products": ("variants",),
}
CHANGED_BY_HAND = frozenset({"orders", "customers", "products"})
OTHERS = 6
"""Rows of a table without a size of its own."""


@dataclass(frozen=True)
class Size:
    """How many rows of each table to seed."""

    orders: int
    customers: int
    products: int


class Store:
    """Orders, customers and products of one shop, the same for the same seed and sizes. Thread-safe."""

    currency = SHOP_CURRENCY
    bulk: BulkOperations
    """Set by the server, whose address its results carry."""

    def __init__(self, shop: str, size: Size, seed: int, maker: Maker) -> None:
        self.lock = threading.RLock()
        self.now = CLOCK_START
        self.seed = seed
        self.shop = shop_row(shop)
        self.scopes = set(every_scope())
        self.protected: set[str] = set()
        """Fields (`Order.email`) and types (`Customer`) of customers' data that this app may not see."""
        self.maker = maker
        self.payments: Row = {"id": "gid://shopify/ShopifyPaymentsAccount/61000000001"}
        self.sizes: dict[str, int] = {}
        """How many rows of a root connection to make, by its name; to be set before it is first asked."""
        self.longest_list = 25_000
        """Objects after which pages end, of a root connection or a nested one, without a word about it."""
        self.nested: dict[tuple[str, str], int] = {}
        """How many rows of a nested connection or list, by type and field, likewise."""
        self.made: dict[str, Row] = {}
        self._random = random.Random(f"{seed}/changes")  # noqa: S311 - test data, no secrets
        self._tables: dict[str, dict[str, Row]] = {"orders": {}, "customers": {}, "products": {}}
        self._children: dict[str, Row] = {}
        self._parents: dict[str, Row] = {}
        self._made = dict.fromkeys(self._tables, 0)
        self._orders_of: dict[str, list[Row]] | None = None
        for table, wanted in (
            ("customers", size.customers),
            ("products", size.products),
            ("orders", size.orders),
        ):
            for _ in range(wanted):
                self._insert(table, self._make(table))

    # ---- reading: the truth that a test compares with

    def rows(self, table: str) -> list[Row]:
        """Return the rows of `orders`, `customers`, `products` or `productVariants`, not to be changed."""
        with self.lock:
            if table == "productVariants":
                return [
                    variant
                    for product in self._tables["products"].values()
                    for variant in product["variants"]
                ]
            if table == "inventoryItems":
                return [variant["inventoryItem"] for variant in self.rows("productVariants")]
            if table not in self._tables:
                rows = self.maker.table(self, table, self.sizes.get(table, OTHERS))
                self._tables[table] = {row["id"]: row for row in rows}
            return list(self._tables[table].values())

    def ids(self, table: str) -> list[str]:
        """Return the global ids of a table's rows, oldest first."""
        return [row["id"] for row in self.rows(table)]

    def get(self, gid: str) -> Row | None:
        """Return the order, customer, product, line item or variant of a global id; None if there is none."""
        with self.lock:
            if "/BulkOperation/" in gid:
                return self.bulk.row(gid)
            for table in self._tables.values():
                if gid in table:
                    return table[gid]
            if gid in (self.shop["id"], self.payments["id"]):
                return self.shop if gid == self.shop["id"] else self.payments
            return self._children.get(gid) or self.made.get(gid)

    def orders_of(self, customer: str) -> list[Row]:
        """Return the orders of a customer's global id."""
        with self.lock:
            if self._orders_of is None:
                self._orders_of = {}
                for order in self._tables["orders"].values():
                    if order["customer"]:
                        self._orders_of.setdefault(order["customer"].gid, []).append(order)
            return self._orders_of.get(customer, [])

    def rest_shop(self) -> Row:
        """Return the shop as the REST API has it, as far as anybody asks."""
        number = int(self.shop["id"].rsplit("/", 1)[-1])
        return {"id": number, "name": self.shop["name"], "myshopify_domain": self.shop["myshopifyDomain"]}

    # ---- the clock

    @property
    def timestamp(self) -> str:
        """The clock as Shopify writes a time."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def advance(self, seconds: float = 1) -> str:
        """Move the clock and return its time; every change does so by one second first."""
        with self.lock:
            self.now += timedelta(seconds=seconds)
            return self.timestamp

    # ---- changing

    def touch_orders(self, count: int) -> list[str]:
        """Edit some orders, all in the same second, and return their ids. Their `note` tells the time."""
        return self._touch("orders", count)

    def touch_customers(self, count: int) -> list[str]:
        """Edit some customers, all in the same second, and return their ids."""
        return self._touch("customers", count)

    def touch_products(self, count: int) -> list[str]:
        """Edit some products, all in the same second, and return their ids. Their last tag tells the time."""
        return self._touch("products", count)

    def touch(self, table: str, count: int = 1) -> list[str]:
        """Change some rows of any table, all in the same second, and return their ids."""
        if table in CHANGED_BY_HAND:
            return self._touch(table, count)
        with self.lock:
            moment = self.advance()
            rows = self.rows(table)
            chosen = self._random.sample(rows, min(count, len(rows)))
            for row in chosen:
                row["updatedAt"] = moment
            return [row["id"] for row in chosen]

    def add(self, table: str) -> str:
        """Add a row to any table now and return its id."""
        if table in CHANGED_BY_HAND:
            return self._add(table, {})
        with self.lock:
            self.rows(table)
            moment = self.advance()
            row = self._new(table)
            row.update(dict.fromkeys((*CREATED, "updatedAt"), moment))
            self._tables[table][row["id"]] = row
            return str(row["id"])

    def delete(self, table: str, gid: str) -> None:
        """Remove a row of any table."""
        self.rows(table)
        self._delete(table, gid)

    def update(self, gid: str, **fields: object) -> Row:
        """Set fields of a row and move its `updatedAt`, and that of the order or product it belongs to.

        Raises:
            KeyError: there is no such row.
        """
        with self.lock:
            row = self.get(gid)
            if row is None:
                raise KeyError(gid)
            row.update({"updatedAt": self.advance(), **fields})
            if gid in self._parents:
                self._parents[gid]["updatedAt"] = row["updatedAt"]
            self._orders_of = None
            return row

    def add_order(self, **fields: object) -> str:
        """Place a new order now and return its id; `fields` override what is made up."""
        return self._add("orders", fields)

    def add_customer(self, **fields: object) -> str:
        """Register a new customer now and return the id."""
        return self._add("customers", fields)

    def add_product(self, **fields: object) -> str:
        """Create a new product now and return its id."""
        return self._add("products", fields)

    def delete_order(self, gid: str) -> None:
        """Remove an order with its line items; nothing else tells that it was there."""
        self._delete("orders", gid)

    def delete_customer(self, gid: str) -> None:
        """Remove a customer; the orders keep a reference that leads nowhere, so null."""
        self._delete("customers", gid)

    def delete_product(self, gid: str) -> None:
        """Remove a product with its variants."""
        self._delete("products", gid)

    # ---- inside

    def _make(self, table: str) -> Row:
        self._made[table] += 1
        index = self._made[table]
        source = random.Random(f"{self.seed}/{table}/{index}")  # noqa: S311 - test data, no secrets
        if table == "customers":
            return data_people.customer(source, index)
        if table == "products":
            return data_products.product(source, index)
        customers, products = self._tables["customers"], self._tables["products"]
        return data_orders.order(source, index, list(customers.values()), list(products.values()))

    def _insert(self, table: str, row: Row) -> None:
        self._tables[table][row["id"]] = row
        for child in self._below(table, row):
            self._children[child["id"]] = child
            self._parents[child["id"]] = row
        self._orders_of = None

    def _add(self, table: str, fields: dict[str, Any]) -> str:
        with self.lock:
            moment = self.advance()
            row = self._make(table)
            row.update({"createdAt": moment, "updatedAt": moment})
            row.update({name: moment for name in ("processedAt", "publishedAt") if row.get(name)})
            for variant in row.get("variants", ()):
                variant.update({"createdAt": moment, "updatedAt": moment})
            row.update(fields)
            self._insert(table, row)
            return str(row["id"])

    def _touch(self, table: str, count: int) -> list[str]:
        with self.lock:
            moment = self.advance()
            rows = list(self._tables[table].values())
            chosen = self._random.sample(rows, min(count, len(rows)))
            for row in chosen:
                row["updatedAt"] = moment
                if table == "products":
                    row["tags"] = [*(tag for tag in row["tags"] if tag[:6] != "edited"), f"edited {moment}"]
                else:
                    row["note"] = f"edited {moment}"
            return [row["id"] for row in chosen]

    def _delete(self, table: str, gid: str) -> None:
        with self.lock:
            row = self._tables[table].pop(gid)
            self.made.pop(gid, None)
            for child in self._below(table, row):
                self._children.pop(child["id"], None)
                self._parents.pop(child["id"], None)
            self._orders_of = None
            if (subject := self._subject(gid)) is not None:
                self._tell("destroy", subject, gid)

    def _subject(self, gid: str) -> str | None:
        """Return what events call a thing; None where Shopify keeps none of its kind."""
        kinds = self.maker.schema.type_map["EventSubjectType"].values  # type: ignore[attr-defined]
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", gid.split("/")[3]).upper()
        return name if name in kinds else None

    def _tell(self, action: str, subject: str, gid: str) -> None:
        """Add an event to the shop's timeline."""
        self.rows("events")
        moment = self.advance()
        event = self._new("events") | {"action": action, "createdAt": moment, "__typename": "BasicEvent"}
        self._tables["events"][event["id"]] = event | {"subjectType": subject, "subjectId": gid}

    def _new(self, table: str) -> Row:
        """Return a new row of a table that has no module of its own."""
        self._made[table] = self._made.get(table, 0) + 1
        return self.maker.table(self, f"{table}", 1, start=10_000 + self._made[table])[0]

    def _below(self, table: str, row: Row) -> Iterator[Row]:
        for field in CHILDREN.get(table, ()):
            yield from row.get(field, ())
        for variant in row.get("variants", ()) if table == "products" else ():
            yield variant["inventoryItem"]


def shop_row(domain: str) -> Row:
    """Return the shop itself; its name is the first part of its domain."""
    name = domain.split(".", 1)[0]
    return {
        "id": "gid://shopify/Shop/60000000001",
        "name": name.replace("-", " ").title(),
        "myshopifyDomain": domain,
        "email": f"owner@{name}.example.com",
        "contactEmail": f"hello@{name}.example.com",
        "currencyCode": SHOP_CURRENCY,
        "ianaTimezone": "Europe/Berlin",
        "primaryDomain": {
            "id": "gid://shopify/Domain/70000000001",
            "host": f"{name}.example.com",
            "url": f"https://{name}.example.com",
            "sslEnabled": True,
        },
        "plan": {"publicDisplayName": "Basic", "partnerDevelopment": False, "shopifyPlus": False},
        "url": f"https://{name}.example.com",
        "createdAt": "2024-01-15T09:00:00Z",
        "updatedAt": "2025-01-15T09:00:00Z",
    }

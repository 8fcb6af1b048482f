"""What a Shopify shop has. A stream is its query, its schema, and a line on what it holds."""

from __future__ import annotations

from tap_shopify.stream import ShopifyStream


class Customers(ShopifyStream):
    """People who bought or signed up, with addresses and consent."""

    name = "customers"
    count = "customersCount"


class Orders(ShopifyStream):
    """Orders with line items, shipping lines, taxes, discounts and addresses; a refund moves `updated_at`."""

    name = "orders"
    count = "ordersCount"


class Products(ShopifyStream):
    """Products with variants and options."""

    name = "products"
    count = "productsCount"


STREAMS: tuple[type[ShopifyStream], ...] = tuple(
    item for item in list(vars().values()) if isinstance(item, type) and item.__module__ == __name__
)
"""All of them, in the order they stand here."""

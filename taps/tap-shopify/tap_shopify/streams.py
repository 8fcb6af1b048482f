"""What a Shopify shop has. A stream is its query, its schema, and how many rows fit a page."""

from __future__ import annotations

from tap_shopify.stream import ShopifyStream


class Customers(ShopifyStream):
    """People who bought or signed up, with addresses and consent."""

    name = "customers"
    page_size = 100


class Orders(ShopifyStream):
    """Orders with line items, shipping lines, taxes, discounts and addresses; a refund moves `updated_at`."""

    name = "orders"
    page_size = 100


class Products(ShopifyStream):
    """Products with variants and options."""

    name = "products"
    page_size = 100

"""Singer tap for Shopify's GraphQL Admin API: what the user may set, and the list of streams."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from singer_sdk import Stream
from singer_sdk import typing as th

from tap_common.config import LOOKBACK, MAX_TRIES, START_DATE, STUB_DATA
from tap_common.tap import CommonTap
from tap_shopify.client import ShopifyClient, origin_of_shop
from tap_shopify.cost import LARGEST_PAGE
from tap_shopify.pace import Pace
from tap_shopify.streams import STREAMS


class TapShopify(CommonTap):
    """Singer tap for Shopify's GraphQL Admin API."""

    name = "tap-shopify"
    package_name = "singerlake-tap-shopify"
    credentials = ("shop_domain", "access_token")
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "shop_domain",
            th.StringType,
            description="The shop: `acme` or `acme.myshopify.com`.",
        ),
        th.Property(
            "access_token",
            th.StringType,
            secret=True,
            description="An Admin API token with the scopes read_orders, read_customers and read_products.",
        ),
        th.Property(
            "api_version",
            th.StringType(pattern=r"^(20\d\d-(01|04|07|10)|unstable)$"),
            default="2026-10",
            description="Version of the Admin API. The default is the one the queries were written for.",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1, maximum=LARGEST_PAGE),
            default=LARGEST_PAGE,
            description="The most rows to ask for at once. The tap asks for fewer where the query would cost "
            "too many points, and after an error of Shopify's.",
        ),
        START_DATE,
        STUB_DATA,
        LOOKBACK,
        MAX_TRIES,
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return every stream."""
        return [stream(self) for stream in STREAMS]

    def check_settings(self, config: dict[str, Any]) -> None:
        """Refuse a shop that cannot be one."""
        if "shop_domain" in config:
            origin_of_shop(config["shop_domain"])

    def identify(self) -> list[str]:
        """Return the shop's own name for itself."""
        return [self.client.shop.name]

    @cached_property
    def client(self) -> ShopifyClient:
        """The one connection to the shop, shared by all streams: they draw on one bucket."""
        return ShopifyClient(
            origin=origin_of_shop(self.config["shop_domain"]),
            token=self.config["access_token"],
            version=self.config["api_version"],
            tries=int(self.config["max_tries"]),
            pace=Pace(int(self.config["page_size"])),
        )

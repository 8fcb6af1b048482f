"""Singer tap for Shopify's GraphQL Admin API: what the user may set, and the list of streams."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from singer_sdk import Stream
from singer_sdk import typing as th

from tap_common.config import LOOKBACK, MAX_TRIES, START_DATE, STUB_DATA
from tap_common.tap import CommonTap
from tap_shopify.access import missing
from tap_shopify.client import ShopifyClient
from tap_shopify.cost import LARGEST_PAGE
from tap_shopify.graphql import WRITTEN_FOR
from tap_shopify.shops import connected, shops_of
from tap_shopify.streams import STREAMS


class TapShopify(CommonTap):
    """Singer tap for Shopify's GraphQL Admin API."""

    name = "tap-shopify"
    package_name = "singerlake-tap-shopify"
    credentials = (
        ("shop_domain", "access_token"),
        ("shop_domain", "client_id", "client_secret"),
        ("shops",),
    )
    dynamic_catalog = True  # what can be read depends on the token's scopes
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
            description="An Admin API token that does not expire. Its scopes decide which streams there are.",
        ),
        th.Property(
            "client_id",
            th.StringType,
            description="With client_secret, in place of access_token: the app's id. The tap asks for a "
            "token itself, and again when that runs out after 24 hours.",
        ),
        th.Property(
            "client_secret",
            th.StringType,
            secret=True,
            description="The secret that belongs to client_id.",
        ),
        th.Property(
            "refresh_token",
            th.StringType,
            secret=True,
            description="Of a public app's expiring offline token, with client_id and client_secret. Each "
            "refresh replaces it; the newest is kept in credentials_file.",
        ),
        th.Property(
            "credentials_file",
            th.StringType,
            description="The file that the tap keeps refreshed tokens in, readable by its owner alone. Put "
            "it where it outlives the run, and where one process at a time can lock it.",
        ),
        th.Property(
            "shops",
            th.ArrayType(
                th.ObjectType(
                    th.Property("shop_domain", th.StringType, required=True),
                    th.Property("access_token", th.StringType),
                    th.Property("client_id", th.StringType),
                    th.Property("client_secret", th.StringType),
                    th.Property("refresh_token", th.StringType),
                    additional_properties=False,
                )
            ),
            secret=True,
            description="Several shops of one owner, read one after the other, in place of shop_domain: a "
            "list of objects with shop_domain and credentials (an app's client_id and client_secret may "
            "stand once, outside). Rows carry the column shop_domain, which is part of every key.",
        ),
        th.Property(
            "api_version",
            th.StringType(pattern=r"^(20\d\d-(01|04|07|10)|unstable)$"),
            default=WRITTEN_FOR,
            description="Version of the Admin API. The default is the one the queries were written for.",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1, maximum=LARGEST_PAGE),
            default=LARGEST_PAGE,
            description="The most rows to ask for at once. The tap asks for fewer where the query would cost "
            "too many points, and after an error of Shopify's.",
        ),
        th.Property(
            "bulk",
            th.StringType(allowed_values=["auto", "always", "never"]),
            default="auto",
            description="Whether to read by bulk operation: `auto` does where much is to be read, `always` "
            "wherever the query allows it, `never` reads page by page.",
        ),
        START_DATE,
        STUB_DATA,
        LOOKBACK,
        MAX_TRIES,
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return every stream that the token may read; the others are named, with the scope they lack."""
        every = [stream(self) for stream in STREAMS]
        if self.is_stub:
            return list(every)
        lacking = {
            stream: {scope for client in self.clients for scope in missing(stream.name, client.shop.scopes)}
            for stream in every
        }
        for stream, scopes in lacking.items():
            if scopes:
                self.logger.warning(
                    "Stream %s is left out: the token lacks %s. Grant the app that scope to read it.",
                    stream.name,
                    " and ".join(sorted(scopes)),
                )
        return [stream for stream, scopes in lacking.items() if not scopes]

    def check_settings(self, config: dict[str, Any]) -> None:
        """Refuse shops that cannot be ones, and credentials that do not go together."""
        if not self.is_stub:
            shops_of(config)

    @property
    def parted_by(self) -> str | None:
        """The column that tells several shops apart."""
        return "shop_domain" if self.config.get("shops") else None

    def identify(self) -> list[str]:
        """Return each shop's own name for itself."""
        return [client.shop.name for client in self.clients]

    def turn_to(self, part: dict[str, str] | None) -> None:
        """Read from this shop from now on."""
        if part is not None:
            (self._current,) = (c for c in self.clients if c.shop.name == part["shop_domain"])

    @cached_property
    def clients(self) -> list[ShopifyClient]:
        """One connection to each shop, shared by all streams: they draw on one bucket."""
        return [connected(shop, self.config) for shop in shops_of(self.config)]

    _current: ShopifyClient | None = None

    @property
    def client(self) -> ShopifyClient:
        """The connection to the shop that is being read."""
        return self._current or self.clients[0]

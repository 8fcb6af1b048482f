"""Singer tap for Shopify's GraphQL Admin API: what the user may set, and the list of streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar

from singer_sdk import Stream
from singer_sdk import typing as th

from tap_common.config import LOOKBACK, MAX_TRIES, START_DATE, STUB_DATA
from tap_common.errors import ApiError
from tap_common.tap import CommonTap
from tap_shopify.access import hidden, missing
from tap_shopify.client import ShopifyClient
from tap_shopify.cost import LARGEST_PAGE
from tap_shopify.errors import DeniedError
from tap_shopify.graphql import WRITTEN_FOR, Way
from tap_shopify.shopifyql import SCOPED_AS, ShopifyqlStream, fetch, reports_of
from tap_shopify.shops import connected, shops_of
from tap_shopify.stream import ShopifyStream
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
        th.Property(
            "shopifyql",
            th.ArrayType(
                th.ObjectType(
                    th.Property(
                        "name", th.StringType(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"), required=True
                    ),
                    th.Property("query", th.StringType(min_length=1), required=True),
                    th.Property("primary_keys", th.ArrayType(th.StringType)),
                    additional_properties=False,
                )
            ),
            description="Reports of your own, each a stream: a list of objects with name, query (in "
            "ShopifyQL) and primary_keys (the columns of its GROUP BY). Each is read in full every time. The "
            "token needs read_reports, the app access to protected customer data.",
        ),
        START_DATE,
        STUB_DATA,
        LOOKBACK,
        MAX_TRIES,
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return every stream that the token may read; what it may not is named, with the scope it lacks."""
        if self.is_stub:
            if self.config.get("shopifyql"):
                self.logger.warning("The streams of shopifyql are left out: stub data holds no reports.")
            return [stream(self) for stream in STREAMS]
        may_be_read = (stream for stream in STREAMS if self._may_read(str(vars(stream)["name"])))
        return [*(stream(self, self._hidden(stream)) for stream in may_be_read), *self._reports()]

    def _reports(self) -> Iterator[Stream]:
        """Yield a stream for each report of the settings, with the columns that the first shop names."""
        for report in reports_of(self.config, ()):
            if self._may_read(report.name, SCOPED_AS):
                try:
                    yield ShopifyqlStream(self, report, fetch(self.clients[0], report))
                except DeniedError as error:
                    self.logger.warning("Stream %s is left out. %s", report.name, error)
                except ApiError as error:
                    self.give_up(report.name, error)

    def _may_read(self, stream: str, scoped_as: str | None = None) -> bool:
        lacking = [missing(scoped_as or stream, client.shop.scopes) for client in self.clients]
        if any(lacking):
            self.logger.warning(
                "Stream %s is left out: %s. Grant the app that scope to read it.", stream, self._told(lacking)
            )
        return not any(lacking)

    def _hidden(self, stream: type[ShopifyStream]) -> set[Way]:
        """Return the columns of a stream that some shop's token may not see, and name them."""
        name = str(vars(stream)["name"])
        found = [hidden(name, client.shop.scopes) for client in self.clients]
        if ways := {way for columns in found for way in columns}:
            self.logger.warning(
                "Stream %s comes without %s: %s. Grant the app that scope to read more.",
                name,
                ", ".join(sorted(".".join(way[len(stream.rows_at) :]) for way in ways)),
                self._told([chain.from_iterable(columns.values()) for columns in found]),
            )
        return ways

    def _told(self, lacking: Iterable[Iterable[str]]) -> str:
        """Return what each shop's token lacks, in words; of several shops, which ones do."""
        shops: dict[str, list[str]] = {}
        for client, scopes in zip(self.clients, lacking, strict=True):
            if said := " and ".join(sorted(set(scopes))):
                shops.setdefault(said, []).append(client.shop.name)
        if len(self.clients) == 1:
            return "".join(f"the token lacks {said}" for said in shops)
        return "; ".join(
            f"the token of {names[0]} lacks {said}"
            if len(names) == 1
            else f"the tokens of {' and '.join(names)} lack {said}"
            for said, names in shops.items()
        )

    def check_settings(self, config: dict[str, Any]) -> None:
        """Refuse shops that cannot be ones, credentials that do not go together, names that are taken."""
        if not self.is_stub:
            shops_of(config)
        reports_of(config, (str(vars(stream)["name"]) for stream in STREAMS))

    @property
    def parted_by(self) -> str | None:
        """The column that tells several shops apart."""
        return "shop_domain" if self.config.get("shops") else None

    def identify(self) -> list[str]:
        """Return each shop's own name for itself."""
        return [client.shop.name for client in self.clients]

    def still_answers(self) -> None:
        """Ask the shop that is read for its name, anew."""
        self.client.ask_shop()

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

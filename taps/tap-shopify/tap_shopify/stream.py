"""One query in, pages of whole rows out: what every Shopify stream has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema

import tap_shopify
from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import PageGuard
from tap_common.stream import CommonStream
from tap_shopify.client import QUERIES
from tap_shopify.graphql import Query
from tap_shopify.rows import Level, Remainder, Remainders, Shape

if TYPE_CHECKING:
    from tap_shopify.tap import TapShopify

SCHEMAS = files(tap_shopify) / "schemas"


class ShopifyStream(CommonStream):
    """Every Shopify stream: one query, cursor pages, oldest change first, nested pages fetched in full."""

    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key: ClassVar[str | None] = "updated_at"
    """The column that grows with every change; None for a stream that is always read in full."""
    filtered_by: ClassVar[str | None] = "updated_at"
    """The search field of the root connection that bounds a read; None where Shopify has none."""
    is_sorted = True
    """Whether the document asks for oldest change first. Else rows of a window come in any order, and the
    bookmark moves at the window's end only."""
    search: ClassVar[str | None] = None
    """What every search of the root connection says besides, in Shopify's syntax: `action:destroy`."""
    rows_at: ClassVar[tuple[str, ...]] = ()
    """The columns that lead from a row of the root connection to this stream's rows; empty: they are it."""
    parent_columns: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Columns that a row at `rows_at` carries of its root row: `{"order_id": "id"}`."""
    moved: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Columns that a row holds under another name or inside an object, which leaves: `{"location_id":
    "location.id"}`."""
    count: ClassVar[str | None] = None
    """The root field that counts what the root connection holds: `ordersCount`; None where there is none."""
    schema: ClassVar[StreamSchema] = StreamSchema(SchemaDirectory(SCHEMAS))
    _tap: TapShopify

    @cached_property
    def query(self) -> Query:
        """The stream's document, `queries/<stream>.graphql`."""
        return Query(QUERIES.joinpath(f"{self.name}.graphql").read_text(encoding="utf-8"))

    @cached_property
    def level(self) -> Level:
        """Which rows of a page are this stream's."""
        return Level(self.rows_at, self.parent_columns, self.moved)

    @cached_property
    def shape(self) -> Shape:
        """What turns an object of the reply into a row."""
        return Shape(self.query.columns, self.level.schema_of_root(self.schema))

    def records(self, rows: list[Row]) -> list[Row]:
        """Return whole records of some objects at the root: reshaped, and what was cut fetched."""
        left: list[Remainder] = []
        for row in rows:
            self.shape.apply(row, left)
        Remainders(self._tap.client.execute, self.name).complete(left)
        return self.level.records(rows)

    def pages(self, since: datetime | None) -> Iterator[list[Row]]:
        """Yield pages of whole rows."""
        # Quoted, because an unquoted timestamp ends at its first colon and the filter is dropped.
        changed = f"{self.filtered_by}:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'" if since else None
        changed = " AND ".join(filter(None, (self.search, changed))) or None
        guard = PageGuard(f"Stream {self.name}")
        cursor: str | None = None
        while True:
            variables = {"after": cursor, "query": changed}
            data = self._tap.client.execute(self.query.text, variables, self.name)
            page = self.query.page(data)
            if page is None:
                raise ApiError(
                    f"Stream {self.name}: Shopify's answer holds no {self.query.connection.name}. "
                    "Nothing past this page was read."
                )
            yield self.records(page["nodes"])
            cursor = guard.following(page["pageInfo"]["endCursor"], more=page["pageInfo"]["hasNextPage"])
            if cursor is None:
                return

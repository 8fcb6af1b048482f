"""One query in, pages of whole rows out: what every Shopify stream has in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema

import tap_shopify
from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import PageGuard
from tap_common.redact import foreign
from tap_common.stream import CommonStream
from tap_shopify.client import QUERIES
from tap_shopify.graphql import Query, Remainder, Shape

if TYPE_CHECKING:
    from tap_shopify.tap import TapShopify

SCHEMAS = files(tap_shopify) / "schemas"
logger = logging.getLogger("tap-shopify")


class ShopifyStream(CommonStream):
    """Every Shopify stream: one query, cursor pages, oldest change first, nested pages fetched in full."""

    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "updated_at"
    schema: ClassVar[StreamSchema] = StreamSchema(SchemaDirectory(SCHEMAS))
    _tap: TapShopify

    @cached_property
    def query(self) -> Query:
        """The stream's document, `queries/<stream>.graphql`."""
        return Query(QUERIES.joinpath(f"{self.name}.graphql").read_text(encoding="utf-8"))

    @cached_property
    def shape(self) -> Shape:
        """What turns an object of the reply into a row."""
        return Shape(self.query.columns, self.schema)

    def pages(self, since: datetime | None) -> Iterator[list[Row]]:
        """Yield pages of whole rows."""
        # Quoted, because an unquoted timestamp ends at its first colon and the filter is dropped.
        changed = f"updated_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'" if since else None
        guard = PageGuard(f"Stream {self.name}")
        cursor: str | None = None
        while True:
            variables = {"after": cursor, "query": changed}
            data = self._tap.client.execute(self.query.text, variables, self.name)
            page = self._connection(data, self.query.connection.name)
            left: list[Remainder] = []
            for row in page["nodes"]:
                self.shape.apply(row, left)
            self._complete(left)
            yield page["nodes"]
            cursor = guard.following(page["pageInfo"]["endCursor"], more=page["pageInfo"]["hasNextPage"])
            if cursor is None:
                return

    def _complete(self, left: list[Remainder]) -> None:
        """Fetch every page of every nested list that did not fit, and what is cut inside those pages."""
        while left:
            part = left.pop()
            guard = PageGuard(f"Stream {self.name}, {part.column.name} of {part.parent}")
            query = self.query.rest(part.parent, part.column)
            cursor = guard.following(part.cursor, more=True)
            while cursor is not None:
                variables = {"id": part.parent, "after": cursor}
                data = self._tap.client.execute(query, variables, f"{self.name}.{part.column.name}")
                if data.get("node") is None:
                    logger.warning(
                        "%s was deleted while it was read; it is sent with the %d %s read so far.",
                        foreign(part.parent, 100),
                        len(part.rows),
                        part.column.name,
                    )
                    break
                page = self._connection(data["node"], part.column.name)
                for row in page["nodes"]:
                    part.shape.apply(row, left)
                part.rows.extend(page["nodes"])
                cursor = guard.following(page["pageInfo"]["endCursor"], more=page["pageInfo"]["hasNextPage"])

    def _connection(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        page = data.get(name)
        if not isinstance(page, dict) or not isinstance(page.get("nodes"), list):
            raise ApiError(
                f"Stream {self.name}: Shopify's answer holds no {name}. Nothing past this page was read."
            )
        return page

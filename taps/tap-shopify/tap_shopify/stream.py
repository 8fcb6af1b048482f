"""One query in, pages of whole rows out: what every Shopify stream has in common."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from importlib.resources import files
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema

import tap_shopify
from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import Page
from tap_common.progress import Progress, text_of
from tap_common.stream import DELETED_AT, CommonStream, Part
from tap_shopify.access import held_back
from tap_shopify.backfill import IN_STATE, Backfill, Rest
from tap_shopify.bulk import BulkOperations, NoSlotError
from tap_shopify.client import QUERIES
from tap_shopify.deletions import Deletion, Deletions
from tap_shopify.errors import DeniedError
from tap_shopify.gids import number_of
from tap_shopify.graphql import WRITTEN_FOR, Query, Way, is_searched
from tap_shopify.rows import Level, Remainder, Remainders, Shape, newest
from tap_shopify.walk import Fetched, condition
from tap_shopify.windows import Windows

if TYPE_CHECKING:
    from tap_shopify.tap import TapShopify

SCHEMAS = files(tap_shopify) / "schemas"
logger = logging.getLogger("tap-shopify")


def is_within(way: Way, around: Way) -> bool:
    """Tell whether a column is another one, or stands inside it."""
    return way[: len(around)] == around


def without(schema: Mapping[str, Any], ways: Collection[Way]) -> dict[str, Any]:
    """Return a JSON Schema without some columns, and without objects that hold nothing then."""
    if "items" in schema:
        return {**schema, "items": without(schema["items"], ways)}
    left: dict[str, Any] = {}
    for name, declared in schema.get("properties", {}).items():
        if (name,) in ways:
            continue
        inside = {way[1:] for way in ways if way[0] == name}
        inner = without(declared, inside) if inside else declared
        if not inside or (inner.get("items") or inner)["properties"]:
            left[name] = inner
    return {**schema, "properties": left}


@dataclass(frozen=True)
class Asking:
    """What is asked for: the document, and what turns an object of its reply into a row."""

    query: Query
    shape: Shape
    denied: frozenset[Way]
    """Columns that Shopify denied in this read."""


class ShopifyStream(CommonStream):
    """Every Shopify stream: one query, cursor pages, oldest change first, nested pages fetched in full."""

    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key: ClassVar[str | None] = "updated_at"
    """The column that grows with every change; None for a stream that is always read in full."""
    filtered_by: ClassVar[str | None] = "updated_at"
    """The search field, and column of the root's rows, that bounds a read; None where Shopify has none."""
    changed_at: ClassVar[str | None] = None
    """Where a row of the root connection holds that time, if not in a column of that name:
    `discount.updated_at`. In a list the newest counts."""
    settles_within: ClassVar[timedelta | None] = None
    """How long a row still changes though the time in its bookmark column does not: each read begins that
    much earlier. None where every change moves that time."""
    is_sorted = True
    """Whether the document asks for oldest change first. Else rows of a window come in any order, and the
    bookmark moves at the window's end only."""
    comes_by_id = False
    """Whether they come by id then, and the search is one of them: what is left of a list can be parted."""
    search: ClassVar[str | None] = None
    """What every search of the root connection says besides, in Shopify's syntax: `action:destroy`."""
    rows_at: ClassVar[tuple[str, ...]] = ()
    """The columns that lead from a row of the root connection to this stream's rows; empty: they are it."""
    parent_columns: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Columns that a row at `rows_at` carries of its root row: `{"order_id": "id"}`."""
    moved: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Columns that a row holds under another name or inside an object, which leaves: `{"location_id":
    "location.id"}`."""
    found_by: ClassVar[str] = "node"
    """The root field that finds a row of the root connection by its id, for what did not fit on a page."""
    deleted_as: ClassVar[tuple[str, ...]] = ()
    """What Shopify's events call the things whose number is this stream's key: `ORDER`. What the shop
    deletes then leaves the lake too. Empty where there are no such events, or all is read each time."""
    count: ClassVar[str | None] = None
    """The root field that counts what the root connection holds: `ordersCount`; None where there is none, or
    none that takes the filter of the read (`pagesCount`)."""
    schema: ClassVar[StreamSchema] = StreamSchema(SchemaDirectory(SCHEMAS))
    _tap: TapShopify

    def __init__(self, tap: TapShopify, hidden: Collection[Way] = ()) -> None:
        self.hidden = frozenset(hidden)
        """Columns that the token may not see, each the way to it from the root's rows."""
        self._denying = Lock()
        super().__init__(tap)
        self.__dict__["schema"] = self._seen(self.schema)

    @property
    def effective_schema(self) -> dict[str, Any]:
        """The declared schema, without what a catalog of an earlier day says of hidden columns."""
        return self._seen(super().effective_schema)

    def _seen(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schema without the hidden columns."""
        depth = len(self.rows_at)
        inside = {way[depth:] for way in self.hidden if way[:depth] == self.rows_at}
        return without(schema, inside) if inside else dict(schema)

    @classmethod
    def vital(cls) -> frozenset[Way]:
        """The columns that no read can do without, each the way to it from the root's rows."""
        keys = {*cls.primary_keys, cls.replication_key} - {None, *cls.parent_columns}
        inside = [*cls.moved.values(), *(cls.moved.get(key, key) for key in keys if key)]
        root = [*cls.parent_columns.values(), cls.changed_at or cls.filtered_by or "id"]
        ways = [tuple(path.split(".")) for path in root]
        ways += [(*cls.rows_at, *path.split(".")) for path in inside]
        return frozenset(tuple(name for name in way if name != "nodes") for way in ways) | {cls.rows_at}

    @property
    def label(self) -> str:
        """What messages call this read: the stream, and of several shops which one."""
        return f"Stream {self.name}" + (f" of {self.part['shop_domain']}" if self.part else "")

    @cached_property
    def asking(self) -> Asking:
        """What is asked for now."""
        return self._asking_without(frozenset())

    def _asking_without(self, denied: frozenset[Way]) -> Asking:
        source = QUERIES.joinpath(f"{self.name}.graphql").read_text(encoding="utf-8")
        version = self.config.get("api_version", WRITTEN_FOR)
        query = Query(source, version, self.hidden | self._unwanted | denied)
        return Asking(query, Shape(query.columns, self.level.schema_of_root(self.schema)), denied)

    @property
    def query(self) -> Query:
        """The stream's document, `queries/<stream>.graphql`."""
        return self.asking.query

    @property
    def _unwanted(self) -> set[Way]:
        """The deselected columns that a read can do without: they are not even asked for."""
        ways = ((*self.rows_at, *path) for path in self._deselected)
        return {
            way for way in ways if way[-1] != "id" and not any(is_within(one, way) for one in self.vital())
        }

    @cached_property
    def level(self) -> Level:
        """Which rows of a page are this stream's."""
        return Level(self.rows_at, self.parent_columns, self.moved)

    def records(
        self, rows: list[Row], asking: Asking | None = None, search: str | None = None
    ) -> Iterator[list[Row]]:
        """Yield whole records of some objects at the root: reshaped, and what was cut fetched.

        What lies at `rows_at` is yielded as it comes, so that a parent with any number of rows fits.

        Args:
            rows: the objects, as they came.
            asking: what was asked for; None: what is now.
            search: the search they came by: nested lists are searched by it, too.
        """
        shape = (asking or self.asking).shape
        left: list[Remainder] = []
        for row in rows:
            shape.apply(row, left)
        remainders = Remainders(self._tap.client.execute, self.name, self.found_by, search)
        for still_left in remainders.rounds(left):
            if all(part.names == self.rows_at for part in still_left):
                yield self.level.take(rows)
        yield self.level.records(rows)

    def pages(self, since: datetime | None) -> Iterator[Page]:
        """Yield pages of whole rows."""
        client = self._tap.client
        self.asking = self._asking_without(frozenset())  # another shop may have approved of more
        for said in held_back(self.name, client.shop.scopes, since, client.now()):
            logger.warning("%s: %s", self.label, said)
        deletions = self.deletions()
        windows = self.windows()
        before = None if self.filtered_by else self._counted(self.search)
        rest = Rest(since=since)
        if self.config["bulk"] != "never":
            backfill = self.backfill(windows)
            for page in backfill.read(since):
                yield from map(Page, self.records(page.rows))
                yield Page([], page.bookmark)
            rest = backfill.rest
        if not rest.is_nothing:
            yield from windows.read(rest.since)
        self._reconcile(windows, since, before)
        if deletions is not None:
            for gone in deletions.read():
                yield Page([self._tombstone(deletion) for deletion in gone])

    def since(self, part: Part) -> datetime | None:
        """Return where a read starts: before the bookmark while rows settle, but not before start_date."""
        since = super().since(part)
        if since is None or self.settles_within is None or self._bookmark_of(part) is None:
            return since
        earlier = since - self.settles_within
        start = self.config.get("start_date")
        return max(earlier, self._parse_datetime(start)) if start else earlier

    @property
    def has_tombstones(self) -> bool:
        """Whether Shopify tells of deletions."""
        return bool(self.deleted_as)

    def deletions(self) -> Deletions | None:
        """Return what follows the deletions, and let it begin before anything is read; None where none do."""
        if not self.wants_tombstones:
            return None
        memory = self.get_context_state(self.part)
        deletions = Deletions(self._tap.client, self.label, self.deleted_as, self.lag, memory)
        if self._bookmark_of(self.part) is None:
            deletions.begin()
        return deletions

    def _tombstone(self, deletion: Deletion) -> Row:
        key = type(self).primary_keys[0]  # without the shop's column, which is added to every row
        return {key: number_of(deletion.gid), DELETED_AT: deletion.at}

    def windows(self) -> Windows:
        """Return a read of the root connection that starts now, by the shop's clock."""
        client = self._tap.client
        return Windows(
            what=self.label,
            fetch=self._page,
            progress=Progress(self.label, client.now(), self.lag),
            field=self.filtered_by,
            search=self.search,
            is_sorted=self.is_sorted,
            comes_by_id=self.comes_by_id,
            opened=client.shop.opened,
            room=lambda: client.room(self.query.text),
            comes_again=any(is_searched(column) for column in self.query.columns),
        )

    def backfill(self, windows: Windows) -> Backfill:
        """Return the way through a bulk operation for a read."""
        client = self._tap.client
        count = self.count
        return Backfill(
            query=self.query,
            allowed=self._allowed,
            operations=BulkOperations(client, windows.what),
            windows=windows,
            memory=self.get_context_state(self.part),
            save=lambda: self._tap.state_writer.write_state(self.tap_state),
            count=(lambda search: client.count(count, search, self.name)) if count else None,
            always=self.config["bulk"] == "always",
            ahead=self._begin_others,
        )

    def _begin_others(self) -> None:
        """Start the operations of the streams that come after this one, so that they run meanwhile."""
        streams = list(self._tap.streams.values())
        for other in streams[streams.index(self) + 1 :]:
            if isinstance(other, ShopifyStream) and other.selected and not other.has_begun(self.part):
                try:
                    other.begin_bulk(self.part)
                except NoSlotError:
                    return
                except ApiError as error:
                    logger.debug("%s It is tried again in its turn.", error)

    def has_begun(self, part: Part) -> bool:
        """Tell whether the state names an operation already; whether it is of use is seen in its turn."""
        return IN_STATE in self.get_context_state(part)

    def begin_bulk(self, part: Part) -> None:
        """Start the operation of the read to come, if it is worth one and a slot is free."""
        self.part = part
        self._write_starting_replication_value(part)
        self.deletions()
        self.backfill(self.windows()).begin(self.since(part), waits=False)

    def _page(self, variables: Row) -> Fetched:
        asking, answer = self._answer(variables)
        page = asking.query.page(answer)
        if page is None:
            raise ApiError(
                f"{self.label}: Shopify's answer holds no {asking.query.connection.name}. "
                "Nothing past this page was read."
            )
        if self.changed_at and self.filtered_by:
            for row in page["nodes"]:
                row[self.filtered_by] = newest(row, self.changed_at)
        whole = partial(self.records, asking=asking, search=variables["query"])
        return Fetched(page["nodes"], page["pageInfo"], whole)

    def _answer(self, variables: Row) -> tuple[Asking, Row]:
        """Return the answer to the stream's document, without what Shopify denies to this app.

        Which of customers' data an app may see no scope tells: Shopify answers with errors that name the
        columns. Those are asked for no more in this read.
        """
        while True:
            asking = self.asking
            try:
                return asking, self._tap.client.execute(asking.query.text, variables, self.name)
            except DeniedError as error:
                path = asking.query.path
                ways = {one[len(path) :] for one in error.paths if is_within(one, path)}
                vital = any(is_within(one, way) for one in self.vital() for way in ways)
                if not ways or vital or len(ways) < len(error.paths) or ways <= asking.denied:
                    raise
                self._deny(ways, error.said)

    def _deny(self, ways: Collection[Way], said: str) -> None:
        """Ask from now on for everything but these columns, besides what is left out anyway; tell it once."""
        with self._denying:
            if self.asking.denied >= set(ways):
                return  # another page was refused for the same
            logger.warning(
                "%s comes without %s, which Shopify denies to this app: %s Ask Shopify for access to "
                "protected customer data, or deselect these columns.",
                self.label,
                ", ".join(sorted(".".join(way[len(self.rows_at) :]) for way in ways)),
                said,
            )
            self.asking = self._asking_without(self.asking.denied | set(ways))

    def _allowed(self, search: str | None) -> Query:
        """Return the document as this app may send it in bulk, where a denied column fails it as a whole."""
        self._page({"after": None, "query": search, "first": 1})
        return self.query

    def _counted(self, search: str | None) -> tuple[int, bool] | None:
        """Return how many objects the shop counts, and whether that is exact; None where it will not tell."""
        if self.count is None:
            return None
        try:
            return self._tap.client.count(self.count, search, self.name)
        except ApiError as error:  # what only checks the rows does not undo that they are sent
            logger.warning(
                "%s: what was read could not be held against Shopify's own count. %s", self.label, error
            )
            return None

    def _reconcile(self, windows: Windows, since: datetime | None, before: tuple[int, bool] | None) -> None:
        """Hold the rows read against the shop's own count; fewer there may be a deletion, more is a loss.

        A count that no time bounds may grow while all is read: then that from `before` the read counts.
        """
        start = text_of(since) if since else None
        now = self._counted(condition(self.search, self.filtered_by, start, windows.progress.started))
        if now is None:
            return
        there, is_exact = min(now, before or now)
        if there > (read := len(windows.counted)):
            logger.warning(
                "%s: Shopify counts %s%d records, %d were read, and the next run does not go back to the "
                "others. Read the stream anew, with --full-refresh or a state without it; report it to the "
                "tap's authors if it stays.",
                self.label,
                "" if is_exact else "at least ",
                there,
                read,
            )

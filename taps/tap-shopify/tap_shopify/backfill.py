"""A read that is worth a bulk operation in; out come its pages, and where the paged read goes on.

The operation holds everything up to the moment it was created, at least; what changed since is read page by
page from there. So a bulk read is a shortcut over the past, and every rule about the present stays one.

The id of the operation is kept in the state: a run that was killed finds it again. Where anything goes wrong,
the paged read does the work, and the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from tap_common.download import Download
from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import Page
from tap_common.progress import text_of
from tap_shopify.bulk import BulkOperations, NoSlotError, Operation
from tap_shopify.bulk_query import BulkQuery, UnfitError
from tap_shopify.graphql import Query
from tap_shopify.jsonl import objects
from tap_shopify.walk import condition
from tap_shopify.windows import Windows

IN_STATE = "bulk_operation"
WORTH = 1_000
"""Objects at the root from which on an operation, which takes a minute at least, is faster than pages."""
WIDE = timedelta(days=30)
"""How far back a read must go to be worth it where Shopify counts nothing."""
PAGE_ROWS = 25
"""Few enough that their objects stay in the processor's cache until they are written: ten times as many take
twice as long."""
logger = logging.getLogger("tap-shopify")


@dataclass(frozen=True)
class Rest:
    """What a bulk read leaves to the paged one: nothing, or what changed at or after a moment."""

    is_nothing: bool = False
    since: datetime | None = None


class Backfill:
    """One stream's read by bulk operation.

    Args:
        query: the stream's query.
        allowed: asks for a row under a search, and returns the query as Shopify answers it to this app.
        operations: the shop's bulk operations.
        windows: the paged read, which also keeps count of what was read.
        memory: the part of the state that is this read's own.
        save: prints the state.
        count: counts the objects under a filter, and tells whether that is exact; None where Shopify cannot.
        always: whether to take a bulk operation however little there is.
        ahead: begins what may run while this read waits.
    """

    def __init__(  # noqa: PLR0913 - the facts of one read, all by keyword
        self,
        *,
        query: Query,
        allowed: Callable[[str | None], Query],
        operations: BulkOperations,
        windows: Windows,
        memory: MutableMapping[str, Any],
        save: Callable[[], None],
        count: Callable[[str | None], tuple[int, bool]] | None,
        always: bool,
        ahead: Callable[[], None],
    ) -> None:
        self.what = windows.what
        self.operations = operations
        self.windows = windows
        self.memory = memory
        self.save = save
        self.count = count
        self.always = always
        self.ahead = ahead
        self.allowed = allowed
        self.query: BulkQuery | None = None
        self.rest = Rest()
        try:
            self.query = BulkQuery(query)
        except UnfitError as reason:
            level = logging.INFO if always else logging.DEBUG
            logger.log(level, "%s is read page by page, it cannot go through bulk: %s.", self.what, reason)

    def begin(self, since: datetime | None, *, waits: bool) -> Operation | None:
        """Find the operation of this read or start it, if it is worth one; None where it is not to be."""
        if self.query is None:
            return None
        search = condition(self.windows.search, self.windows.field, text_of(since) if since else None, None)
        if not (is_known := IN_STATE in self.memory) and not self._is_worth(search, since):
            return None
        self.query = BulkQuery(self.allowed(search))
        document = self.query.document(search, {"read": self.what})
        operation = self._remembered(document)
        if operation is None:
            if is_known and not self._is_worth(search, since):
                return None
            operation = self._running(document) or self.operations.start(document, waits=waits)
        if self.memory.get(IN_STATE) != operation.id:
            self.memory[IN_STATE] = operation.id
            self.save()
        return operation

    def read(self, since: datetime | None) -> Iterator[Page]:
        """Yield pages of the nodes that a bulk operation brings; `rest` is then what is left to read."""
        self.rest = rest = Rest(since=since)
        try:
            operation = self.begin(since, waits=True)
            if operation is not None:
                self.ahead()
                self.rest = yield from self._result(self.operations.ended(operation), rest)
        except ApiError as error:
            said = "No slot is free" if isinstance(error, NoSlotError) else "Bulk operation failed"
            logger.warning("%s: %s, the rest is read page by page. %s", self.what, said, error)
        self.memory.pop(IN_STATE, None)

    def _is_worth(self, search: str | None, since: datetime | None) -> bool:
        if self.always:
            return True
        if self.count is not None:
            return self.count(search)[0] >= WORTH
        if self.windows.field is None:
            return False  # what is neither counted nor bounded is some setting or other: a page or two
        start = since or self.windows.opened
        return start is None or self.windows.progress.started_at - start >= WIDE

    def _remembered(self, document: str) -> Operation | None:
        """Return the operation that the state names, if it reads this and is as good as a new one.

        The result of a read without a filter is as old as its operation: only one that runs is good then.
        """
        gid = self.memory.get(IN_STATE)
        one = self.operations.by_id(gid) if gid else None
        if one is None or one.query != document:
            return None
        is_good = one.status in {"CREATED", "RUNNING"} or (one.is_whole and self.windows.field is not None)
        return one if is_good else None

    def _running(self, document: str) -> Operation | None:
        """Return the operation of a run that was killed before it could remember it."""
        running = (one for one in self.operations.unfinished() if one.status != "CANCELING")
        return next((one for one in running if one.query == document), None)

    def _result(self, operation: Operation, rest: Rest) -> Generator[Page, None, Rest]:
        if operation.status != "COMPLETED":
            return (yield from self._part(operation, rest))
        if not operation.is_whole:
            raise ApiError(f"It ended with {operation.lines} objects and no address to get them from.")
        read = 0
        for nodes in self._nodes(operation.url, operation):
            read += len(nodes)
            yield Page(self.windows.take(nodes))
        logger.info("%s: %d objects came by bulk operation.", self.what, read)
        if self.windows.field is None:
            return Rest(is_nothing=True)
        settled = self._settled(operation)
        yield Page([], self.windows.progress.whole_window(text_of(settled)))
        return Rest(since=max(settled, rest.since) if rest.since else settled)

    def _part(self, operation: Operation, rest: Rest) -> Generator[Page, None, Rest]:
        """Take of an operation that did not end well what is sure to be whole.

        Objects without nested lists are, and where they come sorted, none is missing before the last that
        did not change meanwhile.
        """
        said = f"{operation.status} {operation.error or ''}".strip()
        field = self.windows.field
        if operation.partial_url is None:
            raise ApiError(f"It ended as {said}, and left no data.")
        if self.query is None or self.query.nested or field is None or not self.windows.is_sorted:
            raise ApiError(f"It ended as {said}, and its partial data may lack some rows, or parts of them.")
        settled, last = text_of(self._settled(operation)), ""
        for nodes in self._nodes(operation.partial_url, operation):
            for key in (key for node in nodes if (key := node[field]) and key < settled):
                if key < last:
                    raise ApiError(f"It ended as {said}, and its partial data is not sorted.")
                last = key
            yield Page(self.windows.take(nodes))
        logger.warning("%s: bulk operation ended as %s; read on from its partial data.", self.what, said)
        yield Page([], last or None)
        return Rest(since=datetime.fromisoformat(last)) if last else rest

    def _settled(self, operation: Operation) -> datetime:
        """Return the moment before which every change was known to the search when the operation began."""
        progress = self.windows.progress
        return datetime.fromisoformat(operation.created_at) - (progress.started_at - progress.settled_at)

    def _nodes(self, url: str | None, operation: Operation) -> Iterator[list[Row]]:
        """Yield the objects of a result, some at a time; nothing where it is empty."""
        if url is None:
            return
        assert self.query is not None  # noqa: S101 - else nothing was started
        rows = objects(self._lines(url, operation), self.query.nested, operation.size, self.what)
        while page := list(islice(rows, PAGE_ROWS)):
            yield page

    def _lines(self, url: str, operation: Operation) -> Iterator[bytes]:
        """Yield the lines of a result; where all should be there, the end comes only if they are.

        Raises:
            ApiError: Fewer came than Shopify told of, or other bytes. Objects with nested lists are handed on
                after the last line: none is then.
        """
        download = Download(url, self.what, tries=self.operations.client.api.tries)
        count = 0
        for line in download.lines():
            count += bool(line)
            yield line
        if operation.status != "COMPLETED":
            return
        if operation.size and download.size != operation.size:
            raise ApiError(f"Its result has {download.size} bytes, and Shopify tells of {operation.size}.")
        if count < operation.lines:
            raise ApiError(f"Its result has {count} objects, and Shopify tells of {operation.lines}.")

"""A moment to read from in; out come pages of a connection's nodes, each with the bookmark true after it.

Three ways, by what the API offers for the connection:
- sorted by the time it is filtered by: one walk, and the bookmark follows it;
- filtered but not sorted: windows of time one after the other, and the bookmark moves at the end of each;
- neither: one walk over everything, and no bookmark.

Shopify does not page past 25,000 objects: a walk ends before that and another starts where it is sure to miss
nothing. Sources: Shopify, "Pagination with GraphQL" and "API limits".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import Page, PageGuard, Seen
from tap_common.progress import Progress, text_of
from tap_shopify.cost import LARGEST_PAGE

SECOND = timedelta(seconds=1)


def condition(search: str | None, field: str | None, start: str | None, end: str | None) -> str | None:
    """Return a search bounded in time, None where it would hold nothing back.

    Quoted, because an unquoted timestamp ends at its first colon, and Shopify drops the filter.
    """
    bounds = [f"{field}:{sign}'{bound}'" for sign, bound in ((">=", start), ("<", end)) if field and bound]
    return " AND ".join([*([search] if search else []), *bounds]) or None


class Windows:
    """One read of one connection.

    Args:
        what: names the read in errors, `Stream orders`.
        fetch: asks for a page (`nodes`, `pageInfo`) with the variables `query` and `after`.
        progress: works out the bookmarks.
        field: the search field that bounds a window, also the column of the nodes that holds the time.
        search: what every search says besides.
        is_sorted: whether the connection comes sorted by that time.
        opened: no record is older than this; where the first window starts.
    """

    longest_walk = 25_000
    first_width = timedelta(days=30)

    def __init__(
        self,
        *,
        what: str,
        fetch: Callable[[dict[str, Any]], Row],
        progress: Progress,
        field: str | None,
        search: str | None = None,
        is_sorted: bool,
        opened: datetime | None,
    ) -> None:
        self.what = what
        self.fetch = fetch
        self.progress = progress
        self.field = field
        self.search = search
        self.is_sorted = is_sorted
        self.opened = opened
        self.seen = Seen()
        self.counted = 0
        """Nodes read that had not changed since the read began: what a count of the same filter finds."""

    def read(self, since: datetime | None) -> Iterator[Page]:
        """Yield everything that changed at or after `since`."""
        if self.field is None:
            for nodes, _ in self._walk(None, None):
                yield Page(nodes)
        elif self.is_sorted:
            yield from self._sorted(since)
        else:
            yield from self._windows(since)

    def _sorted(self, since: datetime | None) -> Iterator[Page]:
        start = text_of(since) if since else None
        while True:
            for nodes, is_full in self._walk(start, None):
                yield Page(nodes, self.progress.sorted_page(self._keys(nodes)))
                # Of rows that share one second no later start would miss fewer: the walk goes on.
                if is_full and (bookmark := self.progress.given) and bookmark != start:
                    start = bookmark
                    break
            else:
                yield Page([], self.progress.whole_read())
                return

    def _windows(self, since: datetime | None) -> Iterator[Page]:
        start, width = since, self.first_width
        while True:
            begin = start or self.opened
            end = begin + width if begin and begin + width < self.progress.settled_at else None
            for nodes, is_full in self._walk(_text(start), _text(end)):
                self.progress.note(self._keys(nodes))
                yield Page(nodes)
                # What is left of time before the open end cannot be parted any further: the walk goes on.
                span = (end or self.progress.settled_at) - begin if begin else timedelta(0)
                if is_full and span > SECOND:
                    width = max(span / 2, SECOND)
                    break
            else:
                if end is None:
                    yield Page([], self.progress.whole_read())
                    return
                yield Page([], self.progress.whole_window(text_of(end)))
                start, width = end, width * 2
                continue

    def _walk(self, start: str | None, end: str | None) -> Iterator[tuple[list[Row], bool]]:
        """Yield the pages of one walk without rows that came before, and whether it should end here.

        Raises:
            ApiError: Cursors go astray, or the walk ends just where Shopify's limit is.
        """
        guard = PageGuard(self.what)
        search = condition(self.search, self.field, start, end)
        cursor: str | None = None
        read = 0
        while True:
            page = self.fetch({"after": cursor, "query": search})
            read += len(page["nodes"])
            cursor = guard.following(page["pageInfo"]["endCursor"], more=page["pageInfo"]["hasNextPage"])
            if cursor is None and read == self.longest_walk:
                raise ApiError(
                    f"{self.what}: the list ended after exactly {read} objects, which is as far as Shopify "
                    "pages: there may be more, and nothing says so. Report it to the tap's authors."
                )
            yield self._new(page["nodes"]), cursor is not None and read + LARGEST_PAGE >= self.longest_walk
            if cursor is None:
                return

    def take(self, nodes: list[Row]) -> list[Row]:
        """Take in nodes that another way brought, in any order; return those that did not come before."""
        self.progress.note(self._keys(nodes))
        return self._new(nodes)

    def _new(self, nodes: list[Row]) -> list[Row]:
        fresh = self.seen.new(nodes, "id", self.field)
        self.counted += sum(self._is_settled(node) for node in fresh)
        return fresh

    def _keys(self, nodes: list[Row]) -> list[str]:
        return [value for node in nodes if self.field and (value := node.get(self.field)) is not None]

    def _is_settled(self, node: Row) -> bool:
        key = node.get(self.field) if self.field else None
        return key is None or key < self.progress.started


def _text(moment: datetime | None) -> str | None:
    return text_of(moment) if moment else None

"""A stretch of time in; out come the searches and cursors that lead through it, page after page.

Shopify does not page past 25,000 objects. Sources: Shopify, "Pagination with GraphQL" and "API limits".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import PageGuard
from tap_common.progress import Progress, text_of
from tap_shopify.cost import LARGEST_PAGE
from tap_shopify.gids import number_of

LONGEST_WALK = 25_000

Bounds = tuple[int | None, int | None]

Whole = Callable[[list[Row]], Iterator[list[Row]]]
"""Makes finished rows of nodes, and fetches what was cut in them."""


@dataclass(frozen=True)
class Fetched:
    """A page as it came, and what makes finished rows of its nodes."""

    nodes: list[Row]
    page_info: Row
    whole: Whole = lambda nodes: iter([nodes])


class Walk:
    """What is asked for from `start` to before `end`, and how far it has been read.

    Args:
        what: names the read in errors.
        start: where it begins; None: with the oldest there is.
        end: None: with all that comes while it is read.
        progress: works out how far a walk has come whose pages are sorted by time; its own.
        ids: the lowest and the highest number of what is asked for; None: there is no such bound.
        comes_by_id: whether the list does; not after a page that did not.
    """

    def __init__(
        self,
        what: str,
        start: datetime | None,
        end: datetime | None,
        progress: Progress,
        ids: Bounds = (None, None),
        *,
        comes_by_id: bool = False,
    ) -> None:
        self.what = what
        self.start, self.end = start, end
        self.progress = progress
        self.ids = ids
        self.comes_by_id = comes_by_id
        self.cursor: str | None = None
        self.pages = 0
        self.replies = 0
        """Pages, and pages of lists inside them, at least."""
        self.keys: list[str] = []
        """The timestamps on the last page."""
        self.numbers: list[int] = []
        """The ids on the last page, of a list that comes by id so far; else none."""
        self._read = 0
        self._guard = PageGuard(what)

    def search(self, search: str | None, field: str | None) -> str | None:
        """Return the search for this stretch of time; see `condition`."""
        start, end = (text_of(bound) if bound else None for bound in (self.start, self.end))
        return condition(search, field, start, end, self.ids)

    def take(self, page: Fetched, keys: list[str]) -> None:
        """Go on to the next page.

        Raises:
            ApiError: Cursors go astray, or the walk ends just where Shopify's limit is.
        """
        self.numbers = self._by_id(page.nodes) if self.comes_by_id else []
        self.comes_by_id = bool(self.numbers)
        self.pages += 1
        self.keys = keys
        self._read += len(page.nodes)
        self.cursor = self._guard.following(page.page_info["endCursor"], more=page.page_info["hasNextPage"])
        if self.is_over:
            check_end(self.what, self._read)

    def _by_id(self, nodes: list[Row]) -> list[int]:
        """Return the ids of a page if they come in order, after those of the page before; else none."""
        numbers = [number for node in nodes if (number := number_of(node.get("id") or "")) is not None]
        in_order = all(one < other for one, other in pairwise([*self.numbers[-1:], *numbers]))
        return numbers if in_order and len(numbers) == len(nodes) else []

    @property
    def is_over(self) -> bool:
        """Whether the last page was read."""
        return self.pages > 0 and self.cursor is None

    @property
    def is_full(self) -> bool:
        """Whether another walk should read on, for this one comes to Shopify's limit."""
        return not self.is_over and self._read + LARGEST_PAGE >= LONGEST_WALK

    @property
    def reached(self) -> datetime | None:
        """The moment before which everything was read, if it comes sorted; else where the walk starts."""
        given = self.progress.given
        return datetime.fromisoformat(given) if given else self.start


def check_end(what: str, count: int) -> None:
    """Refuse a list that ends just where Shopify's limit is.

    Raises:
        ApiError: It does: what it lacks is not to be seen.
    """
    if count == LONGEST_WALK:
        raise ApiError(
            f"{what}: the list ended after exactly {count} objects, which is as far as Shopify "
            "pages: there may be more, and nothing says so. Report it to the tap's authors."
        )


def condition(
    search: str | None, field: str | None, start: str | None, end: str | None, ids: Bounds = (None, None)
) -> str | None:
    """Return a search bounded in time, and by ids, None where it would hold nothing back.

    Quoted, because an unquoted timestamp ends at its first colon, and Shopify drops the filter.
    """
    bounds = [f"{field}:{sign}'{bound}'" for sign, bound in ((">=", start), ("<", end)) if field and bound]
    bounds += [
        f"id:{sign}{bound}" for sign, bound in zip((">=", "<="), ids, strict=True) if bound is not None
    ]
    return " AND ".join([*([search] if search else []), *bounds]) or None

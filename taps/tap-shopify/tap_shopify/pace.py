"""A request in; out comes how many rows it may ask for, and how soon it may start.

A query may start when the shop's bucket holds what it asks for; what it did not need is given back after it,
and the bucket refills at a steady rate. Source: Shopify, "GraphQL Admin API: rate limits".
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tap_shopify.cost import LARGEST_PAGE, MAX_QUERY_COST, Price

# A clock's tick and the network's jitter: a wait that is exact on paper must not end an instant early.
MARGIN = 0.02
# Pages that must go well before a page made smaller by a failure grows again.
GOOD_PAGES = 3
# Seconds to wait at most for a limit that no reply tells of.
LONGEST_REST = 30.0

Variables = dict[str, Any]


class Bucket:
    """Remembers what the shop last said of its bucket of points."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._available = float("inf")
        self.most = float("inf")
        """Points it holds when full."""
        self._rate = 0.0
        self._as_of = 0.0

    def learn(self, status: Mapping[str, Any]) -> None:
        """Take over a `throttleStatus`."""
        self._available = float(status["currentlyAvailable"])
        self.most = float(status["maximumAvailable"])
        self._rate = float(status["restoreRate"])
        self._as_of = self._clock()

    def held(self) -> float:
        """Return the points that it holds by now."""
        return min(self.most, self._available + (self._clock() - self._as_of) * self._rate)

    def missing(self, points: float, claimed: float = 0.0) -> float:
        """Return the seconds until it holds so many points besides claimed ones; 0 while nothing is known."""
        if not self._rate:
            return 0.0
        short = min(points, self.most) + claimed - self.held()
        return short / self._rate + MARGIN if short > 0 else 0.0

    def spare(self, claimed: float) -> float:
        """Return what it holds besides claimed points in its upper half; 0 while nothing is known."""
        return max(self.held() - self.most / 2 - claimed, 0.0) if self._rate else 0.0


@dataclass
class Asked:
    """One document: its price, and the rows a page of it may hold after what happened so far."""

    price: Price
    most: int
    good: int = 0
    points: float = 0.0
    """What was asked for last."""

    def failed(self, rows: int | None = None) -> None:
        """Ask from now on for half as much as failed; several pages that failed at once count as one."""
        self.most = max(1, min(self.most, (rows or self.most) // 2))
        self.good = 0

    def worked(self, ceiling: int) -> None:
        """Ask for more again, once some pages went well."""
        self.good += 1
        if self.good >= GOOD_PAGES and self.most < ceiling:
            self.most = min(ceiling, self.most * 2)
            self.good = 0


class Pace:
    """Sizes and times every request to one shop, so that its bucket is used up and never overdrawn.

    Several threads may ask at once. What is under way is counted as if the bucket still held its points: a
    reply does not tell which of the others it knew of.
    """

    def __init__(
        self,
        page_size: int = LARGEST_PAGE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.bucket = Bucket(clock)
        self._page_size = page_size
        self._changed = threading.Condition()
        self._claimed = 0.0
        self._await = sleep or self._changed.wait
        self._sleep = sleep or time.sleep
        self._documents: dict[str, Asked] = {}
        self._limit: float = MAX_QUERY_COST

    def fitted(self, text: str, variables: Mapping[str, Any]) -> Variables:
        """Return the variables with `first` filled in, where the document leaves it open.

        The page is the largest whose query the bucket can pay: rows are cheaper the more come at once. A
        `first` that is given is an upper bound.
        """
        asked = self._asked(text)
        if not asked.price.has_page:
            return dict(variables)
        affordable = asked.price.most_rows(variables, min(self._limit, self.bucket.most))
        return {**variables, "first": min(affordable, asked.most, variables.get("first", LARGEST_PAGE))}

    @contextlib.contextmanager
    def turn(self, text: str, variables: Mapping[str, Any]) -> Iterator[None]:
        """Sleep until the bucket holds what this request asks for, and no longer; it is claimed inside."""
        with self._changed:
            asked = self._asked(text)
            points = asked.points = asked.price.points(variables)
            while (seconds := self.bucket.missing(points, self._claimed)) > 0:
                self._await(seconds)
            self._claimed += points
        try:
            yield
        finally:
            with self._changed:
                self._claimed -= points
                self._changed.notify_all()

    def room(self, text: str) -> int:
        """Return how many more requests like this document's last would leave half of the bucket."""
        with self._changed:
            points = self._asked(text).points
            return int(self.bucket.spare(self._claimed) // points) if points else 0

    def throttled(self, text: str, variables: Mapping[str, Any], seconds: float) -> None:
        """Sleep some seconds where the bucket held enough: another limit than its own was hit.

        ShopifyQL has one, by the complexity of the report, and no reply tells of it.
        """
        if not self.bucket.missing(self._asked(text).price.points(variables)):
            self._sleep(min(seconds, LONGEST_REST))

    def learn(self, text: str, variables: Mapping[str, Any], cost: Mapping[str, Any] | None) -> None:
        """Take over the `extensions.cost` of a reply, a THROTTLED one too."""
        if not cost:
            return
        with self._changed:
            if requested := cost.get("requestedQueryCost"):
                self._asked(text).price.correct(variables, float(requested))
            if status := cost.get("throttleStatus"):
                self.bucket.learn(status)

    def failed(self, text: str, variables: Mapping[str, Any]) -> None:
        """Note that the server broke over a page of this document: a smaller one may pass."""
        self._asked(text).failed(variables.get("first"))

    def worked(self, text: str) -> None:
        """Note that a page of this document came."""
        self._asked(text).worked(self._page_size)

    def too_dear(
        self, text: str, variables: Mapping[str, Any], points: float | None, limit: float | None
    ) -> bool:
        """Take over that a query was refused for its cost; return whether a smaller page is left to try."""
        asked = self._asked(text)
        self._limit = min(self._limit, limit or self._limit)
        if points:
            asked.price.correct(variables, points)
        else:
            asked.failed()
        return asked.price.has_page and self.fitted(text, variables)["first"] < variables["first"]

    def _asked(self, text: str) -> Asked:
        if text not in self._documents:
            self._documents[text] = Asked(Price(text), self._page_size)
        return self._documents[text]

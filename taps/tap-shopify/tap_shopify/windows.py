"""A moment to read from in; out come pages of finished rows, each with the bookmark true after it.

Three ways, by what the API offers for the connection:
- sorted by the time it is filtered by: one walk, and the bookmark follows it;
- filtered but not sorted: windows of time one after the other, and the bookmark moves at the end of each;
- neither: one walk over everything, and no bookmark.

What is long and lies in the past is parted into stretches of time that are read at once, as far as the shop's
bucket has points to spare. What may still change comes last, alone: a row that changes while it is read
moves there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Lock
from typing import Any

from tap_common.emit import Row
from tap_common.pages import Page, Seen, Tally
from tap_common.progress import Progress, text_of
from tap_common.workers import Workers
from tap_shopify.walk import Bounds, Fetched, Walk

SECOND = timedelta(seconds=1)
AT_ONCE = 16
"""Walks at once: at half a second a reply they use up the largest bucket with cheap pages, too."""
LONG = 3
"""Pages after which a walk with more to come is worth parting."""
SHORT = 8
"""Pages that are left whole: parts of fewer would read more pages again than they save time."""
READ_AGAIN = 10
"""Of a page that came by id, the tenth part is read again where another walk goes on from it."""
PAGES_A_PART = 16
"""Pages of a sorted stretch that are parted off for one walk: each cut costs a page that is read again."""


class Windows:
    """One read of one connection.

    Args:
        what: names the read in errors, `Stream orders`.
        fetch: asks for a page with the variables `query` and `after`; from several threads at once.
        progress: works out the bookmarks.
        field: the search field that bounds a window, also the column of the nodes that holds the time.
        search: what every search says besides.
        is_sorted: whether the connection comes sorted by that time.
        comes_by_id: whether it comes by id instead.
        opened: no record is older than this; where the first window starts.
        room: tells for how many more requests like the last one there are points to spare.
        comes_again: whether a node comes in several windows, each time with what changed inside it then.
    """

    first_width = timedelta(days=30)

    def __init__(  # noqa: PLR0913 - the facts of one read, all by keyword
        self,
        *,
        what: str,
        fetch: Callable[[dict[str, Any]], Fetched],
        progress: Progress,
        field: str | None,
        search: str | None = None,
        is_sorted: bool,
        comes_by_id: bool = False,
        opened: datetime | None,
        room: Callable[[], int] = lambda: 0,
        comes_again: bool = False,
    ) -> None:
        self.what = what
        self.fetch = fetch
        self.progress = progress
        self.field = field
        self.search = search
        self.is_sorted = is_sorted
        self.comes_by_id = comes_by_id
        self.opened = opened
        self._room = room
        self._had_room = False
        self.comes_again = comes_again
        self.seen = Seen()
        self.counted = Tally()
        """Nodes read that had not changed since the read began: what a count of the same filter finds."""
        self._lock = Lock()

    def read(self, since: datetime | None) -> Iterator[Page]:
        """Yield everything that changed at or after `since`."""
        if self.field is None:
            walk = self._walk(None, None)
            while not walk.is_over:
                yield from map(Page, self._step(walk))
        elif self.is_sorted:
            yield from self._sorted(since)
        else:
            yield from self._windows(since)

    def take(self, nodes: list[Row]) -> list[Row]:
        """Take in nodes that another way brought, in any order; return those that did not come before."""
        self.progress.note(self._keys(nodes))
        return self._new(nodes)

    def _sorted(self, since: datetime | None) -> Iterator[Page]:
        walk = self._walk(since, None)
        while not walk.is_over:
            yield from self._marked(walk)
            low = walk.reached
            # Of rows that share one second no later start would miss fewer: the walk goes on.
            if walk.is_over or low is None or low == walk.start:
                continue
            if walk.is_full:
                walk = self._walk(low, None)
            elif walk.pages >= LONG and low < self._settled and self.room > 0:
                yield from self._stretches([self._walk(low, self._settled)])
                walk = self._walk(self._settled, None)
        yield Page([], self.progress.whole_read())

    def _marked(self, walk: Walk) -> Iterator[Page]:
        """Yield the rows of a page, the bookmark with the last of them."""
        waiting: list[Row] | None = None
        for rows in self._step(walk):
            if waiting is not None:
                yield Page(waiting)
            waiting = rows
        self._note(walk)
        yield Page(waiting or [], self.progress.sorted_page(walk.keys))

    def _windows(self, since: datetime | None) -> Iterator[Page]:
        start, width = since, self.first_width
        while True:
            begin = start or self.opened
            end = begin + width if begin and begin + width < self._settled else None
            parts = 1
            if end is None:
                # Most rows changed lately: where a wide read found any before, its last window is long.
                is_wide = begin is not None and begin + self.first_width <= self._settled
                is_long = is_wide and bool(self.counted) and self._had_room
                if not is_long and (yield from self._open_window(start, begin)):
                    yield Page([], self.progress.whole_read())
                    return
                end, parts = self._settled, AT_ONCE if self._had_room else 2
            is_long = yield from self._stretches(self._parts(start, end, parts))
            # What comes after a long window is read at once, without a wait for the last page of each.
            start, width = end, self._settled - end if is_long and self._had_room else width * 2

    def _open_window(self, start: datetime | None, begin: datetime | None) -> Generator[Page, None, bool]:
        """Read a window without an end; return False where it should be parted, for there is much in it.

        What is left of time before the open end cannot be parted any further then: the walk goes on.
        """
        walk = self._walk(start, None)
        can_part = begin is not None and self._settled - begin > SECOND
        while not walk.is_over:
            yield from map(Page, self._step(walk))
            self._note(walk)
            if can_part and (walk.is_full or (walk.pages == LONG and not walk.is_over and self.room > 0)):
                return False
        return True

    def _stretches(self, walks: list[Walk]) -> Generator[Page, None, bool]:
        """Yield what walks bring that follow each other in time; as many go at once as there is room for.

        Pages come in any order. The bookmark is where the oldest walk that goes on has come to. Returns
        whether one of them took more than a reply.
        """
        end, told, is_long = walks[-1].end, walks[0].start, False
        waiting: deque[Walk] = deque(walks)
        with Workers[Walk, list[Row]]() as workers:
            self._start(workers, waiting)
            for walk, rows in workers.results():
                if rows is not None:
                    yield Page(rows)
                    continue
                self._note(walk)
                is_long = is_long or walk.replies > 1
                can_part = workers.running + 1 < AT_ONCE and self.room > len(waiting)
                following = self._following(walk, can_part=can_part)
                place = walks.index(walk)
                walks[place : place + 1] = following
                waiting.extendleft(reversed(following))
                self._start(workers, waiting)
                reached = walks[0].reached if walks else end
                if reached is not None and reached != told:
                    yield Page([], self.progress.whole_window(text_of(reached)))
                    told = reached
        return is_long

    def _start(self, workers: Workers[Walk, list[Row]], waiting: deque[Walk]) -> None:
        """Have the next pages fetched of as many walks as there is room for; of one at least."""
        free = max(self.room, 0 if workers.running else 1)
        for _ in range(min(free, len(waiting), AT_ONCE - workers.running)):
            oldest = waiting.popleft()
            workers.start(oldest, self._step(oldest))

    def _following(self, walk: Walk, *, can_part: bool) -> list[Walk]:
        """Return how a stretch is read on: not at all, by the same walk, or by others from where it is."""
        if walk.is_over:
            return []
        if not (can_part or walk.is_full):
            return [walk]
        if walk.numbers:
            return self._parted_by_id(walk)
        start, end = (walk.reached, walk.end) if self.is_sorted else (walk.start, walk.end)
        is_behind = self.is_sorted and start == walk.start
        # in no order at all, the others begin anew: they must, where the walk comes to its limit
        if end is None or is_behind or not (self.is_sorted or walk.is_full):
            return [walk]
        cut = self._cut(walk)
        if cut is not None:
            return [self._walk(start, cut), self._walk(cut, end)]
        return [self._walk(start, end)] if walk.is_full and self.is_sorted else [walk]

    def _parted_by_id(self, walk: Walk) -> list[Walk]:
        """Return two walks through what is left of a list that comes by id.

        A page tells how close ids lie there, as one that is sorted by time does for time; see `_cut`. Its
        last rows are read again, lest some that were made at the same moment stand the other way round.
        """
        numbers, highest = walk.numbers, walk.ids[1]
        begin, last = numbers[-1 - len(numbers) // READ_AGAIN], numbers[-1]
        page = last - numbers[0] + 1
        cut = last + page * PAGES_A_PART
        if highest is not None:
            cut = min(cut, (last + highest) // 2)
        if cut > last + page * SHORT:
            return [
                self._walk(walk.start, walk.end, (begin, cut)),
                self._walk(walk.start, walk.end, (cut + 1, highest)),
            ]
        return [self._walk(walk.start, walk.end, (begin, highest))] if walk.is_full else [walk]

    def _cut(self, walk: Walk) -> datetime | None:
        """Return a moment that parts what is left of a stretch, None where there is too little of it.

        A sorted page tells how close rows lie where it ends: a cut comes so many pages on, at most in the
        middle of the time that is left, which must be long. Any other page tells nothing.
        """
        begin, end = walk.reached or self.opened, walk.end
        if begin is None or end is None:
            return None
        cut = begin + (end - begin) // SECOND // 2 * SECOND
        if self.is_sorted:
            page = max(max(map(datetime.fromisoformat, walk.keys)) - begin, SECOND)
            cut = min(cut, begin + page * PAGES_A_PART) if cut > begin + page * SHORT else begin
        return cut if begin < cut else None

    def _parts(self, start: datetime | None, end: datetime, count: int) -> list[Walk]:
        """Return so many walks through a stretch, as long as each has a second at least."""
        begin = start or self.opened
        if begin is None:
            return [self._walk(start, end)]
        step = max((end - begin) // SECOND // count, 1) * SECOND
        bounds = [begin + number * step for number in range(1, count)]
        cuts = (start, *(bound for bound in bounds if bound < end), end)
        return [self._walk(*bounds) for bounds in pairwise(cuts)]

    @property
    def room(self) -> int:
        """For how many more requests there are points to spare; remembered if there ever were."""
        room = self._room()
        self._had_room = self._had_room or room > 0
        return room

    def _walk(self, start: datetime | None, end: datetime | None, ids: Bounds = (None, None)) -> Walk:
        return Walk(self.what, start, end, self.progress.apart(), ids, comes_by_id=self.comes_by_id)

    def _step(self, walk: Walk) -> Iterator[list[Row]]:
        """Yield the rows of the next page without those that came before; in a thread of its own, maybe."""
        page = self.fetch({"after": walk.cursor, "query": walk.search(self.search, self.field)})
        walk.take(page, self._keys(page.nodes))
        for rows in page.whole(self._new(page.nodes)):
            walk.replies += 1
            yield rows

    def _note(self, walk: Walk) -> None:
        """Take in the times of a page once its rows were handed on; in the thread that they went to."""
        self.progress.note(walk.keys)
        if self.is_sorted:
            walk.progress.sorted_page(walk.keys)

    @property
    def _settled(self) -> datetime:
        """Before this nothing changes any more; in whole seconds, as searches are."""
        return self.progress.settled_at.replace(microsecond=0)

    def _new(self, nodes: list[Row]) -> list[Row]:
        with self._lock:
            fresh = nodes if self.comes_again else self.seen.new(nodes, "id", self.field)
            self.counted.add(node.get("id") for node in fresh if self._is_settled(node))
        return fresh

    def _keys(self, nodes: list[Row]) -> list[str]:
        return [value for node in nodes if self.field and (value := node.get(self.field)) is not None]

    def _is_settled(self, node: Row) -> bool:
        key = node.get(self.field) if self.field else None
        return key is None or key < self.progress.started

"""No row is lost, whatever changes while it is read, however late the index knows, and wherever a run dies.

The shop here is a model small enough to try thousands of histories: rows with a time of change, and a search
index that learns of a change `lag` seconds late. It filters and sorts by what the index knows and shows the
row as it is, as Shopify does.
"""

from __future__ import annotations

import heapq
import itertools
import random
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_common.errors import ApiError
from tap_common.pages import Seen
from tap_common.progress import Progress, text_of
from tap_shopify import walk as walk_module
from tap_shopify import windows as windows_module
from tap_shopify.walk import Fetched, condition
from tap_shopify.windows import Windows

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
Row = dict[str, Any]
MOST_REQUESTS = 60

PLACES: dict[str, Callable[[str, str], str]] = {
    "by time": lambda _, text: text,
    "by id": lambda one, _: f"{number_of(one):020}",
    "in no order": lambda one, _: f"{zlib.crc32(one.encode()):020}",
}
"""How lists come: what decides where a row stands, of its id and what the index knows of its time."""


def gid(number: int) -> str:
    return f"gid://shopify/Order/{1_000_000 + number}"


def number_of(one: str) -> int:
    return int(one.rpartition("/")[2])


class Shop:
    """Rows, a lagging index, and a clock that moves with each request; `happen` is what else goes on."""

    def __init__(self, rows: int, lag: int, page: int, *, order: str, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - histories, not secrets
        self.lag, self.page, self.order = timedelta(seconds=lag), page, order
        self.now = OPENED + timedelta(days=40)
        self.rows: dict[str, datetime] = {}
        self.index: dict[str, str] = {}
        self.found: dict[str, list[tuple[str, str]]] = {}
        self.changes: list[tuple[datetime, str]] = []
        for number in range(rows):
            age = self.random.choice(
                [40 * 86_400, self.random.randrange(40 * 86_400), self.random.randrange(9)]
            )
            self.change(gid(number), self.now - timedelta(seconds=age))
        self.learn(everything=True)
        self.requests = 0
        self.room = 0

    def change(self, changed: str, moment: datetime) -> None:
        self.rows[changed] = moment
        self.changes.append((moment, changed))

    def learn(self, *, everything: bool = False) -> None:
        """Let the index catch up with what is older than the lag."""
        changes, self.changes = self.changes, []
        for change in changes:
            moment, changed = change
            if everything or moment < self.now - self.lag:
                self.index[changed] = text_of(moment)
                self.found.clear()
            else:
                self.changes.append(change)

    def fetch(self, variables: Row) -> Fetched:
        self.requests += 1
        self.now += timedelta(seconds=self.random.choice([0, 1, 2]))
        self.learn()
        search = variables["query"] or ""
        if search not in self.found:
            self.found[search] = sorted(self._find(search))
        found = self.found[search]
        after = tuple(variables["after"].split("|")) if variables["after"] else ("", "")
        first = bisect_right(found, after)
        page = found[first : first + self.page]
        return Fetched(
            [{"id": one, "updated_at": text_of(self.rows[one])} for _, one in page],
            {
                "hasNextPage": len(found) > first + len(page),
                "endCursor": "|".join(page[-1]) if page else None,
            },
        )

    def _find(self, search: str) -> Iterator[tuple[str, str]]:
        """The rows that a search finds, each with its place in the list."""
        times = dict(re.findall(r"updated_at:(>=|<)'([^']+)'", search))
        ids = dict(re.findall(r"id:(>=|<=)(\d+)", search))
        for one, text in self.index.items():
            in_time = times.get(">=", "") <= text < times.get("<", "9")
            if in_time and int(ids.get(">=", 0)) <= number_of(one) <= int(ids.get("<=", 10**18)):
                yield PLACES[self.order](one, text), one

    def windows(self) -> Windows:
        return Windows(
            what="Stream orders",
            fetch=self.fetch,
            progress=Progress("Stream orders", self.now, self.lag),
            field="updated_at",
            is_sorted=self.order == "by time",
            comes_by_id=self.order == "by id",
            opened=OPENED,
            room=lambda: self.room,
        )


class WorkersOf:
    """Stands for the class `Workers`, and is called as it is."""

    def __init__(self, lot: random.Random) -> None:
        self.lot = lot

    def __getitem__(self, _: object) -> Callable[[], Turns]:
        return lambda: Turns(self.lot)


class Turns:
    """Workers whose threads take turns by lot: any order in which pages are fetched and then handed on."""

    def __init__(self, lot: random.Random) -> None:
        self.lot = lot
        self.drawn: list[tuple[Any, Iterator[Any]]] = []
        self.ready: list[tuple[Any, Any]] = []
        self.running = 0

    def start(self, key: Any, items: Iterator[Any]) -> None:
        self.drawn.append((key, items))
        self.running += 1

    def results(self) -> Iterator[tuple[Any, Any]]:
        while self.running:
            if self.drawn and (not self.ready or self.lot.random() < 0.5):
                key, items = self.lot.choice(self.drawn)
                item = next(items, None)
                if item is None:
                    self.drawn.remove((key, items))
                self.ready.append((key, item))
            else:
                key, item = self.ready.pop(0)
                self.running -= item is None
                yield key, item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def run(shop: Shop, bookmark: str | None, printed: dict[str, str], pages: int | None) -> str | None:
    """Read so many pages, or to the end; return the last bookmark, rows being in `printed`."""
    since = datetime.fromisoformat(bookmark) - shop.lag if bookmark else None
    for page in itertools.islice(shop.windows().read(since), pages):
        printed |= {row["id"]: row["updated_at"] for row in page.rows}
        if page.bookmark:
            bookmark = max(page.bookmark, bookmark or "")
        # A shop that changes faster than it is read would keep this up for ever.
        for _ in range(shop.random.choice([0, 0, 0, 1, 4]) if shop.requests < MOST_REQUESTS else 0):
            shop.change(gid(shop.random.randrange(len(shop.rows) + 1)), shop.now)
    return bookmark


@settings(deadline=None)
@given(
    rows=st.integers(0, 40),
    lag=st.integers(0, 8),
    page=st.integers(1, 4),
    order=st.sampled_from(list(PLACES)),
    walk=st.sampled_from([6, 9, 25_000]),
    deaths=st.lists(st.none() | st.integers(1, 12), max_size=4),
    room=st.integers(0, 3),
    seed=st.integers(0, 1_000_000),
)
def test_nothing_is_lost_in_any_history(  # noqa: PLR0913, PLR0917 - what a history is made of
    rows: int,
    lag: int,
    page: int,
    order: str,
    walk: int,
    deaths: list[int | None],
    room: int,
    seed: int,
) -> None:
    shop = Shop(rows, lag, page, order=order, seed=seed)
    shop.room = room
    printed: dict[str, str] = {}
    bookmark: str | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk_module, "LARGEST_PAGE", page)
        patch.setattr(walk_module, "LONGEST_WALK", walk)
        patch.setattr(windows_module, "AT_ONCE", room + 1)
        patch.setattr(windows_module, "LONG", 1)
        patch.setattr(windows_module, "SHORT", 1)
        patch.setattr(windows_module, "Workers", WorkersOf(shop.random))
        try:
            for pages in deaths:
                bookmark = run(shop, bookmark, printed, pages)
            shop.random.choice = lambda options: options[0]  # type: ignore[method-assign,assignment]
            shop.now += shop.lag + timedelta(seconds=1)
            run(shop, bookmark, printed, None)
        except ApiError as error:
            # A model this small can hold more rows in one second than a walk; that is said, not lost.
            assert "as far as Shopify pages" in str(error)  # noqa: PT017
            return

    assert printed == {one: text_of(moment) for one, moment in shop.rows.items()}


@pytest.mark.parametrize("order", PLACES)
def test_a_read_longer_than_shopify_pages_is_split_and_whole(
    monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    shop = Shop(0, 0, 10, order=order, seed=1)
    for number in range(1000):
        shop.change(gid(number), OPENED + timedelta(minutes=50 * number))
    shop.learn(everything=True)
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)
    monkeypatch.setattr(walk_module, "LARGEST_PAGE", 10)
    windows = shop.windows()

    rows = [row["id"] for page in windows.read(None) for row in page.rows]

    assert sorted(rows) == sorted(shop.rows), "each of them once"
    assert len(windows.counted) == 1000


@pytest.mark.parametrize("order", PLACES)
def test_a_row_that_comes_again_is_counted_once(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """In an older version by a bulk operation, and when a stretch is cut long after it was seen."""
    shop = Shop(0, 0, 10, order=order, seed=1)
    for number in range(1000):
        shop.change(gid(number), OPENED + timedelta(minutes=50 * number))
    shop.learn(everything=True)
    shop.room = 3
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)
    monkeypatch.setattr(walk_module, "LARGEST_PAGE", 10)
    windows = shop.windows()
    windows.seen = Seen(5)

    older = [{"id": gid(number), "updated_at": text_of(OPENED)} for number in range(0, 900, 3)]
    rows = windows.take(older) + [row for page in windows.read(None) for row in page.rows]

    assert len(rows) > 1300, "some came a second time or a third"
    assert {row["id"] for row in rows} == set(shop.rows)
    assert len(windows.counted) == 1000


def test_a_list_by_id_can_be_longer_in_one_second_than_shopify_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(0, 0, 10, order="by id", seed=1)
    for number in range(1000):
        shop.change(gid(number), OPENED)
    shop.learn(everything=True)
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)
    monkeypatch.setattr(walk_module, "LARGEST_PAGE", 10)

    rows = [row["id"] for page in shop.windows().read(None) for row in page.rows]

    assert sorted(rows) == sorted(shop.rows)


@pytest.mark.parametrize("order", ["by time", "in no order"])
def test_a_list_that_ends_where_shopify_stops_to_page_is_an_error(
    monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """All in the same second: no window is small enough."""
    shop = Shop(0, 0, 10, order=order, seed=1)
    for number in range(100):
        shop.change(gid(number), OPENED)
    shop.learn(everything=True)
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)

    with pytest.raises(ApiError, match="ended after exactly 100 objects"):
        list(shop.windows().read(None))


def test_rows_without_order_come_in_windows_and_the_bookmark_moves_with_each() -> None:
    shop = Shop(0, 0, 10, order="by id", seed=1)
    for number in range(8):
        shop.change(gid(number), OPENED + timedelta(days=5 * number))
    shop.learn(everything=True)

    pages = [
        (sorted(number_of(row["id"]) for row in page.rows), page.bookmark)
        for page in shop.windows().read(None)
    ]

    assert pages == [
        ([*map(number_of, map(gid, range(6)))], None),
        ([], "2026-01-31T00:00:00Z"),
        ([*map(number_of, map(gid, (6, 7)))], None),
        ([], "2026-02-05T00:00:00Z"),
    ]


def test_a_page_whose_rows_all_changed_since_does_not_move_the_bookmark() -> None:
    """The index still sorts them by an old time; rows that come after them may be older than they look."""
    progress = Progress("Stream orders", OPENED, timedelta(seconds=60))

    assert progress.sorted_page(["2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z"]) == "2025-06-01T00:00:00Z"
    assert progress.sorted_page(["2026-01-01T00:00:05Z", "2026-01-01T00:00:09Z"]) is None
    assert progress.sorted_page(["2025-06-01T00:00:00Z", "2026-01-01T00:00:05Z"]) == "2025-06-01T00:00:00Z"
    assert progress.whole_read() == "2026-01-01T00:00:00Z", "no bookmark passes the beginning of the read"


def test_rows_out_of_order_are_an_error() -> None:
    progress = Progress("Stream orders", OPENED, timedelta(0))
    progress.sorted_page(["2025-06-01T00:00:00Z"])

    with pytest.raises(ApiError, match="Stream orders: a record changed at 2025-05-01T00:00:00Z came after"):
        progress.sorted_page(["2025-05-01T00:00:00Z"])


def test_filters_are_quoted() -> None:
    assert condition("action:destroy", "created_at", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z") == (
        "action:destroy AND created_at:>='2026-01-01T00:00:00Z' AND created_at:<'2026-02-01T00:00:00Z'"
    )
    assert condition(None, "updated_at", None, None) is None
    assert condition(None, None, "2026-01-01T00:00:00Z", None) is None


def test_a_node_that_comes_in_each_window_is_never_dropped() -> None:
    """A location shows the newest of its items' times, whichever window they were asked for by."""
    place = {"id": "gid://shopify/Location/1", "updated_at": "2026-02-09T00:00:00Z"}
    windows = Windows(
        what="Stream inventory_levels",
        fetch=lambda _: Fetched([dict(place)], {"hasNextPage": False, "endCursor": None}),
        progress=Progress("Stream inventory_levels", OPENED + timedelta(days=40), timedelta(0)),
        field="updated_at",
        is_sorted=False,
        opened=OPENED,
        comes_again=True,
    )

    assert [page.rows for page in windows.read(None) if page.rows] == [[place], [place]]


def test_a_wide_read_of_nothing_is_not_parted() -> None:
    shop = Shop(0, 0, 10, order="by id", seed=1)
    shop.room = 11

    list(shop.windows().read(None))

    assert shop.requests == 2, "a closed window and the open one"


@pytest.mark.parametrize("order", PLACES)
def test_parting_never_doubles_the_requests_wherever_rows_lie(order: str) -> None:
    """Even, in one second, and in an hour of years."""
    requests = []
    for seconds in (1, 3_600, 3_000_000):
        shop = Shop(0, 0, 10, order=order, seed=1)
        for number in range(1_000):
            shop.change(gid(number), OPENED + timedelta(seconds=number * seconds // 1_000))
        shop.learn(everything=True)
        shop.room = 11

        rows = [row["id"] for page in shop.windows().read(None) for row in page.rows]

        assert sorted(rows) == sorted(shop.rows)
        requests.append(shop.requests)
    assert max(requests) < 200, "100 pages hold them"


class Plus:
    """The bucket of a large plan in a time of its own, and workers whose replies take half a second of it."""

    rate, capacity, latency = 1_000.0, 20_000.0, 0.5

    def __init__(self, requested: float, actual: float) -> None:
        self.requested, self.actual = requested, actual
        self.now, self.level, self.spent, self.running = 0.0, self.capacity / 2, 0.0, 0
        self.under_way: list[tuple[float, int, Any, Iterator[Any]]] = []
        self.numbers = itertools.count()

    def room(self) -> int:
        """As `Pace` has it: what is under way is held by the server, and counted once more."""
        return int((self.level - self.capacity / 2 - self.running * self.requested) // self.requested)

    def send(self) -> float:
        """Return when the reply will be there."""
        waits = max(0.0, (self.requested - self.level) / self.rate)
        self.level -= self.requested
        return self.now + waits + self.latency

    def answer(self, at: float) -> None:
        self.level = min(self.capacity, self.level + (at - self.now) * self.rate)
        self.level += self.requested - self.actual
        self.now, self.spent = at, self.spent + self.actual

    def start(self, key: Any, items: Iterator[Any]) -> None:
        heapq.heappush(self.under_way, (self.send(), next(self.numbers), key, items))
        self.running += 1

    def results(self) -> Iterator[tuple[Any, Any]]:
        while self.under_way:
            at, _, key, items = heapq.heappop(self.under_way)
            self.answer(at)
            found = list(items)
            self.running -= 1
            yield from ((key, item) for item in (*found, None))

    def __getitem__(self, _: object) -> Callable[[], Plus]:
        return lambda: self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


ROWS_OVER_TIME = {
    "even": lambda share: share,
    "growing": lambda share: share**0.25,
    "in waves": lambda share: (int(share * 10) + (share * 10 % 1) ** 4) / 10,
}


@pytest.mark.parametrize("lie", ROWS_OVER_TIME)
@pytest.mark.parametrize("order", ["by time", "by id"])
@pytest.mark.parametrize(
    ("requested", "actual", "pages"),
    [(926, 335, 300), (266, 148, 300), (60, 57, 1_200)],
    ids=["orders", "fulfillments", "customers"],
)
def test_a_long_read_uses_nine_tenths_of_what_a_large_bucket_refills(
    monkeypatch: pytest.MonkeyPatch, requested: int, actual: int, pages: int, lie: str, order: str
) -> None:
    """With points as they were seen on the emulator, and replies of half a second: a minute or more."""
    plus = Plus(requested, actual)
    shop = Shop(0, 60, 3, order=order, seed=1)
    fetch = shop.fetch
    count = shop.page * pages

    def one_by_one(variables: Row) -> Fetched:
        if not plus.running:
            plus.answer(plus.send())
        return fetch(variables)

    for number in range(count):
        share = ROWS_OVER_TIME[lie]((number + 1) / (count + 1))
        shop.change(gid(number * 7_919 % count), OPENED + timedelta(days=39 * share))
    shop.learn(everything=True)
    monkeypatch.setattr(windows_module, "Workers", plus)
    monkeypatch.setattr(shop, "fetch", one_by_one)
    monkeypatch.setattr(type(shop), "room", property(lambda _: plus.room(), lambda *_: None), raising=False)

    rows = [row["id"] for page in shop.windows().read(None) for row in page.rows]

    assert {*rows} == {*shop.rows}
    assert plus.spent / (plus.now * plus.rate) >= 0.9

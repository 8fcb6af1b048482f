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


class Shop:
    """Rows, a lagging index, and a clock that moves with each request; `happen` is what else goes on."""

    def __init__(self, rows: int, lag: int, page: int, *, is_sorted: bool, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - histories, not secrets
        self.lag, self.page, self.is_sorted = timedelta(seconds=lag), page, is_sorted
        self.now = OPENED + timedelta(days=40)
        self.rows: dict[str, datetime] = {}
        self.index: dict[str, str] = {}
        self.changes: list[tuple[datetime, str]] = []
        for number in range(rows):
            age = self.random.choice(
                [40 * 86_400, self.random.randrange(40 * 86_400), self.random.randrange(9)]
            )
            self.change(f"r{number}", self.now - timedelta(seconds=age))
        self.learn(everything=True)
        self.requests = 0
        self.room = 0

    def change(self, gid: str, moment: datetime) -> None:
        self.rows[gid] = moment
        self.changes.append((moment, gid))

    def learn(self, *, everything: bool = False) -> None:
        """Let the index catch up with what is older than the lag."""
        changes, self.changes = self.changes, []
        for change in changes:
            moment, gid = change
            if everything or moment < self.now - self.lag:
                self.index[gid] = text_of(moment)
            else:
                self.changes.append(change)

    def fetch(self, variables: Row) -> Fetched:
        self.requests += 1
        self.now += timedelta(seconds=self.random.choice([0, 1, 2]))
        self.learn()
        bounds = dict(re.findall(r"updated_at:(>=|<)'([^']+)'", variables["query"] or ""))
        found = [
            (text if self.is_sorted else "", gid)
            for gid, text in self.index.items()
            if bounds.get(">=", "") <= text < bounds.get("<", "9")
        ]
        after = tuple((variables["after"] or "|").split("|"))
        later = sorted(pair for pair in found if variables["after"] is None or pair > after)
        page = later[: self.page]
        return Fetched(
            [{"id": gid, "updated_at": text_of(self.rows[gid])} for _, gid in page],
            {"hasNextPage": len(later) > len(page), "endCursor": "|".join(page[-1]) if page else None},
        )

    def windows(self) -> Windows:
        return Windows(
            what="Stream orders",
            fetch=self.fetch,
            progress=Progress("Stream orders", self.now, self.lag),
            field="updated_at",
            is_sorted=self.is_sorted,
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
            shop.change(f"r{shop.random.randrange(len(shop.rows) + 1)}", shop.now)
    return bookmark


@settings(deadline=None)
@given(
    rows=st.integers(0, 40),
    lag=st.integers(0, 8),
    page=st.integers(1, 4),
    is_sorted=st.booleans(),
    walk=st.sampled_from([6, 9, 25_000]),
    deaths=st.lists(st.none() | st.integers(1, 12), max_size=4),
    room=st.integers(0, 3),
    seed=st.integers(0, 1_000_000),
)
def test_nothing_is_lost_in_any_history(  # noqa: PLR0913 - what a history is made of
    rows: int,
    lag: int,
    page: int,
    *,
    is_sorted: bool,
    walk: int,
    deaths: list[int | None],
    room: int,
    seed: int,
) -> None:
    shop = Shop(rows, lag, page, is_sorted=is_sorted, seed=seed)
    shop.room = room
    printed: dict[str, str] = {}
    bookmark: str | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk_module, "LARGEST_PAGE", page)
        patch.setattr(walk_module, "LONGEST_WALK", walk)
        patch.setattr(windows_module, "AT_ONCE", room + 1)
        patch.setattr(windows_module, "LONG", 1)
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

    assert printed == {gid: text_of(moment) for gid, moment in shop.rows.items()}


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_read_longer_than_shopify_pages_is_split_and_whole(
    monkeypatch: pytest.MonkeyPatch, *, is_sorted: bool
) -> None:
    shop = Shop(0, 0, 10, is_sorted=is_sorted, seed=1)
    for number in range(1000):
        shop.change(f"r{number:04}", OPENED + timedelta(minutes=50 * number))
    shop.learn(everything=True)
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)
    monkeypatch.setattr(walk_module, "LARGEST_PAGE", 10)
    windows = shop.windows()

    rows = [row["id"] for page in windows.read(None) for row in page.rows]

    assert sorted(rows) == sorted(shop.rows), "each of them once"
    assert len(windows.counted) == 1000


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_row_that_comes_again_is_counted_once(monkeypatch: pytest.MonkeyPatch, *, is_sorted: bool) -> None:
    """In an older version by a bulk operation, and when a stretch is cut long after it was seen."""
    shop = Shop(0, 0, 10, is_sorted=is_sorted, seed=1)
    for number in range(1000):
        shop.change(f"r{number:04}", OPENED + timedelta(minutes=50 * number))
    shop.learn(everything=True)
    shop.room = 3
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)
    monkeypatch.setattr(walk_module, "LARGEST_PAGE", 10)
    windows = shop.windows()
    windows.seen = Seen(5)

    older = [{"id": f"r{number:04}", "updated_at": text_of(OPENED)} for number in range(0, 900, 3)]
    rows = windows.take(older) + [row for page in windows.read(None) for row in page.rows]

    assert len(rows) > 1300, "some came a second time or a third"
    assert {row["id"] for row in rows} == set(shop.rows)
    assert len(windows.counted) == 1000


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_list_that_ends_where_shopify_stops_to_page_is_an_error(
    monkeypatch: pytest.MonkeyPatch, *, is_sorted: bool
) -> None:
    """All in the same second: no window is small enough."""
    shop = Shop(0, 0, 10, is_sorted=is_sorted, seed=1)
    for number in range(100):
        shop.change(f"r{number:04}", OPENED)
    shop.learn(everything=True)
    monkeypatch.setattr(walk_module, "LONGEST_WALK", 100)

    with pytest.raises(ApiError, match="ended after exactly 100 objects"):
        list(shop.windows().read(None))


def test_rows_without_order_come_in_windows_and_the_bookmark_moves_with_each() -> None:
    shop = Shop(0, 0, 10, is_sorted=False, seed=1)
    for number in range(8):
        shop.change(f"r{number}", OPENED + timedelta(days=5 * number))
    shop.learn(everything=True)

    pages = [(sorted(row["id"] for row in page.rows), page.bookmark) for page in shop.windows().read(None)]

    assert pages == [
        (["r0", "r1", "r2", "r3", "r4", "r5"], None),
        ([], "2026-01-31T00:00:00Z"),
        (["r6", "r7"], None),
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
    shop = Shop(0, 0, 10, is_sorted=False, seed=1)
    shop.room = 11

    list(shop.windows().read(None))

    assert shop.requests == 2, "a closed window and the open one"


@pytest.mark.parametrize("is_sorted", [True, False])
def test_parting_never_doubles_the_requests_wherever_rows_lie(*, is_sorted: bool) -> None:
    """Even, in one second, and in an hour of years."""
    requests = []
    for seconds in (1, 3_600, 3_000_000):
        shop = Shop(0, 0, 10, is_sorted=is_sorted, seed=1)
        for number in range(1_000):
            shop.change(f"r{number:04}", OPENED + timedelta(seconds=number * seconds // 1_000))
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
@pytest.mark.parametrize("is_sorted", [True, False], ids=["sorted", "windows"])
@pytest.mark.parametrize(("requested", "actual"), [(926, 335), (266, 148)], ids=["orders", "fulfillments"])
def test_a_long_read_uses_nine_tenths_of_what_a_large_bucket_refills(
    monkeypatch: pytest.MonkeyPatch, requested: int, actual: int, lie: str, *, is_sorted: bool
) -> None:
    """With points as they were seen on the emulator, and replies of half a second; 300 pages of them."""
    plus = Plus(requested, actual)
    shop = Shop(0, 60, 3, is_sorted=is_sorted, seed=1)
    fetch = shop.fetch

    def one_by_one(variables: Row) -> Fetched:
        if not plus.running:
            plus.answer(plus.send())
        return fetch(variables)

    for number in range(900):
        share = ROWS_OVER_TIME[lie]((number + 1) / 901)
        shop.change(f"r{number * 7_919 % 900:03}", OPENED + timedelta(days=39 * share))
    shop.learn(everything=True)
    monkeypatch.setattr(windows_module, "Workers", plus)
    monkeypatch.setattr(shop, "fetch", one_by_one)
    monkeypatch.setattr(type(shop), "room", property(lambda _: plus.room(), lambda *_: None), raising=False)

    rows = [row["id"] for page in shop.windows().read(None) for row in page.rows]

    assert {*rows} == {*shop.rows}
    assert plus.spent / (plus.now * plus.rate) >= 0.9

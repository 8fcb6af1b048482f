"""Several iterators are drawn at once; nothing that they yield or raise is lost, nothing waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tap_common import workers as workers_module
from tap_common.workers import Workers


def test_every_item_comes_with_its_key_in_its_order_and_then_the_end() -> None:
    with Workers[str, int]() as workers:
        for key, count in (("a", 0), ("b", 3), ("c", 20)):
            workers.start(key, iter(range(count)))
        results = list(workers.results())

    for key, count in (("a", 0), ("b", 3), ("c", 20)):
        assert [item for name, item in results if name == key] == [*range(count), None]
    assert workers.running == 0


def test_iterators_are_drawn_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def meets() -> Iterator[str]:
        both.wait()
        yield "met"

    with Workers[int, str]() as workers:
        workers.start(1, meets())
        workers.start(2, meets())
        assert sorted(workers.results(), key=str) == [(1, "met"), (1, None), (2, "met"), (2, None)]


def test_others_may_be_started_while_results_are_taken() -> None:
    with Workers[int, str]() as workers:
        workers.start(0, iter(["x"]))
        seen = []
        for key, item in workers.results():
            seen.append((key, item))
            if item is None and key < 2:
                workers.start(key + 1, iter("y"))

    assert seen == [(0, "x"), (0, None), (1, "y"), (1, None), (2, "y"), (2, None)]


def test_what_nobody_takes_is_not_drawn() -> None:
    drawn = []
    is_full = threading.Event()

    def endless() -> Iterator[int]:
        for number in range(1_000_000):
            drawn.append(number)
            if number == workers_module.MOST_WAITING:
                is_full.set()
            yield number

    with Workers[int, int]() as workers:
        workers.start(1, endless())
        results = workers.results()
        assert next(results) == (1, 0)
        assert is_full.wait(10)
        assert len(drawn) <= workers_module.MOST_WAITING + 2


def test_an_error_comes_out_and_what_is_under_way_is_waited_for() -> None:
    has_begun, may_go_on = threading.Event(), threading.Event()
    done = []

    def slow() -> Iterator[int]:
        has_begun.set()
        may_go_on.wait(10)
        done.append("slow")
        yield 1

    def broken() -> Iterator[int]:
        has_begun.wait(10)
        threading.Timer(0.1, may_go_on.set).start()
        raise ValueError("no")
        yield 1

    def reads() -> None:
        with Workers[str, int]() as workers:
            workers.start("slow", slow())
            workers.start("broken", broken())
            list(workers.results())

    with pytest.raises(ValueError, match="no"):
        reads()

    assert done == ["slow"]


def test_who_stops_in_the_middle_waits_for_nothing() -> None:
    never = threading.Event()

    def stuck() -> Iterator[int]:
        yield 1
        never.wait()

    def reads() -> Iterator[int | None]:
        with Workers[str, int]() as workers:
            workers.start("stuck", stuck())
            yield from (item for _, item in workers.results())

    reading = reads()
    assert next(reading) == 1
    reading.close()  # type: ignore[attr-defined]

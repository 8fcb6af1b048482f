"""Iterators in; out come their items, from several iterators at once, each drawn by a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

MOST_WAITING = 4
"""Items that wait to be taken before the threads do: what comes faster than it is used takes no memory."""

K = TypeVar("K")
T = TypeVar("T")


class Workers(Generic[K, T]):
    """Some iterators at work, told apart by their keys; a context manager, which ends with all of them.

    The threads end with the process, whatever they wait for: a signal need not.
    """

    def __init__(self) -> None:
        self.running = 0
        """Iterators whose end was not handed on yet."""
        self._changed = Condition()
        self._ready: deque[tuple[K, T | None, Exception | None]] = deque()
        self._is_closed = False
        self._threads: list[Thread] = []

    def start(self, key: K, items: Iterator[T]) -> None:
        """Begin to draw from an iterator."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(target=self._draw, args=(key, items), daemon=True)
        thread.start()
        self._threads.append(thread)
        self.running += 1

    def results(self) -> Iterator[tuple[K, T | None]]:
        """Yield items as they come, each with its iterator's key, and at its end the key with None.

        Others may be started meanwhile; it is over when none is left.

        Raises:
            Exception: What an iterator raised.
        """
        while self.running:
            with self._changed:
                self._changed.wait_for(lambda: self._ready)
                key, item, error = self._ready.popleft()
                self._changed.notify_all()
            if error is not None:
                raise error
            self.running -= item is None
            yield key, item

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Take no more; wait for what is under way, unless nobody is left to wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if kind is None or issubclass(kind, Exception):
            for thread in self._threads:
                thread.join()

    def _draw(self, key: K, items: Iterator[T]) -> None:
        try:
            for item in items:
                if not self._hand_over(key, item):
                    return
        except Exception as error:  # noqa: BLE001 - raised again where the results are taken
            self._hand_over(key, None, error)
        else:
            self._hand_over(key, None)

    def _hand_over(self, key: K, item: T | None, error: Exception | None = None) -> bool:
        """Return whether somebody will take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._ready) < MOST_WAITING)
            if not self._is_closed:
                self._ready.append((key, item, error))
                self._changed.notify_all()
            return not self._is_closed

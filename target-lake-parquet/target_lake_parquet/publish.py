"""Streams in, what became of each out, in their order: small ones beside each other, a large one alone.

A commit waits for the disk and for short queries more than it computes; fifty small ones take half the time
beside each other. Large ones have the memory for themselves.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from lake_parquet.runs import DatasetSummary
from lake_parquet.store import TurnTaken

AT_ONCE = 4
"""Small streams that are committed at a time."""

Summaries = list[DatasetSummary]
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Commit(Protocol[T_contra]):
    """Commits a stream; `TurnTaken` where another writer is there, and it may not wait."""

    def __call__(self, stream: T_contra, /, *, waits: bool) -> Summaries:
        """Tells what became of it."""
        ...


class Publisher(Generic[T]):
    """Commits streams by `commit`, those that `is_small` beside each other."""

    def __init__(self, commit: Commit[T], is_small: Callable[[T], bool]) -> None:
        """Starts no thread until there are two streams for them."""
        self._commit = commit
        self._is_small = is_small
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="commit")
        self._under_way: deque[tuple[T, Future[Summaries]]] = deque()

    def publish(self, streams: Sequence[T]) -> Iterator[Summaries]:
        """Yields what became of each stream, in order.

        Raises:
            OSError: the disk failed at one of them; those behind it may have been committed: `stop` tells.
        """
        small = [len(streams) > 1 and self._is_small(stream) for stream in streams]
        for stream, beside in zip(streams, small, strict=True):
            if beside:
                self._under_way.append((stream, self._pool.submit(self._commit, stream, waits=False)))
            else:
                yield from self._finished()
                yield self._commit(stream, waits=True)
        yield from self._finished()

    def stop(self) -> Summaries:
        """Begins no further commit, waits for those that are under way, and tells what became of them."""
        self._pool.shutdown(cancel_futures=True)
        ended = [one for _, one in self._under_way if not one.cancelled() and one.exception() is None]
        self._under_way.clear()
        return [summary for one in ended for summary in one.result()]

    def _finished(self) -> Iterator[Summaries]:
        """What became of the streams under way; for other writers this thread waits: it hears signals."""
        while self._under_way:
            stream, future = self._under_way[0]  # a signal may come here: it stays until it is told
            try:
                summaries = future.result()
            except TurnTaken:
                summaries = self._commit(stream, waits=True)
            self._under_way.popleft()
            yield summaries

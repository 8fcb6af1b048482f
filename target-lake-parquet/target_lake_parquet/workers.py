"""Blocks to decode in, decoded blocks out, in the order in which they came: on threads, never many at once.

The parser and the column work leave Python's lock alone, so the next block is read while two are decoded; and
a signal is answered at once, since the main thread is not inside them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from target_lake_parquet.decode import Decoded

THREADS = 2
MAX_PENDING = 3
"""Blocks that are being decoded or wait for it: what bounds the memory they take."""


class Workers:
    """Threads that decode."""

    def __init__(self) -> None:
        """Starts none until there is work."""
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._pending: deque[tuple[Future[Sequence[Decoded]], Callable[[Sequence[Decoded]], None]]] = deque()

    def submit(
        self, work: Callable[[], Sequence[Decoded]], then: Callable[[Sequence[Decoded]], None]
    ) -> None:
        """Has `work` done on a thread; `then` gets its result on this one, after all earlier ones."""
        self._pending.append((self._pool.submit(work), then))
        while len(self._pending) >= MAX_PENDING:
            self._settle()

    @property
    def are_busy(self) -> bool:
        """Whether each thread has a block to decode."""
        return sum(not future.done() for future, _ in self._pending) >= THREADS

    def drain(self) -> None:
        """Waits until everything is settled."""
        while self._pending:
            self._settle()

    def close(self) -> None:
        """Drops what is not begun, and waits for nothing."""
        self._pending.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _settle(self) -> None:
        future, then = self._pending.popleft()
        then(future.result())

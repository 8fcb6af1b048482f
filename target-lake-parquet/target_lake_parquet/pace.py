"""When a STATE may be printed in mid-run: each time costs a flush to the disk, so not at every one."""

import time
from collections.abc import Callable


class Pace:
    """Is due when so many seconds have passed, or so many bytes have come, since it was last."""

    def __init__(self, seconds: float, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins now."""
        self._seconds, self._size, self._clock = seconds, size, clock
        self._bytes = 0
        self._since = clock()

    def took(self, size: int) -> None:
        """Counts bytes of records."""
        self._bytes += size

    def is_due(self) -> bool:
        """Tells whether it is time; something must have come."""
        return self._bytes > 0 and (self._bytes >= self._size or self._clock() - self._since >= self._seconds)

    def restart(self) -> None:
        """Counts anew."""
        self._bytes = 0
        self._since = self._clock()

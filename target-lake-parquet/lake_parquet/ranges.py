"""A file that is read by ranges from elsewhere, as Python's files are read."""

import io
from collections.abc import Callable

TAIL_BYTES = 64 * 2**10
"""What is got at once from the end: most Parquet footers are smaller."""


class RangeReader(io.RawIOBase):
    """Reads any part of a file of `size` bytes through `get(start, end)`."""

    def __init__(self, get: Callable[[int, int], bytes], size: int) -> None:
        """Begins at the start."""
        super().__init__()
        self._get = get
        self._size = size
        self._at = 0
        self._tail_start = max(0, size - TAIL_BYTES)
        self._tail: bytes | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves there."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes; all that are left for -1."""
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        start, self._at = self._at, max(self._at, end)
        if start >= end:
            return b""
        if start < self._tail_start:
            return self._get(start, end)
        if self._tail is None:
            self._tail = self._get(self._tail_start, self._size)
        return self._tail[start - self._tail_start : end - self._tail_start]

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

"""The timestamps of a read in; out comes the bookmark that is true at that moment.

Two things make the newest timestamp seen a wrong bookmark. A search index lags: a row shows a change before
the index sorts or finds the row by it. And rows change while they are read. So a read knows when it began:
what changed before that, less the lag, the index had in its place from the start; what is newer proves
nothing, and no bookmark passes the beginning. Timestamps compare as text: all are in one UTC format.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tap_common.errors import ApiError

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def text_of(moment: datetime) -> str:
    """Return a moment in the format of bookmarks, whole seconds of UTC."""
    return moment.astimezone(UTC).strftime(FORMAT)


class Progress:
    """Follows one read; `started` is the server's time at its beginning, `lag` that of its index."""

    def __init__(self, what: str, started: datetime, lag: timedelta) -> None:
        self.what = what
        self.started_at, self.settled_at = started, started - lag
        self.started, self.settled = text_of(started), text_of(started - lag)
        self.given: str | None = None
        """The last bookmark given away."""
        self._newest: str | None = None

    def apart(self) -> Progress:
        """Return the progress of a part of this read, which comes sorted by itself."""
        return Progress(self.what, self.started_at, self.started_at - self.settled_at)

    def note(self, keys: Iterable[str]) -> None:
        """Take in the timestamps of rows that were read, in any order."""
        self._newest = max([*keys, *([self._newest] if self._newest else [])], default=None)

    def sorted_page(self, keys: list[str]) -> str | None:
        """Return the bookmark after a page of a read that comes oldest first; None where it does not move.

        What is still to come is no older than the oldest row of this page.

        Raises:
            ApiError: A row is older than a bookmark already given away: the API did not sort.
        """
        self.note(keys)
        low = min((key for key in keys if key < self.settled), default=None)
        if low is None:
            return None
        if self.given is not None and low < self.given:
            raise ApiError(
                f"{self.what}: a record changed at {low} came after others of {self.given}. The API did not "
                "sort as asked, so no bookmark can be trusted. Run again with the last state."
            )
        self.given = low
        return low

    def whole_window(self, end: str) -> str:
        """Return the bookmark once everything older than `end` was read."""
        self.given = min(end, self.started)
        return self.given

    def whole_read(self) -> str | None:
        """Return the bookmark once everything was read; None where there was nothing."""
        newest = min(self._newest, self.started) if self._newest else None
        return max(filter(None, (newest, self.given)), default=None)

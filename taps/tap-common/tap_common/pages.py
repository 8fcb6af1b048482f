"""What a page is, which rows came, and a guard over the tokens between pages: no read goes in circles."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tap_common.emit import Row
from tap_common.errors import ApiError

REMEMBERED = 50_000
PARTS = 256


@dataclass(frozen=True)
class Page:
    """Finished rows, and the bookmark that is true once they are printed; None where it does not move."""

    rows: list[Row]
    bookmark: str | None = None


class Seen:
    """Remembers which rows came already, so that none is sent twice; of a long read the last ones."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._rows: OrderedDict[Any, Any] = OrderedDict()

    def new(self, rows: Iterable[Row], id_of: str, version_of: str | None) -> list[Row]:
        """Return the rows that did not come before; one with another version (its time of change) is new."""
        fresh = []
        for row in rows:
            key, version = row.get(id_of), row.get(version_of) if version_of else None
            if key is not None and key in self._rows and self._rows[key] == version:
                continue
            fresh.append(row)
            if key is not None:
                self._rows[key] = version
                self._rows.move_to_end(key)
                if len(self._rows) > self._limit:
                    self._rows.popitem(last=False)
        return fresh


class Tally:
    """Counts rows, each once however often it comes and in whatever version; takes eight bytes a time.

    In parts, because the set of all would take ten times as much.
    """

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(PARTS)]

    def add(self, ids: Iterable[Any]) -> None:
        """Take in rows by their ids."""
        for number in map(hash, ids):
            self._parts[number % PARTS].append(number)

    def __bool__(self) -> bool:
        return any(self._parts)

    def __len__(self) -> int:
        return sum(len(set(part)) for part in self._parts)


class PageGuard:
    """Watches one walk through pages.

    The SDK's paginators notice two equal tokens in a row; a server that answers A, B, A, B keeps them busy
    for ever. This guard remembers every token of the walk.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._seen: set[str] = set()

    def following(self, token: str | None, *, more: bool) -> str | None:
        """Return the token of the next page, None after the last one.

        Raises:
            ApiError: More pages are claimed without a token to ask for them, or with one already used.
        """
        if not more:
            return None
        if not token:
            raise ApiError(
                f"{self.what}: the server says there are more pages but gives no cursor to fetch them. "
                f"Nothing past page {len(self._seen) + 1} can be read; try again, and report it to the API's "
                "vendor if it stays."
            )
        if token in self._seen:
            raise ApiError(
                f"{self.what}: the server sent the same cursor a second time, after "
                f"{len(self._seen) + 1} pages: reading on would never end. Try again, and report it to the "
                "API's vendor if it stays."
            )
        self._seen.add(token)
        return token

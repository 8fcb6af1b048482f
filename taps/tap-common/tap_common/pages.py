"""Page tokens in, the same tokens out, or an error: no read goes round in circles."""

from __future__ import annotations

from tap_common.errors import ApiError
from tap_common.redact import foreign


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
                f"{self.what}: the server sent the cursor {foreign(token, 80)!r} a second time, after "
                f"{len(self._seen) + 1} pages: reading on would never end. Try again, and report it to the "
                "API's vendor if it stays."
            )
        self._seen.add(token)
        return token

"""Shopify's events in; out come the things of one kind that the shop deleted, so that their rows can go.

A search for changes never finds what is gone; what tells of it is an event, which Shopify keeps for a year.
The stream's state says up to when deletions were told. That mark is set before the first row is read, so that
no row can come that no later run looks after; it moves once everything up to it is printed; and every read
starts `lag` before it, as late as the index may know. An event alone deletes nothing: the shop is asked
whether the thing is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.progress import Progress, text_of
from tap_shopify.client import QUERIES, ShopifyClient
from tap_shopify.errors import DeniedError
from tap_shopify.graphql import Query
from tap_shopify.walk import Fetched
from tap_shopify.windows import Windows

IN_STATE = "deletions_told_until"
"""Where the stream's state keeps the mark."""
KEPT = timedelta(days=365)
"""How long Shopify keeps events."""
logger = logging.getLogger("tap-shopify")


@dataclass(frozen=True)
class Deletion:
    """One thing that is gone: its gid, and when it went."""

    gid: str
    at: str


@cache
def _query(name: str, version: str) -> Query:
    return Query(QUERIES.joinpath(f"{name}.graphql").read_text(encoding="utf-8"), version)


class Deletions:
    """Follows the deletions of one kind of thing.

    Args:
        what: names the read in errors, `Stream orders`.
        subjects: what events call such things: `ORDER`.
        lag: how far the index of events may lag behind.
        memory: the stream's state, which keeps the mark.
    """

    def __init__(
        self,
        client: ShopifyClient,
        what: str,
        subjects: tuple[str, ...],
        lag: timedelta,
        memory: MutableMapping[str, Any],
    ) -> None:
        self.client = client
        self.what = what
        self.subjects = subjects
        self.lag = lag
        self.memory = memory
        self.query = _query("deletions", client.version)
        self.still_there = _query("still_there", client.version)

    def begin(self) -> None:
        """Note that everything is about to be read: what is gone by now will not come."""
        self.memory.setdefault(IN_STATE, text_of(self.client.now()))

    def read(self) -> Iterator[list[Deletion]]:
        """Yield what was deleted since the mark, and move it; without one, all that Shopify knows of."""
        told = self.memory.get(IN_STATE)
        since = datetime.fromisoformat(told) - self.lag if told else None
        started = self.client.now()
        if since is not None and since < started - KEPT:
            logger.warning(
                "%s: the last run was in %s; Shopify keeps events for a year, so rows that were deleted "
                "before then may stay. Run once with --full-refresh.",
                self.what,
                told,
            )
        try:
            for subject in self.subjects:
                for page in self._windows(subject, started).read(since):
                    if gone := self._gone(page.rows, subject):
                        yield gone
        except DeniedError as error:
            logger.warning("%s: deleted rows stay, for the token may not read events. %s", self.what, error)
            return
        self.memory[IN_STATE] = text_of(started)

    def _windows(self, subject: str, started: datetime) -> Windows:
        what = f"{self.what}, deletions"
        return Windows(
            what=what,
            fetch=self._page,
            progress=Progress(what, started, self.lag),
            field="created_at",
            search=f"action:destroy AND subject_type:{subject}",
            is_sorted=True,
            opened=None,
        )

    def _page(self, variables: Row) -> Fetched:
        page = self.query.page(self.client.execute(self.query.text, variables, f"{self.what}, deletions"))
        if page is None:
            raise ApiError(f"{self.what}: Shopify's answer holds no events. Run again with the last state.")
        return Fetched(page["nodes"], page["pageInfo"])

    def _gone(self, events: list[Row], subject: str) -> list[Deletion]:
        """Return what the events tell of, without what is there all the same."""
        told = {
            str(event["subject_id"]): str(event["created_at"])
            for event in events
            if event.get("subject_type") == subject
        }
        if not told:
            return []
        data = self.client.execute(self.still_there.text, {"ids": list(told)}, f"{self.what}, deletions")
        there = {node["id"] for node in data["nodes"] if node is not None}
        return [Deletion(gid, at) for gid, at in told.items() if gid not in there]

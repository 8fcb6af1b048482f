"""Shopify's bucket of points, as its own replies describe it: how long to wait before a query.

A query may start when the bucket holds what it asks for; the bucket refills at a steady rate.
Source: Shopify, "API limits", section on the GraphQL Admin API.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

# A clock's tick and the network's jitter: a wait that is exact on paper must not end an instant early.
MARGIN = 0.02


class Bucket:
    """Remembers the last `extensions.cost`, and what each query asks for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._costs: dict[str, float] = {}
        self._available = float("inf")
        self._most = float("inf")
        self._rate = 0.0
        self._as_of = 0.0

    def learn(self, query: str, cost: Mapping[str, Any] | None) -> None:
        """Take over what a reply says, a THROTTLED one too."""
        if not cost:
            return
        self._costs[query] = float(cost.get("requestedQueryCost") or 0)
        status = cost.get("throttleStatus") or {}
        if status:
            self._available = float(status["currentlyAvailable"])
            self._most = float(status["maximumAvailable"])
            self._rate = float(status["restoreRate"])
            self._as_of = self._clock()

    def missing(self, query: str) -> float:
        """Return the seconds until the bucket holds what this query asks for; 0 for one never sent."""
        if not self._rate:
            return 0.0
        held = min(self._most, self._available + (self._clock() - self._as_of) * self._rate)
        short = min(self._costs.get(query, 0.0), self._most) - held
        return short / self._rate + MARGIN if short > 0 else 0.0

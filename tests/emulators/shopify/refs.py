"""How seeded rows point at each other, and how their ids and times are written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

SEED_START = datetime(2025, 3, 1, 8, tzinfo=UTC)
SEED_CREATED_SECONDS = 300 * 86_400
# Bulk edits by the merchant: many rows share the second of their last change, as they do in every real shop.
BULK_EDITS: tuple[str, ...] = ("2026-01-05T09:30:00Z", "2026-01-12T16:00:00Z", "2026-01-20T07:15:42Z")


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to another row by its global id; null once that row is gone."""

    gid: str


def gid(kind: str, number: int) -> str:
    """Return a global id, such as `gid://shopify/Order/5500000000017`."""
    return f"gid://shopify/{kind}/{number}"


def times(source: Random, index: int) -> tuple[str, str]:
    """Return when a seeded row was created and last changed: within 14 days, every fifth in a bulk edit."""
    created = SEED_START + timedelta(seconds=(index * 7_919 * 61) % SEED_CREATED_SECONDS)
    if index % 5 == 0:
        return written(created), BULK_EDITS[index // 5 % len(BULK_EDITS)]
    return written(created), written(created + timedelta(seconds=source.randrange(14 * 86_400)))


def written(moment: datetime) -> str:
    """Return a time as Shopify writes it, to the second in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

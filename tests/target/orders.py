"""A small stream that most of the target's tests send."""

from datetime import UTC, datetime

from tests.target.messages import KEY, MOMENT, STRING, record, schema

ORDERS = schema("orders", {"id": KEY, "name": STRING})
CHANGES = schema("orders", {"id": KEY, "name": STRING, "updated_at": MOMENT}, bookmarks=["updated_at"])
LINES = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING}}}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def change(identity: int, name: str | None, day: int = 1) -> str:
    return record("orders", id=identity, name=name, updated_at=f"2026-01-{day:02d}T12:00:00Z")


def day(number: int) -> datetime:
    return NOON.replace(day=number)

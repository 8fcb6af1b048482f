"""A lake that has lived a little, for the tests of readers, and the README's recipes that read it.

Two shops, several snapshots, columns that came, widened and differ between the shops, and beside the orders
another dataset whose columns have the same names and other types.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.community.singer import load

README = Path(__file__).parents[2] / "README.md"
LAKE = Path("storage", "lake")


def recipes(language: str) -> list[str]:
    """The README's code blocks of that language on reading."""
    reading = README.read_text().partition("<!-- readers -->")[2].partition("<!-- /readers -->")[0]
    return re.findall(rf"```{language}\n(.*?)```", reading, flags=re.DOTALL)


def recipe(language: str, word: str) -> str:
    return next(block for block in recipes(language) if word in block)


KEYED = {"key_properties": ["id"], "bookmark_properties": ["updated_at"]}
STAMP = {"type": "string", "format": "date-time"}


def messages(stream: str, properties: dict[str, Any], rows: list[dict[str, Any]], bookmark: str) -> bytes:
    schema = {"type": "object", "properties": properties | {"updated_at": STAMP}}
    lines: list[dict[str, Any]] = [{"type": "SCHEMA", "stream": stream, "schema": schema, **KEYED}]
    lines += [{"type": "RECORD", "stream": stream, "record": {**row, "updated_at": bookmark}} for row in rows]
    state = {"replication_key": "updated_at", "replication_key_value": bookmark}
    lines.append({"type": "STATE", "value": {"bookmarks": {stream: state}}})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def publish(folder: Path, tenant: str, stream: bytes) -> None:
    lake = str(folder / LAKE)
    run = load(stream, folder, lake_root=lake, tenant_id=tenant, source="shopify")
    assert run.exit_code == 0, run.log


INTEGER, NUMBER, TEXT = ({"type": ["null", name]} for name in ("integer", "number", "string"))
ORDERS_AT_FIRST = {"id": INTEGER, "price": INTEGER, "note": TEXT}
ORDERS_LATER = {"id": INTEGER, "price": NUMBER, "note": TEXT, "coupon": TEXT}
ORDERS_OF_BOLT = {"id": INTEGER, "price": NUMBER, "gift": {"type": ["null", "boolean"]}}
MORNING, NOON = datetime(2024, 1, 1, 8, tzinfo=UTC), datetime(2024, 1, 1, 12, tzinfo=UTC)

ACME: list[dict[str, Any]] = [
    {"id": 1, "price": 10.0, "note": "first", "coupon": None, "updated_at": MORNING, "_tenant": "acme"},
    {"id": 2, "price": 0.5, "note": "changed", "coupon": "XMAS", "updated_at": NOON, "_tenant": "acme"},
    {"id": 3, "price": None, "note": None, "coupon": None, "updated_at": NOON, "_tenant": "acme"},
]
BOLT: list[dict[str, Any]] = [
    {"id": 1, "price": 7.25, "gift": True, "updated_at": MORNING, "_tenant": "bolt"}
]
ABSENT: dict[str, Any] = {"note": None, "coupon": None, "gift": None}
BOTH = [ABSENT | row for row in [*ACME, *BOLT]]


def live(folder: Path) -> None:
    """Has a lake live in `folder`: the README's paths hold there."""
    at_first: list[dict[str, Any]] = [
        {"id": 1, "price": 10, "note": "first"},
        {"id": 2, "price": 20, "note": "second"},
    ]
    later: list[dict[str, Any]] = [{"id": 2, "price": 0.5, "note": "changed", "coupon": "XMAS"}, {"id": 3}]
    customers: list[dict[str, Any]] = [{"id": "c-1", "price": "a word"}]
    publish(folder, "acme", messages("orders", ORDERS_AT_FIRST, at_first, MORNING.isoformat()))
    publish(folder, "acme", messages("orders", ORDERS_LATER, later, NOON.isoformat()))
    of_bolt: list[dict[str, Any]] = [{"id": 1, "price": 7.25, "gift": True}]
    publish(folder, "bolt", messages("orders", ORDERS_OF_BOLT, of_bolt, MORNING.isoformat()))
    publish(
        folder, "bolt", messages("customers", {"id": TEXT, "price": TEXT}, customers, MORNING.isoformat())
    )

"""Deterministic Singer streams to measure with: nested orders, and narrow rows.

python benchmarks/streams.py orders 100000 > orders.jsonl
"""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
INTEGER = {"type": ["integer", "null"]}
MOMENT = {"type": ["string", "null"], "format": "date-time"}
MONEY = {"type": ["object", "null"], "properties": {"amount": NUMBER, "currency_code": TEXT}}
ADDRESS = {
    "type": ["object", "null"],
    "properties": dict.fromkeys(("first_name", "last_name", "address1", "city", "zip", "country_code"), TEXT),
}
LINE_ITEM = {
    "type": "object",
    "properties": {
        "id": INTEGER,
        "title": TEXT,
        "sku": TEXT,
        "quantity": INTEGER,
        "price": MONEY,
        "taxable": {"type": "boolean"},
    },
}
ORDERS = {
    "id": {"type": "integer"},
    "name": TEXT,
    "email": TEXT,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "processed_at": MOMENT,
    "financial_status": TEXT,
    "total_price": MONEY,
    "subtotal_price": MONEY,
    "total_tax": MONEY,
    "billing_address": ADDRESS,
    "shipping_address": ADDRESS,
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
    "test": {"type": ["boolean", "null"]},
    "line_items": {"type": ["array", "null"], "items": LINE_ITEM},
}
NARROW = {
    "id": {"type": "integer"},
    "name": TEXT,
    "amount": NUMBER,
    "is_open": {"type": "boolean"},
    "updated_at": MOMENT,
}


def _money(number: int) -> dict[str, Any]:
    return {"amount": number % 100_000 / 100, "currency_code": "EUR"}


def _address(number: int) -> dict[str, Any]:
    return {
        "first_name": f"First{number % 997}",
        "last_name": f"Last{number % 1009}",
        "address1": f"{number % 300} Long Street",
        "city": f"City {number % 211}",
        "zip": f"{number % 100_000:05d}",
        "country_code": "DE",
    }


def order(number: int) -> dict[str, Any]:
    """An order with one to five line items, about 1.7 kB of JSON."""
    moment = (START + timedelta(seconds=number)).isoformat()
    items = [
        {
            "id": number * 10 + position,
            "title": f"A product with a longish title, number {(number + position) % 5000}",
            "sku": f"SKU-{(number + position) % 5000}",
            "quantity": position + 1,
            "price": _money(number * 7 + position),
            "taxable": position % 2 == 0,
        }
        for position in range(1 + number % 5)
    ]
    return {
        "id": number,
        "name": f"#{number}",
        "email": f"person{number % 20_000}@example.com",
        "created_at": moment,
        "updated_at": moment,
        "processed_at": moment,
        "financial_status": "PAID",
        "total_price": _money(number * 13),
        "subtotal_price": _money(number * 11),
        "total_tax": _money(number * 2),
        "billing_address": _address(number),
        "shipping_address": _address(number + 1),
        "tags": ["a", "b"] if number % 3 else [],
        "test": False,
        "line_items": items,
    }


def narrow(number: int) -> dict[str, Any]:
    """A row of five columns."""
    moment = (START + timedelta(seconds=number)).isoformat()
    return {
        "id": number,
        "name": f"name {number}",
        "amount": number / 8,
        "is_open": number % 2 == 0,
        "updated_at": moment,
    }


KINDS: dict[str, tuple[dict[str, Any], Callable[[int], dict[str, Any]]]] = {
    "orders": (ORDERS, order),
    "narrow": (NARROW, narrow),
}


def messages(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """A whole stream: SCHEMA, `count` RECORDs, and a STATE that closes it."""
    properties, record = KINDS[kind]
    schema = {"type": "object", "properties": properties}
    yield {
        "type": "SCHEMA",
        "stream": kind,
        "schema": schema,
        "key_properties": ["id"],
        "bookmark_properties": ["updated_at"],
    }
    for number in range(count):
        yield {
            "type": "RECORD",
            "stream": kind,
            "record": record(number),
            "time_extracted": "2026-01-01T00:00:00Z",
        }
    bookmark = {
        "replication_key": "updated_at",
        "replication_key_value": (START + timedelta(seconds=count)).isoformat(),
    }
    yield {"type": "STATE", "value": {"bookmarks": {kind: bookmark}}}


if __name__ == "__main__":
    for message in messages(sys.argv[1], int(sys.argv[2])):
        sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")

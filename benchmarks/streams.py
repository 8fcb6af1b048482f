"""Deterministic Singer streams to measure with: nested orders, and narrow rows, plain and varied.

    python benchmarks/streams.py orders 100000 > orders.jsonl
    python benchmarks/streams.py narrow 1000000 interleaved > two.jsonl

Every key is distinct, every stream ends with the STATE that closes it. Numbers alone decide what a record
holds: the same call gives the same bytes, on every machine.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

START = datetime(2026, 1, 1, tzinfo=UTC)
ODD_EVERY = 10_000
"""Records between two odd ones; the first stands in the middle of such a stretch."""

OFTEN = 20
"""Records between two odd ones of a tap whose schema is wrong for one record in twenty."""

STATE_EVERY = 100
REPEATED = 2_000
"""Records in the part that `repeated` writes over and over under new keys."""

LONG_LINE_BYTES = 20_000_000

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

Record = dict[str, Any]
Change = Callable[[Record, int], Record]


def _moment(number: int) -> str:
    return (START + timedelta(seconds=number)).isoformat()


def _money(number: int) -> Record:
    return {"amount": number % 100_000 / 100, "currency_code": "EUR"}


def _address(number: int) -> Record:
    return {
        "first_name": f"First{number % 997}",
        "last_name": f"Last{number % 1009}",
        "address1": f"{number % 300} Long Street",
        "city": f"City {number % 211}",
        "zip": f"{number % 100_000:05d}",
        "country_code": "DE",
    }


def order(number: int) -> Record:
    """An order with one to five line items, about 1.3 kB of JSON."""
    moment = _moment(number)
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


def narrow(number: int) -> Record:
    """A row of five columns."""
    return {
        "id": number,
        "name": f"name {number}",
        "amount": number / 8,
        "is_open": number % 2 == 0,
        "updated_at": _moment(number),
    }


KINDS: dict[str, tuple[Record, Callable[[int], Record]]] = {
    "orders": (ORDERS, order),
    "narrow": (NARROW, narrow),
}


def _line(message: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def _schema(stream: str, properties: Record) -> bytes:
    return _line(
        {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"type": "object", "properties": properties},
            "key_properties": ["id"],
            "bookmark_properties": ["updated_at"],
        }
    )


def _record(stream: str, record: Record) -> bytes:
    extracted = "2026-01-01T00:00:00Z"
    return _line({"type": "RECORD", "stream": stream, "record": record, "time_extracted": extracted})


def _state(streams: list[str], number: int) -> bytes:
    bookmark = {"replication_key": "updated_at", "replication_key_value": _moment(number)}
    return _line({"type": "STATE", "value": {"bookmarks": dict.fromkeys(streams, bookmark)}})


def plain(kind: str, count: int) -> Iterator[bytes]:
    """One stream: SCHEMA, `count` RECORDs, STATE."""
    return _changed(kind, count)


def states(kind: str, count: int) -> Iterator[bytes]:
    """The plain stream, with a STATE after every 100 records."""
    properties, record = KINDS[kind]
    yield _schema(kind, properties)
    for number in range(count):
        yield _record(kind, record(number))
        if number % STATE_EVERY == STATE_EVERY - 1:
            yield _state([kind], number)
    yield _state([kind], count)


def interleaved(kind: str, count: int) -> Iterator[bytes]:
    """The plain stream's records dealt to two streams: A B A B."""
    return _dealt(kind, count, 2)


def fifty(kind: str, count: int) -> Iterator[bytes]:
    """The plain stream's records dealt to fifty streams, one after the other."""
    return _dealt(kind, count, 50)


def _dealt(kind: str, count: int, hands: int) -> Iterator[bytes]:
    properties, record = KINDS[kind]
    names = [f"{kind}_{hand:02d}" for hand in range(hands)]
    for name in names:
        yield _schema(name, properties)
    for number in range(count):
        yield _record(names[number % hands], record(number))
    yield _state(names, count)


def coerced(kind: str, count: int) -> Iterator[bytes]:
    """One value of another type in every 10,000 records, nothing lost: 7.0 for an integer, 7 for text."""
    return _coerced(kind, count, ODD_EVERY)


def often_coerced(kind: str, count: int) -> Iterator[bytes]:
    """The same with one record in 20: their columns are known to hold such values by then."""
    return _coerced(kind, count, OFTEN)


def _coerced(kind: str, count: int, every: int) -> Iterator[bytes]:
    def change(record: Record, number: int) -> Record:
        if number % every != every // 2:
            return record
        is_first = number // every % 2 == 0
        return record | ({"id": float(number)} if is_first else {"name": number})

    return _changed(kind, count, change)


def bad(kind: str, count: int) -> Iterator[bytes]:
    """One record in every 10,000 that cannot be kept: its moment is none."""

    def change(record: Record, number: int) -> Record:
        return record | {"updated_at": "not a moment"} if is_odd(number) else record

    return _changed(kind, count, change)


def untyped(kind: str, count: int) -> Iterator[bytes]:
    """The plain stream with one more column, of no declared type: an object in every record."""

    def change(record: Record, number: int) -> Record:
        return record | {"extra": {"channel": "web", "score": number % 7, "notes": ["x", None]}}

    return _changed(kind, count, change, extra={})


def is_odd(number: int) -> bool:
    """Whether the record of this number is an odd one in `coerced` and `bad`."""
    return number % ODD_EVERY == ODD_EVERY // 2


def _same(record: Record, _number: int) -> Record:
    return record


def _changed(kind: str, count: int, change: Change = _same, **more: Any) -> Iterator[bytes]:  # noqa: ANN401
    properties, record = KINDS[kind]
    yield _schema(kind, properties | more)
    for number in range(count):
        yield _record(kind, change(record(number), number))
    yield _state([kind], count)


def no_records(kind: str, _count: int) -> Iterator[bytes]:
    """SCHEMA and STATE alone."""
    return plain(kind, 0)


def nothing(_kind: str, _count: int) -> Iterator[bytes]:
    """Not one byte."""
    return iter(())


def repeated(kind: str, count: int) -> Iterator[bytes]:
    """About the plain stream, written fast: the first records come again and again under new keys.

    `count` is rounded up to whole repetitions. Gigabytes take seconds.
    """
    properties, record = KINDS[kind]
    yield _schema(kind, properties)
    mark = "\0key"
    lines = b"".join(_record(kind, {**record(number), "id": mark}) for number in range(REPEATED))
    form = lines.replace(b"%", b"%%").replace(msgspec.json.encode(mark), b"%d")
    for first in range(0, count, REPEATED):
        yield form % tuple(range(first, first + REPEATED))
    yield _state([kind], count)


def long_line(kind: str, count: int) -> Iterator[bytes]:
    """The plain stream, with one record of 20 MB in its middle: a name of that length."""

    def change(record: Record, number: int) -> Record:
        return record | {"name": "x" * LONG_LINE_BYTES} if number == count // 2 else record

    return _changed(kind, count, change)


VARIANTS: dict[str, Callable[[str, int], Iterator[bytes]]] = {
    one.__name__: one
    for one in (
        plain,
        interleaved,
        fifty,
        states,
        coerced,
        often_coerced,
        bad,
        untyped,
        no_records,
        nothing,
        repeated,
        long_line,
    )
}


def main(kind: str, count: str, variant: str = "plain") -> None:
    """Writes a stream to stdout."""
    for line in VARIANTS[variant](kind, int(count)):
        sys.stdout.buffer.write(line)


if __name__ == "__main__":
    main(*sys.argv[1:])

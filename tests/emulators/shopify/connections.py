"""Connections: rows sorted, cut to a page behind a keyset cursor, wrapped as `nodes`, `edges`, `pageInfo`.

A cursor is base64 of `{"last_id": ..., "last_value": ...}`, as Shopify's are. It names a place in the order
of the sort key, not a row and not an offset: when rows change between two pages, the next goes on after it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.emulators.shopify.errors import bad_request
from tests.emulators.shopify.search import camel

Row = dict[str, Any]
Key = tuple[Any, int]

MAX_PAGE = 250
# The columns behind sort keys that are called otherwise; every other key is its column in capitals.
SORT_COLUMNS = {"NAME": "displayName", "ORDER_NUMBER": "number", "RELEVANCE": "id", "ID": "id"}


@dataclass(frozen=True)
class PageArguments:
    """The arguments that every connection takes."""

    first: int | None = None
    last: int | None = None
    after: str | None = None
    before: str | None = None
    reverse: bool = False
    sort_key: str | None = None

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> PageArguments:
        """Take them out of a field's arguments.

        Raises:
            graphql.GraphQLError: no page size, two of them, or one outside 0 to 250.
        """
        first, last = arguments.get("first"), arguments.get("last")
        if first is None and last is None:
            raise bad_request("you must provide one of first or last")
        if first is not None and last is not None:
            raise bad_request("providing both first and last is not supported")
        name, size = ("first", int(first)) if first is not None else ("last", int(last or 0))
        if size > MAX_PAGE:
            raise bad_request(f"{name} cannot exceed {MAX_PAGE}")
        if size < 0:
            raise bad_request(f"{name} must be greater than or equal to 0")
        return cls(
            first,
            last,
            arguments.get("after"),
            arguments.get("before"),
            bool(arguments.get("reverse")),
            arguments.get("sortKey"),
        )


def connection(rows: Sequence[Row], arguments: PageArguments, longest: int | None = None) -> Row:
    """Return one page of the rows, in the shape of any `...Connection` type; past `longest` there are none.

    Raises:
        graphql.GraphQLError: a cursor is not one of this sort key.
    """
    keyed = ordered(rows, arguments)[:longest]
    start, end = 0, len(keyed)
    if arguments.after is not None:
        after = read_cursor(arguments.after, keyed)
        start = count(keyed, lambda key: key >= after if arguments.reverse else key <= after)
    if arguments.before is not None:
        before = read_cursor(arguments.before, keyed)
        end = count(keyed, lambda key: key > before if arguments.reverse else key < before)
    if arguments.first is not None:
        end = max(start, min(end, start + arguments.first))
    else:
        start = max(start, end - (arguments.last or 0))
    page = keyed[start:end]
    edges = [{"cursor": write_cursor(key), "node": row} for key, row in page]
    return {
        "nodes": [row for _, row in page],
        "edges": edges,
        "pageInfo": {
            "hasNextPage": end < len(keyed),
            "hasPreviousPage": start > 0,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def ordered(rows: Sequence[Row], arguments: PageArguments) -> list[tuple[Key, Row]]:
    """Return the rows in the order asked for, each with its place in it."""
    key_of = sort_key(arguments.sort_key)
    keyed = [(key_of(place, row), row) for place, row in enumerate(rows)]
    keyed.sort(key=lambda pair: pair[0], reverse=arguments.reverse)
    return keyed


def count(keyed: Sequence[tuple[Key, Row]], passed: Callable[[Key], bool]) -> int:
    """Return how many rows lie before a place."""
    return sum(1 for key, _ in keyed if passed(key))


def sort_column(name: str | None) -> str:
    """Return the field that a sort key goes by."""
    return SORT_COLUMNS.get(name or "ID") or camel((name or "").lower())


def sort_key(name: str | None) -> Callable[[int, Row], Key]:
    """Return what rows are sorted by: (value, number of the id). Rows without an id go by their place."""
    column = sort_column(name)

    def key(place: int, row: Row) -> Key:
        number = numeric_id(row["id"]) if "id" in row else place
        if column == "id" or column not in row:
            return str(number).zfill(20), number
        value = row.get(column)
        if column.endswith("At"):
            # Shopify's cursors carry times in the form of its database.
            value = value.replace("T", " ").replace("Z", ".000000") if value else ""
        return (0 if column in {"number", "position"} else "") if value is None else value, number

    return key


def numeric_id(gid: str) -> int:
    """Return the number at the end of a global id, parameters apart; of ids without one their checksum."""
    tail = gid.rsplit("/", 1)[-1].partition("?")[0]
    return int(tail) if tail.isdecimal() else zlib.crc32(gid.encode())


def write_cursor(key: Key) -> str:
    """Return the opaque cursor of a place."""
    value, number = key
    text = json.dumps({"last_id": number, "last_value": value.lstrip("0") if value_is_id(key) else value})
    return base64.b64encode(text.encode()).decode()


def value_is_id(key: Key) -> bool:
    """Tell whether rows are sorted by their id alone."""
    return bool(key[0] == str(key[1]).zfill(20))


def read_cursor(cursor: str, keyed: Sequence[tuple[Key, Row]]) -> Key:
    """Return the place that a cursor names.

    Raises:
        graphql.GraphQLError: it is no cursor, or one of another sort key.
    """
    try:
        content = json.loads(base64.b64decode(cursor, validate=True))
        number, value = content["last_id"], content["last_value"]
    except (ValueError, binascii.Error, KeyError, TypeError):
        raise bad_request("Invalid cursor for current pagination sort.") from None
    by_id = bool(keyed) and value_is_id(keyed[0][0])
    if by_id and value == str(number).lstrip("0"):
        return str(number).zfill(20), number
    if keyed and (by_id or type(value) is not type(keyed[0][0][0]) or type(number) is not int):
        raise bad_request("Invalid cursor for current pagination sort.")
    return value, number

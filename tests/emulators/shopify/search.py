"""Shopify's search syntax, as far as a tap needs it, traps included.

    updated_at:>='2026-01-01T00:00:00Z' AND updated_at:<'2026-02-01T00:00:00Z'

An unknown field, and a timestamp that is not quoted, is not an error at Shopify: the term is **dropped**, the
whole set comes back, and only `extensions.search[].warnings` tells. AND binds before OR.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.emulators.shopify.errors import JSONObject, bad_request

Row = dict[str, Any]
Test = Callable[[Row], bool]

TERM = re.compile(
    r"""\s*(?:
        (?P<word>AND|OR)(?=\s|$)
      | (?P<field>\w+):(?P<sign>>=|<=|>|<)?(?P<value>'[^']*'|"[^"]*"|[^\s()]+)
      | (?P<bare>'[^']*'|"[^"]*"|[^\s():]+)
    )""",
    re.VERBOSE,
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "": lambda left, right: left == right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}
PARSED_AS = {"": "match_all", ">": "range_gt", ">=": "range_gte", "<": "range_lt", "<=": "range_lte"}
FULL_TEXT = ("name", "title", "displayName", "email")

# Per table: the search field, how its value is read, and the field of the row. Each is a real filter of
# 2026-10: customers know no `created_at`, for instance, and Shopify drops it.
FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "orders": {
        "id": ("number", "id"),
        "created_at": ("time", "createdAt"),
        "updated_at": ("time", "updatedAt"),
        "processed_at": ("time", "processedAt"),
        "name": ("text", "name"),
        "email": ("text", "email"),
        "tag": ("tag", "tags"),
        "status": ("status", "closedAt"),
        "financial_status": ("text", "displayFinancialStatus"),
        "fulfillment_status": ("text", "displayFulfillmentStatus"),
    },
    "customers": {
        "id": ("number", "id"),
        "customer_date": ("time", "createdAt"),
        "updated_at": ("time", "updatedAt"),
        "email": ("text", "email"),
        "first_name": ("text", "firstName"),
        "last_name": ("text", "lastName"),
        "state": ("text", "state"),
        "tag": ("tag", "tags"),
    },
    "products": {
        "id": ("number", "id"),
        "created_at": ("time", "createdAt"),
        "updated_at": ("time", "updatedAt"),
        "published_at": ("time", "publishedAt"),
        "title": ("text", "title"),
        "handle": ("text", "handle"),
        "vendor": ("text", "vendor"),
        "product_type": ("text", "productType"),
        "status": ("text", "status"),
        "tag": ("tag", "tags"),
    },
    "bulkOperations": {
        "id": ("number", "id"),
        "created_at": ("time", "createdAt"),
        "operation_type": ("text", "type"),
        "status": ("text", "status"),
    },
    "productVariants": {
        "id": ("number", "id"),
        "updated_at": ("time", "updatedAt"),
        "sku": ("text", "sku"),
        "title": ("text", "title"),
    },
}

# What Shopify's descriptions list for every other connection; times and ids can be searched by name.
FILTERS: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("filters.json").read_text(encoding="utf-8")
)
KINDS = {"time": "time", "id": "number", "string": "text"}


def fields_of(table: str) -> dict[str, tuple[str, str]]:
    """Return the search fields of a connection by its name: how a value is read, and the field of the row."""
    if table in FIELDS:
        return FIELDS[table]
    return {
        name: (KINDS[kind], camel(name))
        for name, kind in FILTERS.get(table, {}).items()
        if kind in KINDS and name != "default"
    }


def camel(name: str) -> str:
    """Return a search field as the row's field: `updated_at` -> `updatedAt`."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


@dataclass
class Search:
    """A search that was read: the test for a row, and what `extensions.search` says about it."""

    query: str
    groups: list[list[Test]] = field(default_factory=lambda: [[]])
    parsed: list[JSONObject] = field(default_factory=list)
    warnings: list[JSONObject] = field(default_factory=list)

    def matches(self, row: Row) -> bool:
        """Tell whether a row is found; a search whose terms were all dropped finds every row."""
        groups = [group for group in self.groups if group]
        return not groups or any(all(test(row) for test in group) for group in groups)

    def extension(self, path: list[str]) -> JSONObject:
        """Return the entry of `extensions.search` for the field at `path`."""
        parsed = self.parsed[0] if len(self.parsed) == 1 else {"and": self.parsed}
        answer = {"path": path, "query": self.query, "parsed": parsed if self.parsed else {}}
        return {**answer, "warnings": self.warnings} if self.warnings else answer


def read_search(query: str, table: str) -> Search:
    """Read a search over a table.

    Raises:
        graphql.GraphQLError: the search uses parentheses or a negation, which the emulator does not model.
    """
    search = Search(query)
    if re.search(r"[()]|(^|\s)(NOT\s|-\w+:)", re.sub(r"'[^']*'|\"[^\"]*\"", "", query)):
        raise bad_request("the emulator reads neither parentheses nor negations in a search")
    for term in TERM.finditer(query.strip()):
        if term["word"] == "OR":
            search.groups.append([])
        elif term["field"]:
            add_field_term(search, table, term["field"], term["sign"] or "", term["value"])
        elif term["bare"]:
            wanted = unquoted(term["bare"]).lower()
            search.parsed.append({"match_all": wanted})
            search.groups[-1].append(partial(has_text, wanted))
    return search


def add_field_term(search: Search, table: str, name: str, sign: str, raw: str) -> None:
    """Add `name:value` to a search, or drop it with a warning as Shopify does."""
    known = fields_of(table).get(name)
    quoted = raw[0] in "'\""
    if known is None or (not quoted and ":" in raw):
        # The colon of an unquoted time ends the value; what follows is no field that Shopify knows.
        message = "Invalid search field for this query."
        search.warnings.append({"field": name, "message": message, "code": "invalid_field"})
        return
    kind, column = known
    value = unquoted(raw)
    try:
        wanted = READ[kind](value)
    except ValueError:
        message = f"Input `{value}` is not an accepted value."
        search.warnings.append({"field": name, "message": message, "code": "invalid_value"})
        return
    search.parsed.append({"field": name, PARSED_AS[sign]: value})
    search.groups[-1].append(field_test(kind, column, COMPARE[sign], wanted))


def field_test(kind: str, column: str, compare: Callable[[Any, Any], bool], wanted: object) -> Test:
    """Return the test of one term."""

    def test(row: Row) -> bool:
        value = row.get(column)
        if kind == "status":
            return wanted in statuses(row)
        if kind == "tag":
            return wanted in {tag.lower() for tag in value or ()}
        if kind == "time" and value is not None and value[-1] == "Z" and len(value) == len(instant):
            return compare(value, instant)  # the same format compares as text, ten times as fast
        return value is not None and compare(READ[kind](value), wanted)

    instant = wanted.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(wanted, datetime) else ""
    return test


def statuses(row: Row) -> set[str]:
    """Return the words under which `status:` finds an order."""
    found = {"any", "closed" if row["closedAt"] else "open"}
    found |= {"cancelled"} if row["cancelledAt"] else set()
    return found if "closed" in found else found | {"not_closed"}


def has_text(wanted: str, row: Row) -> bool:
    """Tell whether a word without a field is found in a row."""
    return any(wanted in str(row.get(name) or "").lower() for name in FULL_TEXT)


def unquoted(value: str) -> str:
    """Return a value without its single or double quotes."""
    return value[1:-1] if value[0] in "'\"" else value


def read_time(value: str) -> datetime:
    """Return a time with its offset, UTC where it has none."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


READ: dict[str, Callable[[str], Any]] = {
    "number": lambda value: int(value.rsplit("/", 1)[-1]),
    "time": read_time,
    "text": str.lower,
    "tag": str.lower,
    "status": str.lower,
}

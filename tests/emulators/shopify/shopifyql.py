"""A ShopifyQL query in; out comes a table made of the shop's orders, or parse errors.

Enough of the language for a tap's tests: one table, a few metrics and dimensions, clauses in Shopify's order.
Shapes, names and types are those of Shopify's documentation, values are strings as there; the words of the
errors are the emulator's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.emulators.shopify.store import Store

Row = dict[str, Any]

QUERY = re.compile(
    r"""\s*FROM\s+(?P<table>\w+)
    \s+SHOW\s+(?P<show>[\w\s,]+?)
    (?:\s+(?:GROUP\s+BY|TIMESERIES)\s+(?P<by>[\w\s,]+?))?
    (?P<totals>\s+WITH\s+TOTALS)?
    (?:\s+SINCE\s+(?P<since>\S+))?
    (?:\s+UNTIL\s+(?P<until>\S+))?
    (?:\s+ORDER\s+BY\s+(?P<order>\w+)(?:\s+(?P<way>ASC|DESC))?)?
    (?:\s+LIMIT\s+(?P<limit>\d+))?\s*""",
    re.VERBOSE | re.IGNORECASE,
)


def day_of(order: Row) -> date:
    """Return the day of an order."""
    return datetime.fromisoformat(order["createdAt"]).date()


def amount(order: Row) -> Decimal:
    """Return what an order came to, in the shop's currency."""
    return Decimal(str(order["totalPriceSet"]["shopMoney"]["amount"]))


def total(orders: list[Row]) -> Decimal:
    """Return what some orders came to."""
    return sum(map(amount, orders), Decimal(0))


def with_customer(orders: list[Row]) -> float:
    """Return the share of orders whose buyer is known."""
    return round(sum(order["customer"] is not None for order in orders) / max(1, len(orders)), 4)


METRICS: dict[str, tuple[str, Callable[[list[Row]], object]]] = {
    "total_sales": ("MONEY", total),
    "orders": ("INTEGER", len),
    "average_order_value": ("MONEY", lambda orders: total(orders) / len(orders) if orders else None),
    "returning_customer_rate": ("PERCENT", with_customer),
}
DIMENSIONS: dict[str, tuple[str, Callable[[Row], object]]] = {
    "hour": ("HOUR_TIMESTAMP", lambda order: order["createdAt"][:13] + ":00:00"),
    "day": ("DAY_TIMESTAMP", day_of),
    "month": ("MONTH_TIMESTAMP", lambda order: day_of(order).replace(day=1)),
    "day_of_week": ("DAY_OF_WEEK", lambda order: day_of(order).isoweekday()),
    "shipping_country": ("STRING", lambda order: (order["shippingAddress"] or {}).get("country")),
    "order_tags": ("ARRAY", lambda order: tuple(order["tags"])),
}


def answer(store: Store, query: str) -> Row:
    """Return what `shopifyqlQuery` answers."""
    try:
        return {"parseErrors": [], "parseWarnings": warnings(query), "tableData": table(store, query)}
    except ValueError as error:
        return {"parseErrors": [str(error)], "parseWarnings": [], "tableData": None}


def warnings(query: str) -> list[str]:
    """Return what a newer version of the language says of a query that still works."""
    return ["TIMESERIES is deprecated, use GROUP BY."] if "TIMESERIES" in query.upper() else []


def table(store: Store, query: str) -> Row:
    """Return the table of a query.

    Raises:
        ValueError: with the parse error.
    """
    found = QUERY.fullmatch(query)
    if found is None:
        raise ValueError("Line 1 Column 1: mismatched input, a query starts with FROM and SHOW.")
    if found["table"].lower() != "sales":
        raise ValueError(f"Line 1 Column 6: Invalid dataset in FROM clause: {found['table']}")
    by, show = names(found["by"]), names(found["show"])
    if unknown := [name for name in (*show, *by) if name not in METRICS and name not in DIMENSIONS]:
        raise ValueError(f"Line 1 Column 11: Column '{unknown[0]}' not found.")
    metrics = [name for name in show if name in METRICS]
    since, until = moment(store, found["since"], -30), moment(store, found["until"], 0)
    orders = [order for order in store.rows("orders") if since <= day_of(order) <= until]
    groups: dict[tuple[object, ...], list[Row]] = {} if by else {(): orders}
    for order in orders if by else ():
        groups.setdefault(tuple(DIMENSIONS[name][1](order) for name in by), []).append(order)
    rows = [
        {name: told(value) for name, value in zip(by, group, strict=True)}
        | {name: told(METRICS[name][1](some)) for name in metrics}
        for group, some in groups.items()
    ]
    if found["order"]:
        rows.sort(key=lambda row: str(row[found["order"]]), reverse=(found["way"] or "").upper() == "DESC")
    if found["totals"]:
        rows.insert(0, dict.fromkeys(by) | {name: told(METRICS[name][1](orders)) for name in metrics})
    kept = rows[: int(found["limit"])] if found["limit"] else rows
    return {"columns": [column(name) for name in (*by, *metrics)], "rows": kept}


def column(name: str) -> Row:
    """Return a column as the answer describes it."""
    kind = (METRICS.get(name) or DIMENSIONS[name])[0]
    title = name.replace("_", " ").capitalize()
    return {
        "name": name,
        "dataType": kind,
        "subType": "STRING" if kind == "ARRAY" else None,
        "displayName": title,
    }


def told(value: object) -> object:
    """Return a value as Shopify sends it: a string, a list of strings, or null."""
    if value is None:
        return None
    return [str(item) for item in value] if isinstance(value, tuple) else str(value)


def names(text: str | None) -> list[str]:
    """Return the names in a list of them."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def moment(store: Store, text: str | None, default: int) -> date:
    """Return a day: `2026-01-31`, `today`, or one some days, months or years ago: `-30d`."""
    today = store.now.astimezone(UTC).date()
    if text is None or text.lower() == "today":
        return today + timedelta(days=default if text is None else 0)
    if found := re.fullmatch(r"-(\d+)([dmy])", text):
        return today - timedelta(days=int(found[1]) * {"d": 1, "m": 30, "y": 365}[found[2]])
    return date.fromisoformat(text)

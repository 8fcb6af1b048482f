"""Scopes that a token has in; out comes which streams and columns it may read, and what the others lack.

`scopes.json` holds what each stream's query requires, by Shopify's own words on types and fields; the schema
generator writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

import msgspec

import tap_shopify
from tap_shopify.graphql import Way

OLD = timedelta(days=60)
ALL_ORDERS = "read_all_orders"
KINDS = (
    "read_merchant_managed_fulfillment_orders",
    "read_third_party_fulfillment_orders",
    "read_assigned_fulfillment_orders",
    "read_marketplace_fulfillment_orders",
)
"""Any of them opens the list of fulfillment orders, which Shopify filters by those that are granted. The
first shows what most shops have."""


class Access(msgspec.Struct, frozen=True):
    """What one stream requires: each item one scope or several of which any will do (`a|b`).

    `needs` is required for any row at all, `columns` for single ones: the way to each from the root's rows.
    """

    root: str
    needs: tuple[str, ...] = ()
    columns: dict[str, tuple[str, ...]] = {}


@cache
def _table() -> dict[str, Access]:
    text = files(tap_shopify).joinpath("scopes.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Access])


def needs(stream: str) -> tuple[str, ...]:
    """Return what a stream's query requires, each one scope or several of which any will do: `a|b`."""
    return _table()[stream].needs if stream in _table() else ()


def kinds(stream: str) -> tuple[str, ...]:
    """Return the scopes that each show some rows of a stream alone; none where one shows all."""
    return KINDS if stream in _table() and _table()[stream].root == "fulfillmentOrders" else ()


def reads_orders(stream: str) -> bool:
    """Return whether a stream's rows hang on orders, of which Shopify hides the older ones."""
    return stream in _table() and _table()[stream].root == "orders"


def needs_of_columns(stream: str) -> dict[Way, tuple[str, ...]]:
    """Return what single columns of a stream's query require besides."""
    columns = _table()[stream].columns if stream in _table() else {}
    return {tuple(name.split(".")): needed for name, needed in columns.items()}


def missing(stream: str, granted: frozenset[str]) -> list[str]:
    """Return the scopes that a stream lacks; of several that would do, the first."""
    return _lacking(needs(stream), granted)


def hidden(stream: str, granted: frozenset[str]) -> dict[Way, list[str]]:
    """Return the columns of a stream that the token may not see, and the scopes that each lacks."""
    every = ((way, _lacking(needed, granted)) for way, needed in needs_of_columns(stream).items())
    return {way: scopes for way, scopes in every if scopes}


def _lacking(needed: tuple[str, ...], granted: frozenset[str]) -> list[str]:
    """Return the scopes that are not granted.

    Who may write may read. A shop that names no scopes at all is taken at its later word.
    """
    if not granted:
        return []
    have = granted | {scope.replace("write_", "read_", 1) for scope in granted}
    alternatives = [one.split("|") for one in needed]
    return sorted({scopes[0] for scopes in alternatives if not have & set(scopes)})


def held_back(stream: str, granted: frozenset[str], since: datetime | None, now: datetime) -> Iterator[str]:
    """Yield what Shopify will hold back of this read without a word, and what shows it."""
    if not granted:
        return
    if reads_orders(stream) and ALL_ORDERS not in granted and (since is None or since < now - OLD):
        yield (
            "Shopify shows this token the orders of the last 60 days alone, and is silent about older ones. "
            "Grant the app read_all_orders to read them."
        )
    if lacking := [scope for scope in kinds(stream) if _lacking((scope,), granted)]:
        yield (
            "Shopify shows this token the fulfillment orders of some kinds of locations alone, and is silent "
            f"about the others. Grant the app {' and '.join(lacking)} to read those, where the shop has any."
        )

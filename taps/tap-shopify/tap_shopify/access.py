"""Scopes that a token has in; out comes which streams it may read, and what is missing for the others.

`scopes.json` holds what each stream's query requires, by Shopify's own words on types and fields; the schema
generator writes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

import msgspec

import tap_shopify

OLD = timedelta(days=60)
ALL_ORDERS = "read_all_orders"


class Access(msgspec.Struct, frozen=True):
    """What one stream requires: each item one scope or several of which any will do (`a|b`)."""

    root: str
    needs: tuple[str, ...] = ()


@cache
def _table() -> dict[str, Access]:
    text = files(tap_shopify).joinpath("scopes.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Access])


def needs(stream: str) -> tuple[str, ...]:
    """Return what a stream's query requires, each one scope or several of which any will do: `a|b`."""
    return _table()[stream].needs if stream in _table() else ()


def reads_orders(stream: str) -> bool:
    """Return whether a stream's rows hang on orders, of which Shopify hides the older ones."""
    return stream in _table() and _table()[stream].root == "orders"


def missing(stream: str, granted: frozenset[str]) -> list[str]:
    """Return the scopes that a stream lacks; of several that would do, the first.

    Who may write may read. A shop that names no scopes at all is taken at its later word.
    """
    if not granted:
        return []
    have = granted | {scope.replace("write_", "read_", 1) for scope in granted}
    lacking = [needed.split("|") for needed in needs(stream)]
    return sorted({scopes[0] for scopes in lacking if not have & set(scopes)})


def sees_only_recent(stream: str, granted: frozenset[str], since: datetime | None, now: datetime) -> bool:
    """Return whether Shopify will hold back rows of this read without a word: orders older than 60 days."""
    is_old = since is None or since < now - OLD
    return reads_orders(stream) and bool(granted) and ALL_ORDERS not in granted and is_old

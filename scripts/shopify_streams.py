"""Rewrite the tables of streams in docs/shopify.md from what tap-shopify's code says of them.

    python scripts/shopify_streams.py            rewrite both tables
    python scripts/shopify_streams.py --check    write nothing, exit 1 where a table is out of date

A table stands between two comments that name it, `what` (what the rows are) or `how` (how they are read):

    <!-- streams: what -->
    <!-- /streams -->
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tap_shopify.access import ALL_ORDERS, kinds, needs, needs_of_columns, reads_orders
from tap_shopify.bulk_query import BulkQuery, UnfitError
from tap_shopify.stream import ShopifyStream
from tap_shopify.tap import TapShopify

PAGE = Path(__file__).resolve().parent.parent / "docs" / "shopify.md"
BLOCK = re.compile(r"(<!-- streams: (?P<table>what|how) -->\n).*?(<!-- /streams -->)", re.DOTALL)
DEPTH = 2
"""How deep the target makes tables of arrays; its setting `split_depth`."""


def streams() -> list[ShopifyStream]:
    """Return every stream, by name."""
    every = TapShopify(config={}).streams.values()
    return sorted((stream for stream in every if isinstance(stream, ShopifyStream)), key=lambda one: one.name)


def code(names: Any) -> str:  # noqa: ANN401 - any names
    """Return names as code, one after the other."""
    return ", ".join(f"`{name}`" for name in names)


def child_tables(schema: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield what the lake adds to a stream's name for each table of an array in it."""
    for name, declared in schema.get("properties", {}).items():
        items = declared.get("items", {})
        if items.get("properties") and depth < DEPTH:
            yield prefix + name
            yield from child_tables(items, f"{prefix}{name}__", depth + 1)
        elif not items:
            yield from child_tables(declared, f"{prefix}{name}__", depth)


def what(stream: ShopifyStream) -> tuple[str, ...]:
    """Return what the rows of a stream are."""
    first = (type(stream).__doc__ or "").partition("\n")[0].rstrip(".")
    return f"`{stream.name}`", first, code(stream.primary_keys), code(child_tables(stream.schema))


def how(stream: ShopifyStream) -> tuple[str, ...]:
    """Return how the rows of a stream are read."""
    key = stream.replication_key
    way = "in full" if key is None else "sorted" if stream.is_sorted else "windows"
    gone = "each read" if key is None else "events" if stream.deleted_as else "-"
    return f"`{stream.name}`", f"`{key}`" if key else "-", way, bulk(stream), gone, scopes(stream.name)


def scopes(stream: str) -> str:
    """Return the fewest scopes that open a stream, and those that open all of its columns."""
    chosen = fewest(needs(stream), [])
    some = fewest((need for needed in needs_of_columns(stream).values() for need in needed), chosen)
    more = f"; for some columns {code(sorted(some))}" if some else ""
    old = f"; older than 60 days: `{ALL_ORDERS}`" if reads_orders(stream) else ""
    others = code(scope for scope in kinds(stream) if scope not in chosen)
    rest = f"; of other kinds of locations: {others}" if others else ""
    return (code(sorted(chosen)) or "none") + more + old + rest


def fewest(needed: Iterable[str], there: list[str]) -> list[str]:
    """Return the scopes to add to those there are: of several that would do, the first that Shopify names."""
    chosen: list[str] = []
    for alternatives in sorted((need.split("|") for need in needed), key=len):
        if not set(alternatives) & {*there, *chosen}:
            chosen.append(alternatives[0])
    return chosen


def bulk(stream: ShopifyStream) -> str:
    """Return whether a stream may be read by bulk operation, or why not."""
    try:
        BulkQuery(stream.query)
    except UnfitError as reason:
        return f"no: {reason}"
    return "yes" if stream.count or stream.filtered_by else "with `always`"


TABLES: dict[str, tuple[str, Callable[[ShopifyStream], tuple[str, ...]]]] = {
    "what": ("stream | holds | key | child tables", what),
    "how": ("stream | bookmark | read | bulk | deleted rows | scopes", how),
}


def table(name: str) -> str:
    """Return one of the tables in Markdown."""
    head, cells = TABLES[name]
    lines = [f"| {head} |", "|" + " --- |" * len(head.split("|"))]
    lines += ["| " + " | ".join(cells(stream)) + " |" for stream in streams()]
    return "\n".join(lines) + "\n"


def rewritten(text: str) -> str:
    """Return the page with its tables as they should be."""
    return BLOCK.sub(lambda match: match[1] + table(match["table"]) + match[3], text)


def main() -> int:
    """Rewrite or check, and say what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where a table differs")
    check = parser.parse_args().check
    text = PAGE.read_text(encoding="utf-8")
    stale = rewritten(text) != text
    if stale and not check:
        PAGE.write_text(rewritten(text), encoding="utf-8")
    print(f"{'unchanged' if not stale else 'out of date' if check else 'written'}  {PAGE.name}")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())

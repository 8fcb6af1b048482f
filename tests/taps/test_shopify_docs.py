"""The page on Shopify says what the code does, and its examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from scripts import shopify_streams
from tap_shopify.stream import ShopifyStream
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import ShopifyServer
from tests.taps.singer import read

ROOT = Path(__file__).resolve().parents[2]
PAGE = shopify_streams.PAGE.read_text(encoding="utf-8")
README = (ROOT / "taps" / "tap-shopify" / "README.md").read_text(encoding="utf-8")


def test_the_tables_of_streams_are_the_generated_ones() -> None:
    assert shopify_streams.rewritten(PAGE) == PAGE, "run python scripts/shopify_streams.py"
    assert [block["table"] for block in shopify_streams.BLOCK.finditer(PAGE)] == ["what", "how"]


def test_every_stream_has_a_row_in_both_tables() -> None:
    names = sorted(TapShopify(config={}).streams)

    for block in shopify_streams.BLOCK.finditer(PAGE):
        assert re.findall(r"^\| `(\w+)` \|", block[0], re.MULTILINE) == names


def test_a_row_tells_what_the_code_declares() -> None:
    assert "| `orders` | `updated_at` | sorted | " in PAGE
    assert "| `gift_cards` | - | in full | " in PAGE
    assert "| `product_variants` | `updated_at` | windows | " in PAGE
    assert "`read_orders`" in next(line for line in PAGE.splitlines() if line.startswith("| `orders` | `upd"))
    assert "`line_items`" in next(line for line in PAGE.splitlines() if line.startswith("| `orders` | Ord"))


def test_the_comparison_counts_our_streams_as_they_are() -> None:
    streams = [
        stream for stream in TapShopify(config={}).streams.values() if isinstance(stream, ShopifyStream)
    ]
    telling = [stream for stream in streams if stream.deleted_as]

    (line,) = [line for line in PAGE.splitlines() if line.startswith("| tap-shopify here |")]
    assert f"; {len(streams)} streams and ShopifyQL" in line
    assert f"| {len(telling)} streams, by events |" in line


def test_oddities_are_numbered_and_each_says_why_it_matters() -> None:
    section = PAGE.partition("## Oddities")[2].partition("\n## ")[0]
    items = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]

    assert re.findall(r"^(\d+)\. ", section, re.MULTILINE) == [str(n + 1) for n in range(len(items))]
    assert [item for item in items if "*Why" not in item] == []


def test_the_example_of_a_report_works(shop: ShopifyServer, config: dict[str, Any]) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    rows = read({**config, **json.loads(example)}, streams=("sales_by_day",)).rows("sales_by_day")

    assert sum(row["orders"] for row in rows) == len(shop.store.ids("orders"))


def test_what_the_pages_link_to_is_there() -> None:
    for text, place in ((PAGE, ROOT / "docs"), (README, ROOT / "taps" / "tap-shopify")):
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (place / link).exists(), link

"""Nothing personal and no secret reaches a log, at any level, whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_shopify.streams import STREAMS
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import run, selected

MARK = "Zyxxy"
PERSONAL = frozenset(
    {
        *("address1", "address2", "city", "zip", "province", "company"),
        *("displayName", "firstName", "lastName", "name"),
        *("email", "emailAddress", "phone", "phoneNumber", "note"),
    }
)

SOME = ("customers", "draft_orders", "events", "order_refunds", "order_transactions", "orders", "products")
"""Streams that tell of persons, and others: each mishap hits their reads."""
EVERY = tuple(vars(stream)["name"] for stream in STREAMS)


def marked(value: Any, name: str = "") -> Any:
    """Return a row with every personal text replaced by one that no code says by chance."""
    if isinstance(value, dict):
        return {key: marked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [marked(item, name) for item in value]
    return f"{MARK} {name}@{MARK}.example" if type(value) is str and name in PERSONAL else value


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    """A small one: each of these tests is a process of its own."""
    bucket = TokenBucket(capacity=100_000, restore_rate=5_000)
    with ShopifyServer(token=TOKEN, orders=6, customers=6, products=2, bucket=bucket) as server:
        yield server


@pytest.fixture
def people(shop: ShopifyServer) -> ShopifyServer:
    """A shop whose customers can be told from anything else a log may say."""
    for table in ("customers", "orders"):
        for row in shop.store.rows(table):
            row.update(marked(row))
    return shop


def spoil_a_number(shop: ShopifyServer) -> None:
    """Put a person's name where a number belongs: the error of `int` would quote it."""
    for row in shop.store.rows("orders"):
        row["totalWeight"] = f"{MARK} is no number"


def faulty(fault: Fault) -> Callable[[ShopifyServer], object]:
    """Return what adds a fault for ever."""
    return lambda shop: shop.faults.add(fault, nth=2, times=None)


MISHAPS: dict[str, Callable[[ShopifyServer], object]] = {
    "none": lambda _: None,
    "429": faulty(Fault.status(429)),
    "500 that quotes": faulty(Fault.status(500, body=f'{{"errors": "{MARK}@x.example"}}')),
    "403 that quotes an address": faulty(Fault.status(403, body=f'{{"errors": "{MARK}@x.example"}}')),
    "page of a proxy": faulty(Fault.status(400, body=f"<html>{MARK}</html>")),
    "cut": faulty(Fault.cut("body")),
    "half of the JSON": faulty(Fault.truncated_json()),
    "internal": faulty(Fault.internal_error()),
    "refusal that quotes": faulty(Fault.graphql_error("BAD", f"Customer {MARK}@x.example is odd.")),
    "cursor twice": faulty(Fault.repeated_cursor()),
    "a bug": spoil_a_number,
}


@pytest.mark.parametrize(("way", "mishap"), [*(("token", name) for name in MISHAPS), ("app", "a bug")])
def test_no_log_holds_a_token_or_a_person(
    tmp_path: Path, people: ShopifyServer, config: dict[str, Any], mishap: str, way: str
) -> None:
    if way == "app":
        secrets = {"client_id": people.oauth.client_id, "client_secret": people.oauth.client_secret}
        config = {"shop_domain": people.domain, **secrets}
    MISHAPS[mishap](people)
    config |= {"max_tries": 2, "page_size": 5}
    (tmp_path / "c").write_text(json.dumps(config))
    streams = EVERY if mishap == "none" else SOME
    (tmp_path / "streams").write_text(json.dumps(selected(config, streams)))

    done = run(
        *("--config", tmp_path / "c", "--catalog", tmp_path / "streams"),
        env={"TAP_SHOPIFY_LOGLEVEL": "DEBUG"},
    )

    assert (done.code == 0) is (mishap == "none"), done.stderr
    assert "DEBUG" in done.stderr
    assert MARK in done.stdout or done.code, "the rows hold the marks, so the test can fail"
    for secret in (MARK, TOKEN, people.oauth.client_secret, *people.oauth.tokens):
        assert secret not in done.stderr
    if done.code:
        *of_streams, _last_word = done.errors
        assert all(" failed; the others go on. " in line for line in of_streams)
        assert "Traceback" in done.stderr

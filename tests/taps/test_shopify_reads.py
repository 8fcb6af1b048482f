"""What tap-shopify sends is what the shop holds: whole, exact, and only what changed."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
import requests
from graphql import parse, print_ast
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

import tap_shopify
from tap_shopify.graphql import WRITTEN_FOR, for_version
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.emulators.shopify.refs import written
from tests.taps.conftest import TOKEN
from tests.taps.singer import read

STREAMS = ("customers", "orders", "products")
STRINGS_THAT_ARE_INTEGERS = {"number_of_orders", "total_weight", "current_total_weight"}
QUERIES = files(tap_shopify) / "queries"


def truth(shop: ShopifyServer, stream: str) -> dict[int, dict[str, Any]]:
    """Return the shop's rows by id, asked for with large nested pages, renamed by the look of them alone."""
    source = QUERIES.joinpath(f"{stream}.graphql").read_text(encoding="utf-8")
    document = print_ast(for_version(parse(source), WRITTEN_FOR))
    document = re.sub(r"\(first: \d+", "(first: 250", document)
    shop.bucket = TokenBucket(capacity=1_000_000)
    rows: dict[int, dict[str, Any]] = {}
    variables: dict[str, Any] = {"first": 5}
    while True:
        page = requests.post(
            f"{shop.url}/admin/api/2026-10/graphql.json",
            json={"query": document, "variables": variables},
            headers={"X-Shopify-Access-Token": TOKEN},
            timeout=30,
        ).json()["data"][stream]
        rows |= {row["id"]: row for row in plain(page["nodes"])}
        variables["after"] = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return rows


def asked(shop: ShopifyServer, stream: str) -> set[str | None]:
    """Return the filters that a stream was asked for with."""
    return {request.variables["query"] for request in shop.requests if stream in request.root_fields}


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "nodes" in value:
        assert value["pageInfo"]["hasNextPage"] is False
        return plain(value["nodes"])
    row = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): plain(inner)
        for name, inner in value.items()
    }
    if "id" in row:
        row["admin_graphql_api_id"] = row["id"]
        row["id"] = int(re.findall(r"/(\d+)", row["id"])[-1])
    for name in STRINGS_THAT_ARE_INTEGERS & row.keys():
        row[name] = int(row[name])
    return row


@pytest.mark.parametrize("stream", STREAMS)
def test_records_equal_what_the_shop_holds(shop: ShopifyServer, config: dict[str, Any], stream: str) -> None:
    rows = read({**config, "page_size": 7}, streams=(stream,)).rows(stream)

    assert {row["id"]: row for row in rows} == truth(shop, stream)
    assert len(rows) == len(shop.store.ids(stream))


@pytest.mark.parametrize("stream", STREAMS)
def test_records_pass_their_schema(config: dict[str, Any], stream: str) -> None:
    output = read(config, streams=(stream,))
    (schema,) = output.kind("SCHEMA", stream)
    validator = Draft202012Validator(schema["schema"], format_checker=FormatChecker())

    assert [error.message for row in output.rows(stream) for error in validator.iter_errors(row)] == []
    assert schema["key_properties"] == ["id"]
    assert schema["bookmark_properties"] == ["updated_at"]


def test_nested_lists_past_their_first_page_are_whole(shop: ShopifyServer, config: dict[str, Any]) -> None:
    """The first page of line items holds 50, of variants 50, of addresses 10."""
    rows = read(config).rows
    lines = {
        row["id"]: [line["admin_graphql_api_id"] for line in row["line_items"]] for row in rows("orders")
    }
    variants = {
        row["id"]: [line["admin_graphql_api_id"] for line in row["variants"]] for row in rows("products")
    }

    assert max(len(ids) for ids in lines.values()) > 50
    assert max(len(ids) for ids in variants.values()) > 50
    assert sorted(itertools.chain(*lines.values())) == sorted(
        line["id"] for order in shop.store.rows("orders") for line in order["lineItems"]
    )
    assert sorted(itertools.chain(*variants.values())) == sorted(shop.store.ids("productVariants"))


def test_money_stays_the_text_that_shopify_sent(config: dict[str, Any]) -> None:
    output = read(config, streams=("orders",))
    (schema,) = output.kind("SCHEMA")
    amount = schema["schema"]["properties"]["total_price_set"]["properties"]["shop_money"]["properties"][
        "amount"
    ]

    assert amount == {"type": ["string", "null"], "format": "x-singer.decimal", "precision": 38, "scale": 6}
    assert all(
        isinstance(row["total_price_set"]["shop_money"]["amount"], str) for row in output.rows("orders")
    )


def test_a_first_read_is_versioned_and_closed(config: dict[str, Any]) -> None:
    output = read(config)

    for stream in STREAMS:
        (schema,) = output.kind("SCHEMA", stream)
        (closing,) = output.kind("ACTIVATE_VERSION", stream)
        assert schema["schema"]["x-singerlake"] == {
            "source": "shopify",
            "origin": "api",
            "account": "acme.myshopify.com",
            "closes_with": "ACTIVATE_VERSION",
        }
        assert {record["version"] for record in output.kind("RECORD", stream)} == {closing["version"]}
        kinds = [message["type"] for message in output.messages if message.get("stream") == stream]
        assert kinds == ["SCHEMA", *["RECORD"] * (len(kinds) - 2), "ACTIVATE_VERSION"]
    assert output.messages[-1]["type"] == "STATE"


def test_state_names_the_shop_and_holds_one_bookmark_a_stream(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    output = read(config)

    assert output.state == {
        "account": "acme.myshopify.com",
        "bookmarks": {
            stream: {
                "replication_key": "updated_at",
                "replication_key_value": max(row["updated_at"] for row in output.rows(stream)),
                "deletions_told_until": shop.store.timestamp,
            }
            for stream in STREAMS
        },
    }


def test_state_never_runs_ahead_of_the_records(config: dict[str, Any]) -> None:
    output = read({**config, "page_size": 5}, streams=("orders",))
    every = [row["updated_at"] for row in output.rows("orders")]
    states = [index for index, message in enumerate(output.messages) if message["type"] == "STATE"]

    assert len(states) > 5
    for index in states[:-1]:
        printed = sum(message["type"] == "RECORD" for message in output.messages[:index])
        mark = output.messages[index]["value"]["bookmarks"]["orders"]
        assert all(mark.get("replication_key_value", "") <= value for value in every[printed:])
        assert "starting_replication_value" in mark


def test_an_incremental_run_reads_what_changed_and_says_so(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    first = read(config, streams=("orders",))
    touched = shop.store.touch_orders(3)
    created = shop.store.add_order()

    second = read(config, streams=("orders",), state=first.state)

    mark = first.state["bookmarks"]["orders"]["replication_key_value"]
    expected = {row["id"] for row in shop.store.rows("orders") if row["updatedAt"] >= mark}
    rows = second.rows("orders")
    assert {row["admin_graphql_api_id"] for row in rows} == expected
    assert {*touched, created} <= expected
    assert len(expected) < 20
    assert second.kind("ACTIVATE_VERSION") == []
    assert all("version" not in record for record in second.kind("RECORD"))
    (schema,) = second.kind("SCHEMA")
    mark = {"source": "shopify", "origin": "api", "account": "acme.myshopify.com"}
    assert schema["schema"]["x-singerlake"] == mark
    assert second.state["bookmarks"]["orders"]["replication_key_value"] == max(
        row["updated_at"] for row in rows
    )


def test_a_run_with_nothing_new_still_ends_with_a_state(shop: ShopifyServer, config: dict[str, Any]) -> None:
    """Else the target could not tell it from a run that was cut."""
    first = read(config, streams=("customers",))
    state = first.state
    state["bookmarks"]["customers"]["replication_key_value"] = "2030-01-01T00:00:00Z"

    second = read(config, streams=("customers",), state=state)

    assert [message["type"] for message in second.messages] == ["SCHEMA", "STATE"]
    assert second.state == state
    assert asked(shop, "customers") - {None} == {"updated_at:>='2029-12-31T23:59:00Z'"}


def test_a_run_cut_at_any_page_goes_on_without_loss(config: dict[str, Any]) -> None:
    config["page_size"] = 30
    whole = read(config, streams=("orders",))
    states = [message["value"] for message in whole.kind("STATE")]

    for state in states[:-1]:
        index = next(i for i, message in enumerate(whole.messages) if message.get("value") == state)
        before = {
            message["record"]["id"] for message in whole.messages[:index] if message["type"] == "RECORD"
        }
        after = {row["id"] for row in read(config, streams=("orders",), state=state).rows("orders")}
        assert before | after == {row["id"] for row in whole.rows("orders")}


@pytest.mark.parametrize(
    "start", ["2025-11-01", "2025-11-01T00:00:00", "2025-11-01T02:00:00+02:00", "2025-11-01T00:00:00.123456Z"]
)
def test_start_date_is_utc_however_it_is_written(
    shop: ShopifyServer, config: dict[str, Any], start: str
) -> None:
    output = read({**config, "start_date": start}, streams=("orders",))

    wanted = [row["id"] for row in shop.store.rows("orders") if row["updatedAt"] >= "2025-11-01T00:00:00Z"]
    assert 0 < len(wanted) < 120
    assert {row["admin_graphql_api_id"] for row in output.rows("orders")} == set(wanted)
    assert asked(shop, "orders") == {"updated_at:>='2025-11-01T00:00:00Z'"}
    assert len(output.kind("ACTIVATE_VERSION")) == 1


def test_a_state_of_another_shop_is_refused_before_anything_is_printed(
    config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match=r"This state belongs to bolt\.myshopify\.com, you asked for acme\."):
        read(config, state={"account": "bolt.myshopify.com", "bookmarks": {}})

    assert capsys.readouterr().out == ""


def test_an_older_state_without_a_shop_is_accepted(config: dict[str, Any]) -> None:
    state = read(config, streams=("products",)).state
    del state["account"]

    assert read(config, streams=("products",), state=state).state["account"] == "acme.myshopify.com"


def test_deselected_streams_and_columns_are_left_out(shop: ShopifyServer, config: dict[str, Any]) -> None:
    gone = ("orders.note", "orders.total_price_set.presentment_money", "orders.line_items")

    output = read(config, streams=("orders",), deselect=gone)

    (schema,) = output.kind("SCHEMA")
    assert {message.get("stream", "orders") for message in output.messages} == {"orders"}
    assert not {"note", "line_items"} & schema["schema"]["properties"].keys()
    assert list(schema["schema"]["properties"]["total_price_set"]["properties"]) == ["shop_money"]
    for row in output.rows("orders"):
        assert not {"note", "line_items"} & row.keys()
        assert list(row["total_price_set"]) == ["shop_money"]
    assert not any("customers" in request.root_fields for request in shop.requests)


def test_stream_maps_and_flattening_are_honoured_and_keep_the_annotation(config: dict[str, Any]) -> None:
    maps = {"orders": {"email": "md5(email) if email else None", "note": None, "__alias__": "sales"}}

    mapped = read({**config, "stream_maps": maps}, streams=("orders",))
    flat = read({**config, "flattening_enabled": True, "flattening_max_depth": 3}, streams=("orders",))

    (schema,) = mapped.kind("SCHEMA", "sales")
    assert schema["schema"]["x-singerlake"]["origin"] == "api"
    assert "note" not in schema["schema"]["properties"]
    assert {len(row["email"]) for row in mapped.rows("sales") if row["email"]} == {32}
    assert len(mapped.kind("ACTIVATE_VERSION", "sales")) == 1
    (schema,) = flat.kind("SCHEMA", "orders")
    assert schema["schema"]["x-singerlake"]["origin"] == "api"
    assert "total_price_set__shop_money__amount" in flat.rows("orders")[0]


# ---- what changes without a time that tells


def balance_transactions(shop: ShopifyServer) -> list[dict[str, Any]]:
    """Let the shop hold a balance transaction for each of the last 60 days, none of them paid out yet."""
    rows = [
        {
            "__typename": "ShopifyPaymentsBalanceTransaction",
            "id": f"gid://shopify/ShopifyPaymentsBalanceTransaction/{7_000 + days}",
            "transactionDate": (moment := written(shop.store.now - timedelta(days=days))),
            "processedAt": moment,
            "associatedPayout": {"id": None, "status": "PENDING"},
        }
        for days in range(60)
    ]
    shop.store.payments["balanceTransactions"] = rows
    return rows


@pytest.mark.parametrize(("start", "again"), [(None, 31), ("2026-01-22", 11)])
def test_a_payout_that_was_paid_meanwhile_comes_with_its_balance_transactions(
    shop: ShopifyServer, config: dict[str, Any], start: str | None, again: int
) -> None:
    config |= {"lookback": 0, **({"start_date": start} if start else {})}
    truth = balance_transactions(shop)
    first = read(config, streams=("balance_transactions",))
    for row in truth:
        row["associatedPayout"] = {"id": "gid://shopify/ShopifyPaymentsPayout/81", "status": "PAID"}
    shop.store.advance(90 * 86_400)  # the window hangs on the last run, however long ago that was

    second = read(config, streams=("balance_transactions",), state=first.state)

    came = {
        row["admin_graphql_api_id"]: row["associated_payout"] for row in second.rows("balance_transactions")
    }
    paid = {"id": 81, "admin_graphql_api_id": "gid://shopify/ShopifyPaymentsPayout/81", "status": "PAID"}
    assert came == {row["id"]: paid for row in truth[:again]}
    assert second.state["bookmarks"] == first.state["bookmarks"]

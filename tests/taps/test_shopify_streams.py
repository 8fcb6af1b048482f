"""Every stream: its document is one that Shopify takes, its rows are whole, typed and each there once."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    FieldNode,
    NoDeprecatedCustomRule,
    NullValueNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    print_ast,
    specified_rules,
    validate,
    visit,
)
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from scripts.generate_shopify_schemas import generate, load
from scripts.generate_shopify_stubs import STUB, stub_rows
from scripts.prune_shopify_schema import QUERY_FOLDERS, made_queries, read_queries
from tap_common.stream import DELETED_AT
from tap_shopify.graphql import Query, for_version
from tap_shopify.stream import ShopifyStream
from tap_shopify.streams import STREAMS
from tests.emulators.shopify import ShopifyServer, TokenBucket, data_stock
from tests.emulators.shopify.schema import SCHEMA_FILE, SCHEMA_FILES, admin_schema
from tests.emulators.shopify.search import fields_of
from tests.taps.conftest import TOKEN
from tests.taps.singer import Output, read

BY_NAME: dict[str, type[ShopifyStream]] = {vars(stream)["name"]: stream for stream in STREAMS}
RULES = [*specified_rules, NoDeprecatedCustomRule]
pytestmark = pytest.mark.xdist_group("streams")  # one shop with everything in it, read once a version
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


# ---- documents and schemas


@pytest.mark.parametrize("version", SCHEMA_FILES)
def test_what_is_sent_is_valid_and_uses_nothing_deprecated(version: str) -> None:
    api = admin_schema(version)
    sent = {path.stem: path.read_text("utf-8") for path in QUERY_FOLDERS[0].glob("*.graphql")}
    refused = {
        name: errors
        for name, text in sent.items()
        for document in (for_version(parse(text), version), parse(Query(text, version).text))
        if (errors := validate(api, document, RULES))
    }

    assert refused == {}
    assert set(sent) == {"account", "shopifyql", "still_there", *BY_NAME}


class Bounded(Visitor):
    """Notes what is asked for up to a limit, though it could be asked for without one."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.found: list[str] = []

    def enter_field(self, node: FieldNode, *_: object) -> None:
        definition = self.info.get_field_def()
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        takes_one = definition is not None and "limit" in definition.args
        if takes_one and not isinstance(given.get("limit"), NullValueNode):
            self.found.append(node.name.value)


@pytest.mark.parametrize("version", SCHEMA_FILES)
def test_nothing_is_counted_up_to_a_limit(version: str) -> None:
    """Shopify counts to 10,000 unless told otherwise."""
    looks = Bounded(info := TypeInfo(admin_schema(version)))
    for _, document in (*read_queries(QUERY_FOLDERS[:1], version), *made_queries(version)):
        visit(document, TypeInfoVisitor(info, looks))

    assert looks.found == []


def whole_schemas() -> list[Any]:
    """Return Shopify's own schemas, where SHOPIFY_SCHEMAS names a folder of them."""
    if folder := os.environ.get("SHOPIFY_SCHEMAS"):
        return sorted(Path(folder).glob("admin_*.graphql*"))
    return [pytest.param(Path("none"), marks=pytest.mark.skip("SHOPIFY_SCHEMAS names no folder of schemas"))]


@pytest.mark.parametrize("path", whole_schemas(), ids=lambda path: path.name)
def test_whole_schemas_of_shopify_take_what_is_sent(path: Path) -> None:
    api = load(path)
    (version,) = re.findall(r"20\d\d-\d\d", path.name)
    documents = [*read_queries(QUERY_FOLDERS[:1], version), *made_queries(version)]

    assert {file.name: errors for file, sent in documents if (errors := validate(api, sent, RULES))} == {}
    assert len(documents) > len(STREAMS)


@pytest.mark.parametrize("name", [name for name, stream in BY_NAME.items() if stream.comes_by_id])
def test_a_list_that_is_parted_by_id_comes_by_id_and_can_be_searched_by_it(name: str) -> None:
    """Where Shopify offers an order, the document asks for this one."""
    document = parse((QUERY_FOLDERS[0] / f"{name}.graphql").read_text(encoding="utf-8"))
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    (root,) = operation.selection_set.selections
    assert isinstance(root, FieldNode)
    asked = {argument.name.value: print_ast(argument.value) for argument in root.arguments or ()}
    query_type = admin_schema().query_type
    assert query_type is not None
    offered = query_type.fields[root.name.value].args

    assert asked["query"] == "$query"
    assert fields_of(root.name.value)["id"] == ("number", "id")
    assert asked.get("sortKey") == ("ID" if "sortKey" in offered else None)
    assert "reverse" not in asked
    assert not BY_NAME[name].is_sorted


def test_schemas_are_generated_from_the_queries() -> None:
    made = generate(load(SCHEMA_FILE))

    assert [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text] == []


def test_stub_rows_are_what_their_script_writes() -> None:
    made = stub_rows()

    assert set(made) == set(BY_NAME)
    assert [name for name, text in made.items() if (STUB / f"{name}.jsonl").read_text("utf-8") != text] == []


# ---- rows


@contextmanager
def full_shop() -> Iterator[ShopifyServer]:
    """A shop with some rows of everything."""
    bucket = TokenBucket(1_000_000, 1_000_000)
    with ShopifyServer(token=TOKEN, orders=40, customers=12, products=8, bucket=bucket) as server:
        server.store.nested |= {
            ("ShopifyPaymentsAccount", name): 4 for name in ("payouts", "balanceTransactions", "disputes")
        }
        server.store.delete("draftOrders", server.store.ids("draftOrders")[0])
        yield server


@pytest.fixture(scope="module")
def full() -> Iterator[ShopifyServer]:
    with full_shop() as server:
        yield server


def config_of(server: ShopifyServer, **more: Any) -> dict[str, Any]:
    return {"shop_domain": server.domain, "access_token": TOKEN, "bulk": "never", **more}


@pytest.fixture(scope="module", params=SCHEMA_FILES)
def output(request: pytest.FixtureRequest) -> Output:
    """What a first read of every stream sends, of either version.

    Of a shop of its own: a shop's made values are those of the version that first asks for them.
    """
    with full_shop() as server:
        return read(config_of(server, api_version=request.param), streams=tuple(BY_NAME))


def told(output: Output, stream: str) -> list[dict[str, Any]]:
    """Return what a stream told of rows that are there."""
    return [row for row in output.rows(stream) if not row.get(DELETED_AT)]


def test_every_stream_sends_rows_that_pass_its_schema(output: Output) -> None:
    wrong: dict[str, str] = {}
    for name in BY_NAME:
        (schema,) = output.kind("SCHEMA", name)
        check = Draft202012Validator(schema["schema"], format_checker=FormatChecker())
        for row in output.rows(name):
            undeclared = set(row) - set(schema["schema"]["properties"])
            for said in (*(error.message[:200] for error in check.iter_errors(row)), *undeclared):
                wrong[name] = said

    assert wrong == {}
    assert {name for name in BY_NAME if not output.rows(name)} == set()


def test_every_row_has_its_key_and_comes_once(output: Output) -> None:
    wrong: dict[str, list[Any]] = {}
    for name, stream in BY_NAME.items():
        keys = [tuple(row[key] for key in stream.primary_keys) for row in output.rows(name)]
        again = [key for key, times in Counter(keys).items() if times > 1 or None in key]
        wrong |= {name: again} if again else {}

    assert wrong == {}


def test_every_row_of_an_incremental_stream_has_its_time(output: Output) -> None:
    lacking = {
        name: len(some)
        for name, stream in BY_NAME.items()
        if stream.replication_key
        and (some := [row for row in told(output, name) if not row[stream.replication_key]])
    }

    assert lacking == {}


def test_columns_are_called_as_columns_are(output: Output) -> None:
    names = {
        (message["stream"], column)
        for message in output.kind("SCHEMA")
        for column in message["schema"]["properties"]
    }

    assert {column for _, column in names if not SNAKE.fullmatch(column)} == {DELETED_AT}


def test_a_second_read_sends_what_changed_and_no_more(full: ShopifyServer) -> None:
    streams = ("orders", "order_transactions", "pages")
    first = read(config_of(full), streams=streams)
    full.store.advance(86_400)
    (page,), (order,) = full.store.touch("pages"), full.store.touch("orders")
    full.store.advance(3_600)
    second = read(config_of(full), streams=streams, state=first.state)

    bookmarks = {name: mark["replication_key_value"] for name, mark in first.state["bookmarks"].items()}
    for name in ("orders", "pages"):
        assert {row["updated_at"] >= bookmarks[name] for row in second.rows(name)} == {True}
        assert len(second.rows(name)) < len(first.rows(name))
    assert page in {row["admin_graphql_api_id"] for row in second.rows("pages")}
    assert order in {row["admin_graphql_api_id"] for row in second.rows("orders")}
    assert {row["order_id"] for row in second.rows("order_transactions")} <= {
        row["id"] for row in second.rows("orders")
    }


# ---- nothing is cut


def test_pages_of_any_size_bring_the_same_rows(full: ShopifyServer) -> None:
    small, large = (read(config_of(full, page_size=size), streams=tuple(BY_NAME)) for size in (7, 250))

    assert {name: by_key(small, name) for name in BY_NAME} == {name: by_key(large, name) for name in BY_NAME}


def by_key(output: Output, stream: str) -> list[dict[str, Any]]:
    """Return the rows of a stream in the order of their keys."""
    keys = BY_NAME[stream].primary_keys
    return sorted(output.rows(stream), key=lambda row: [str(row[key]) for key in keys])


def test_a_location_with_many_items_comes_whole() -> None:
    with ShopifyServer(token=TOKEN, orders=1, customers=1, products=60) as server:
        rows = read(config_of(server), streams=("inventory_levels",)).rows("inventory_levels")
        held = {
            row["id"]
            for place in server.store.rows("locations")
            for row in data_stock.levels(server.store, place)
        }

    assert {row["admin_graphql_api_id"] for row in rows} == held
    assert len(held) > 6 * 100


def test_what_lies_behind_one_parent_comes_whole() -> None:
    """1,000 line items, 600 variants, 300 media, 3,000 metafields and 10,000 redeem codes."""
    bucket = TokenBucket(1_000_000, 1_000_000)
    with ShopifyServer(token=TOKEN, orders=1, customers=1, products=1, bucket=bucket) as server:
        store = server.store
        store.sizes["discountNodes"] = 2
        store.nested |= {
            ("Order", "metafields"): 3_000,
            ("Product", "media"): 300,
            ("DiscountCodeBasic", "codes"): 10_000,
            ("DiscountCodeBxgy", "codes"): 10_000,
            ("DiscountCodeApp", "codes"): 10_000,
            ("DiscountCodeFreeShipping", "codes"): 10_000,
        }
        (order,) = store.rows("orders")
        (product,) = store.rows("products")
        order["lineItems"] = copies(order["lineItems"][0], 1_000)
        product["variants"] = copies(product["variants"][0], 600)
        streams = ("orders", "products", "metafields_orders", "discount_redeem_codes")
        output = read(config_of(server), streams=streams)
        asked = len(server.requests)

    assert len({line["id"] for line in output.rows("orders")[0]["line_items"]}) == 1_000
    assert len({variant["id"] for variant in output.rows("products")[0]["variants"]}) == 600
    assert len({medium["id"] for medium in output.rows("products")[0]["media"]}) == 300
    assert len({row["id"] for row in output.rows("metafields_orders")}) == 3_000
    codes = Counter(row["discount_id"] for row in output.rows("discount_redeem_codes"))
    assert set(codes.values()) == {10_000}
    assert len({row["id"] for row in output.rows("discount_redeem_codes")}) == sum(codes.values())
    assert asked < 250


def copies(row: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return rows like one, with ids of their own."""
    kind = row["id"].rsplit("/", 1)[0]
    return [{**row, "id": f"{kind}/{10**14 + place}"} for place in range(count)]

"""What the Shopify emulator claims to do, each claim tried over real HTTP."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests
from graphql import (
    GraphQLNamedType,
    execute_sync,
    get_named_type,
    is_interface_type,
    is_leaf_type,
    is_object_type,
    is_required_argument,
    is_union_type,
    parse,
    validate,
)

from tests.emulators.asking import IDS, TOKEN, ask, by_update, code, errors, pages, post
from tests.emulators.shopify import ShopifyServer, Store
from tests.emulators.shopify.made import Maker
from tests.emulators.shopify.resolvers import Context, resolve_type
from tests.emulators.shopify.schema import admin_schema
from tests.emulators.shopify.store import Size

# ---- who may ask, where, and for which version


def test_the_shop_tells_its_own_domain(server: ShopifyServer) -> None:
    shop = ask(server, "{ shop { id name myshopifyDomain } }")["shop"]

    assert shop == {
        "id": "gid://shopify/Shop/60000000001",
        "name": "Acme",
        "myshopifyDomain": "acme.myshopify.com",
    }


@pytest.mark.parametrize("headers", [{}, {"X-Shopify-Access-Token": "shpat_wrong"}])
def test_a_missing_or_wrong_token_is_refused(server: ShopifyServer, headers: dict[str, str]) -> None:
    url = f"{server.url}/admin/api/2026-10/graphql.json"
    response = requests.post(url, json={"query": "{ shop { id } }"}, headers=headers, timeout=10)

    assert response.status_code == 401
    assert response.json() == {
        "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"
    }


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/admin/api/2026-10/nonsense.json", None),
        ("/admin/api/2026-10/graphql.json", "nobody.myshopify.com"),
        ("/admin/api/2026-05/graphql.json", None),
        ("/admin/api/newest/graphql.json", None),
    ],
)
def test_an_unknown_path_shop_or_version_is_not_found(
    server: ShopifyServer, path: str, host: str | None
) -> None:
    headers = {"X-Shopify-Access-Token": TOKEN, **({"Host": host} if host else {})}
    response = requests.post(
        server.url + path, json={"query": "{ shop { id } }"}, headers=headers, timeout=10
    )

    assert (response.status_code, response.json()) == (404, {"errors": "Not Found"})


@pytest.mark.parametrize(
    ("asked", "served"), [("2026-10", "2026-10"), ("2026-01", "2026-01"), ("2024-04", "2026-01")]
)
def test_the_answer_names_the_served_version_and_an_expired_one_falls_forward(
    server: ShopifyServer, asked: str, served: str
) -> None:
    response = post(server, "{ shop { id } }", version=asked)

    assert response.headers["X-Shopify-API-Version"] == served
    assert response.headers["X-Request-ID"]


def test_a_body_without_a_query_is_a_bad_request(server: ShopifyServer) -> None:
    url = f"{server.url}/admin/api/2026-10/graphql.json"
    response = requests.post(url, data="{oops", headers={"X-Shopify-Access-Token": TOKEN}, timeout=10)

    assert response.status_code == 400
    assert response.json() == {"errors": {"query": "Required parameter missing or invalid"}}


def test_deprecated_fields_are_named_in_a_header(server: ShopifyServer) -> None:
    response = post(server, "{ orders(first: 1) { nodes { id totalPrice } } }")

    assert response.headers["X-Shopify-API-Deprecated-Reason"] == "Order.totalPrice"


# ---- what is refused


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ orders(first: 1) { nodes { nonsense } } }", "undefinedField"),
        ("{ nonsense }", "undefinedField"),
        ("{ shop { permitsSkuSharing } }", "undefinedField"),
        ("{ orders(first: 1, colour: 2) { nodes { id } } }", "argumentNotAccepted"),
        ("{ order { id } }", "missingRequiredArguments"),
        ("{ orders(first: 1) }", "selectionMismatch"),
        ("{ shop { id { nonsense } } }", "selectionMismatch"),
        ('{ orders(first: "1") { nodes { id } } }', "argumentLiteralsIncompatible"),
        ("{ orders(first: 1, sortKey: COLOUR) { nodes { id } } }", "argumentLiteralsIncompatible"),
        ("query($n: String) { orders(first: $n) { nodes { id } } }", "variableMismatch"),
        ("{ orders(first: $n) { nodes { id } } }", "variableNotDefined"),
        ("query($n: Int) { shop { id } }", "variableNotUsed"),
        ("{ shop { ...missing } }", "undefinedFragment"),
        ("{ shop { ... on Order { id } } }", "cannotSpreadFragment"),
        ("{ shop { ... on Nonsense { id } } }", "undefinedType"),
        ("{ shop { id: name id } }", "fieldConflict"),
        ("subscription { orders { id } }", "undefinedOperation"),
        ("mutation { orderUpdate(input: {}) { order { id } } }", "undefinedField"),
        ("{ shop { id }", "parseError"),
    ],
)
def test_a_document_that_shopify_refuses_is_refused(server: ShopifyServer, query: str, expected: str) -> None:
    assert code(server, query) == expected


def test_a_refusal_says_what_where_and_why_as_shopify_does(server: ShopifyServer) -> None:
    found = errors(server, "query Orders {\n  orders(first: 1) { nodes { nonsense } }\n}")

    assert found == [
        {
            "message": "Field 'nonsense' doesn't exist on type 'Order'",
            "locations": [{"line": 2, "column": 30}],
            "path": ["query Orders", "orders", "nodes", "nonsense"],
            "extensions": {"code": "undefinedField", "typeName": "Order", "fieldName": "nonsense"},
        }
    ]


def test_a_variable_of_the_wrong_type_is_refused(server: ShopifyServer) -> None:
    assert code(server, IDS, first="ten") == "INVALID_VARIABLE"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("first: 251", "first cannot exceed 250"),
        ("last: 251", "last cannot exceed 250"),
        ("first: 1, last: 1", "providing both first and last is not supported"),
        ("reverse: true", "you must provide one of first or last"),
        ('first: 1, after: "nonsense"', "Invalid cursor for current pagination sort."),
    ],
)
def test_a_page_that_cannot_be_is_refused(server: ShopifyServer, arguments: str, message: str) -> None:
    found = errors(server, f"{{ orders({arguments}) {{ nodes {{ id }} }} }}")

    assert [(error["message"], error["path"]) for error in found] == [(message, ["orders"])]


def test_a_cursor_of_another_sort_key_is_refused(server: ShopifyServer) -> None:
    cursor = ask(server, IDS, first=1)["orders"]["pageInfo"]["endCursor"]
    query = (
        "query($after: String) { orders(first: 1, after: $after, sortKey: ORDER_NUMBER) { nodes { id } } }"
    )

    assert errors(server, query, after=cursor)[0]["message"] == "Invalid cursor for current pagination sort."


# ---- data and connections


def test_the_data_follow_from_seed_and_counts() -> None:
    def rows(seed: int) -> list[list[dict[str, Any]]]:
        store = Store(
            "acme.myshopify.com", Size(orders=20, customers=5, products=5), seed, Maker(admin_schema())
        )
        return [store.rows(table) for table in ("orders", "customers", "products")]

    assert rows(7) == rows(7)
    assert rows(7) != rows(8)


def test_every_order_comes_once_in_the_order_of_its_update(server: ShopifyServer) -> None:
    found = list(pages(server, first=7))

    assert [row for page in found for row in page] == by_update(server.store)
    assert [len(page) for page in found] == [7, 7, 7, 7, 7, 7, 7, 7, 4]


def test_rows_share_the_second_of_their_update(server: ShopifyServer) -> None:
    seconds = [row["updatedAt"] for row in server.store.rows("orders")]

    assert max(seconds.count(second) for second in seconds) >= 4


def test_last_before_and_reverse_turn_the_page(server: ShopifyServer) -> None:
    numbers = "nodes { number } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
    ends = ask(
        server,
        f"{{ a: orders(last: 2, sortKey: ID) {{ {numbers} }}"
        f"   b: orders(first: 2, sortKey: ID, reverse: true) {{ {numbers} }} }}",
    )
    query = f"query($c: String) {{ orders(last: 3, before: $c, sortKey: ID) {{ {numbers} }} }}"
    before = ask(server, query, c=ends["a"]["pageInfo"]["startCursor"])["orders"]

    assert [row["number"] for row in ends["a"]["nodes"]] == [1059, 1060]
    assert [row["number"] for row in ends["b"]["nodes"]] == [1060, 1059]
    assert [row["number"] for row in before["nodes"]] == [1056, 1057, 1058]
    assert (before["pageInfo"]["hasPreviousPage"], before["pageInfo"]["hasNextPage"]) == (True, True)


def test_a_cursor_holds_the_last_id_and_value(server: ShopifyServer) -> None:
    row, last = by_update(server.store)[0], ask(server, IDS, first=1)["orders"]["pageInfo"]["endCursor"]

    assert json.loads(base64.b64decode(last)) == {
        "last_id": int(row["id"].rsplit("/", 1)[-1]),
        "last_value": row["updatedAt"].replace("T", " ").replace("Z", ".000000"),
    }


def test_a_cursor_holds_its_place_while_rows_change(server: ShopifyServer) -> None:
    before = by_update(server.store)
    reading = pages(server, first=20)
    first = next(reading)
    server.store.update(before[5]["id"], note="already read, moves to the end")
    server.store.delete_order(before[19]["id"])
    rest = [row["id"] for page in reading for row in page]

    assert [row["id"] for row in first] == [row["id"] for row in before[:20]]
    assert rest == [*(row["id"] for row in before[20:]), before[5]["id"]]


def test_line_items_beyond_the_nested_page_come_through_order_and_node(server: ShopifyServer) -> None:
    big = max(server.store.rows("orders"), key=lambda row: len(row["lineItems"]))
    items = "lineItems(first: 50, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } }"
    through_order = f"query($id: ID!, $after: String) {{ order(id: $id) {{ {items} }} }}"
    through_node = (
        f"query($id: ID!, $after: String) {{ order: node(id: $id) {{ ... on Order {{ {items} }} }} }}"
    )
    found, after = [], None
    for query in (through_order, through_node, through_node):
        page = ask(server, query, id=big["id"], after=after)["order"]["lineItems"]
        found += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]

    assert found == [line["id"] for line in big["lineItems"]]
    assert (len(found), page["pageInfo"]["hasNextPage"]) == (120, False)


def test_variants_come_through_nodes(server: ShopifyServer) -> None:
    ids = server.store.ids("products")[:3]
    query = "query($ids: [ID!]!) { nodes(ids: $ids)"
    query += " { id ... on Product { variants(first: 250) { nodes { id } } } } }"
    found = ask(server, query, ids=[*ids, "gid://shopify/Product/1"])["nodes"]

    assert found == [
        *(
            {"id": row["id"], "variants": {"nodes": [{"id": variant["id"]} for variant in row["variants"]]}}
            for row in server.store.rows("products")[:3]
        ),
        None,
    ]
    assert len(found[1]["variants"]["nodes"]) == 100


def test_a_reference_to_a_deleted_row_is_null(server: ShopifyServer) -> None:
    order = next(row for row in server.store.rows("orders") if row["customer"])
    query = "query($id: ID!) { order(id: $id) { customer { id } } }"
    before = ask(server, query, id=order["id"])
    server.store.delete_customer(order["customer"].gid)

    assert before == {"order": {"customer": {"id": order["customer"].gid}}}
    assert ask(server, query, id=order["id"]) == {"order": {"customer": None}}


def test_every_kept_field_of_every_seeded_row_resolves() -> None:
    schema = admin_schema()
    store = Store("acme.myshopify.com", Size(orders=14, customers=9, products=5), 3, Maker(schema))
    for table in ("orders", "customers", "products", "productVariants"):
        connection = get_named_type(schema.query_type.fields[table].type) if schema.query_type else None
        assert connection
        document = parse(f"{{ {table}(first: 250) {selection(connection, 4)} shop {selection_of('Shop')} }}")
        assert validate(schema, document) == []
        result = execute_sync(schema, document, context_value=Context(store), type_resolver=resolve_type)
        assert result.errors is None


def selection_of(name: str) -> str:
    return selection(admin_schema().type_map[name], 2)


def selection(kind: GraphQLNamedType, depth: int) -> str:
    """Select every field of a type that needs no argument but a page size, some levels deep."""
    if is_union_type(kind):
        members = " ".join(f"... on {member.name} {selection(member, depth)}" for member in kind.types)
        return f"{{ __typename {members} }}"
    assert is_object_type(kind) or is_interface_type(kind)
    chosen = ["__typename"]
    for name, definition in kind.fields.items():
        required = [key for key, argument in definition.args.items() if is_required_argument(argument)]
        inner = get_named_type(definition.type)
        if required or (not is_leaf_type(inner) and depth == 0):
            continue
        page = "(first: 2)" if "first" in definition.args else ""
        chosen.append(name + page + ("" if is_leaf_type(inner) else f" {selection(inner, depth - 1)}"))
    return f"{{ {' '.join(chosen)} }}"


# ---- search


@pytest.mark.parametrize(
    ("sign", "keeps"),
    [
        (">=", lambda value, bound: value >= bound),
        (">", lambda value, bound: value > bound),
        ("<=", lambda value, bound: value <= bound),
        ("<", lambda value, bound: value < bound),
    ],
)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_time_bounds_the_update(server: ShopifyServer, sign: str, keeps: Any, quote: str) -> None:
    rows = by_update(server.store)
    bound = rows[-3]["updatedAt"]
    found = [row for page in pages(server, 50, f"updated_at:{sign}{quote}{bound}{quote}") for row in page]

    assert found == [row for row in rows if keeps(row["updatedAt"], bound)]


def test_an_offset_is_obeyed_and_terms_add_up(server: ShopifyServer) -> None:
    store = server.store
    window = "updated_at:>='2025-12-31T23:00:00-01:00' AND updated_at:<'2026-01-10T00:00:00Z' status:closed"
    found = [row["id"] for page in pages(server, 50, window) for row in page]
    expected = {
        row["id"]
        for row in store.rows("orders")
        if "2026-01-01T00:00:00Z" <= row["updatedAt"] < "2026-01-10T00:00:00Z" and row["closed"]
    }

    assert expected
    assert set(found) == expected


def test_and_binds_before_or(server: ShopifyServer) -> None:
    first, second, *_ = server.store.ids("orders")
    one, two = first.rsplit("/", 1)[-1], second.rsplit("/", 1)[-1]
    found = [row["id"] for page in pages(server, 50, f"id:{one} AND id:{two} OR id:{two}") for row in page]

    assert found == [second]


@pytest.mark.parametrize(
    ("search", "field"),
    [
        ("updated_at:>=2026-01-01T00:00:00Z", "updated_at"),
        ("changed_at:>='2026-01-01T00:00:00Z'", "changed_at"),
    ],
)
def test_an_unquoted_time_or_unknown_field_is_dropped_with_a_warning(
    server: ShopifyServer, search: str, field: str
) -> None:
    body = post(server, IDS, first=250, query=search).json()

    assert len(body["data"]["orders"]["nodes"]) == 60
    assert body["extensions"]["search"] == [
        {
            "path": ["orders"],
            "query": search,
            "parsed": {},
            "warnings": [
                {"field": field, "message": "Invalid search field for this query.", "code": "invalid_field"}
            ],
        }
    ]


def test_a_good_search_is_echoed_without_warnings(server: ShopifyServer) -> None:
    search = "updated_at:>='2026-01-01T00:00:00Z'"

    assert post(server, IDS, first=1, query=search).json()["extensions"]["search"] == [
        {
            "path": ["orders"],
            "query": search,
            "parsed": {"field": "updated_at", "range_gte": "2026-01-01T00:00:00Z"},
        }
    ]


def test_counts_obey_search_and_limit(server: ShopifyServer) -> None:
    query = "{ all: ordersCount { count precision } some: ordersCount(limit: 9) { count precision } "
    query += "none: ordersCount(query: \"updated_at:<'2001-01-01'\") { count precision } }"

    assert ask(server, query) == {
        "all": {"count": 60, "precision": "EXACT"},
        "some": {"count": 9, "precision": "AT_LEAST"},
        "none": {"count": 0, "precision": "EXACT"},
    }

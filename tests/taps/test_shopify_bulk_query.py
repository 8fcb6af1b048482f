"""A stream's query becomes a document that may run in bulk, or a reason why not."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

import tap_shopify
from tap_shopify.bulk_query import BulkQuery, Nested, UnfitError, mark_of
from tap_shopify.graphql import Query
from tests.emulators.shopify.bulk_rules import refusals
from tests.emulators.shopify.schema import admin_schema

QUERY = """
query Orders($first: Int!, $after: String, $query: String) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes {
      id
      createdAt
      refunds(first: 5) { id }
      shippingLines(first: 10, includeRemovals: true) {
        nodes { title }
        pageInfo { hasNextPage endCursor }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
MARK = {"stream": "orders", "since": None}


def test_pages_leave_nodes_become_edges_and_each_nested_connection_gets_a_marker() -> None:
    query = BulkQuery(Query(QUERY))

    assert query.nested == [Nested("shipping_lines", "_in_shipping_lines", None)]
    assert query.document("updated_at:>='2026-01-01T00:00:00Z'", MARK) == (
        '# tap-shopify {"stream": "orders", "since": null}\n'
        "{\n"
        "orders(sortKey: UPDATED_AT, query: \"updated_at:>='2026-01-01T00:00:00Z'\") {\n"
        "  edges {\n"
        "    node {\n"
        "      id\n"
        "      created_at: createdAt\n"
        "      refunds(first: 5) {\n"
        "        id\n"
        "      }\n"
        "      shipping_lines: shippingLines(includeRemovals: true) {\n"
        "        edges {\n"
        "          node {\n"
        "            _in_shipping_lines: __typename\n"
        "            title\n"
        "          }\n"
        "        }\n"
        "      }\n"
        "    }\n"
        "  }\n"
        "}\n"
        "}"
    )


def test_what_goes_is_what_shopify_takes() -> None:
    """The tap refuses by the rules that the emulator holds it to; here both look at each query of the tap."""
    refused, going = {}, []
    for path in (files(tap_shopify) / "queries").iterdir():
        query = Query(path.read_text(encoding="utf-8"))
        if not query.connection.nodes:
            continue
        try:
            document = BulkQuery(query).document(None, MARK)
        except UnfitError:
            continue
        going.append(path.name)
        refused[path.name] = refusals(admin_schema(), document)

    assert {name: said for name, said in refused.items() if said} == {}
    assert {"customers.graphql", "orders.graphql", "products.graphql"} <= set(going)


def connection(name: str, inner: str = "id", arguments: str = "first: 5") -> str:
    return f"{name}({arguments}) {{ nodes {{ {inner} }} pageInfo {{ hasNextPage endCursor }} }}"


DEEP = connection("a", "id " + connection("b", "id " + connection("c", "id " + connection("d"))))
LONG = "id " + " ".join(f"{'f' * 50}{at}" for at in range(1200))
UNFIT = {
    "it asks for more than one connection at the root, or none": "payouts { " + connection("a") + " }",
    "its d lie deeper than 2 levels": DEEP,
    "it asks for 6 connections, a bulk operation takes 5": connection(
        "root", "id " + " ".join(connection(name) for name in "abcde")
    ),
    "what its a belong to has no id": connection("root", "title " + connection("a")),
    "its levels stand inside item": connection("root", "id item { id " + connection("levels") + " }"),
    "its a take the variable $x": connection("root", "id " + connection("a", arguments="first: 5, x: $x")),
    "it is longer than 65535 bytes": connection("root", LONG),
}


@pytest.mark.parametrize("reason", UNFIT)
def test_what_cannot_go_says_why(reason: str) -> None:
    with pytest.raises(UnfitError) as refused:
        BulkQuery(Query(f"query Q($x: Int) {{ {UNFIT[reason]} }}"))

    assert str(refused.value) == reason


def test_a_mark_tells_our_documents_from_others() -> None:
    mark = {"stream": "orders", "since": "2026-01-01T00:00:00Z"}

    assert mark_of(BulkQuery(Query(QUERY)).document(None, mark)) == mark
    assert mark_of("{ orders { edges { node { id } } } }") is None
    assert mark_of("# tap-shopify {") is None
    assert mark_of("# tap-shopify " + json.dumps([1])) is None

"""The emulator's bulk operations are held to what Shopify does: its rules, its words, an operation's life."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import requests

from tests.emulators.asking import Clock, ask, post
from tests.emulators.shopify import BulkPace, Fault, ShopifyServer
from tests.emulators.shopify.bulk_lines import OPEN_BLOCKS

RUN = """
mutation Run($query: String!, $grouped: Boolean! = false) {
  bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
    bulkOperation { id status type url }
    userErrors { field message code }
  }
}
"""
CANCEL = """
mutation Cancel($id: ID!) {
  bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors { field message } }
}
"""
BY_ID = """
query Operation($id: ID!) {
  bulkOperation(id: $id) {
    id status errorCode query createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl
  }
}
"""
LIST = """
query Operations($query: String) { bulkOperations(first: 10, query: $query) { nodes { id status } } }
"""
ORDERS = "{ orders { edges { node { id name lineItems { edges { node { id sku } } } } } } }"


@pytest.fixture
def hours(server: ShopifyServer) -> Clock:
    """The clock that the operations of the server live by."""
    server.store.bulk.clock = hours = Clock()
    return hours


def run(server: ShopifyServer, query: str, *, grouped: bool = False) -> dict[str, Any]:
    return dict(ask(server, RUN, query=query, grouped=grouped)["bulkOperationRunQuery"])


def started(server: ShopifyServer, query: str = ORDERS, *, grouped: bool = False) -> str:
    payload = run(server, query, grouped=grouped)
    assert payload["userErrors"] == []
    return str(payload["bulkOperation"]["id"])


def operation(server: ShopifyServer, gid: str) -> dict[str, Any]:
    return dict(ask(server, BY_ID, id=gid)["bulkOperation"])


def lines(url: str) -> list[dict[str, Any]]:
    response = requests.get(url, timeout=10)
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def assembled(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the ids of children by the id of their parent, in order of the parents."""
    result: dict[str, list[str]] = {}
    for row in rows:
        if "__parentId" in row:
            result[row["__parentId"]].append(row["id"])  # KeyError: a child came before its parent
        else:
            result[row["id"]] = []
    return result


def truth(server: ShopifyServer) -> dict[str, list[str]]:
    rows = server.store.rows("orders")
    return {row["id"]: [line["id"] for line in row["lineItems"]] for row in rows}


# ---- rules: recorded replies of 2026-04

NO_ID = (
    "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
    "of 'ID' return type. Connection fields without 'id': products."
)
NODES = (
    "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
    "'products { edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: "
    "'products'."
)
LINES = "lineItems { edges { node { id } } }"
SIX = " ".join(f"{letter}: {LINES}" for letter in "abcde")
IN_LIST = "refunds { id refundLineItems(first: 1) { edges { node { id } } } }"
TWO_BELOW = f"{{ customers {{ edges {{ node {{ id orders {{ edges {{ node {{ id {LINES} }} }} }} }} }} }} }}"
VARIANTS = "variants { edges { node { id %s } } }"
THREE_BELOW = VARIANTS % (f"product {{ id {VARIANTS} }}" % (f"product {{ id {VARIANTS} }}" % ""))
REFUSED = {
    "nodes": ("{ products { nodes { id title } } }", [NODES]),
    "top level node": (
        '{ node(id: "gid://shopify/Product/0") { id } }',
        [
            "Bulk queries cannot contain a top level `node` field.",
            "Bulk queries must contain at least one connection.",
        ],
    ),
    "no connection": ("{ shop { name } }", ["Bulk queries must contain at least one connection."]),
    "two levels below the root may be": (TWO_BELOW, []),
    "three may not": (
        f"{{ products {{ edges {{ node {{ id {THREE_BELOW} }} }} }} }}",
        ["Bulk queries cannot contain connections with a nesting depth greater than 2."],
    ),
    "six connections": (
        f"{{ orders {{ edges {{ node {{ id {SIX} }} }} }} }}",
        ["Bulk queries cannot contain more than 5 connections."],
    ),
    "no id in the parent": (
        "{ products { edges { node { title variants { edges { node { id } } } } } } }",
        [NO_ID],
    ),
    "an alias for id": (
        "{ products { edges { node { gid: id variants { edges { node { id } } } } } } }",
        [NO_ID],
    ),
    "mutation": (
        "mutation { bulkOperationCancel(id: 1) { userErrors { message } } }",
        ["Invalid operation type. Only `query` operations are supported."],
    ),
    "connection in a list": (
        f"{{ orders {{ edges {{ node {{ id {IN_LIST} }} }} }} }}",
        ["Queries that contain a connection field within a list field are not currently supported."],
    ),
    "nothing": ("", ["Invalid bulk query: syntax error, unexpected end of file"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_document_that_may_not_run_is_refused_in_shopifys_words(server: ShopifyServer, name: str) -> None:
    query, messages = REFUSED[name]
    payload = run(server, query)

    assert payload["userErrors"] == [
        {"field": ["query"], "message": message, "code": "INVALID"} for message in messages
    ]
    assert (payload["bulkOperation"] is None) == bool(messages)


def test_a_document_of_more_than_65535_bytes_is_refused(server: ShopifyServer) -> None:
    long = ORDERS + "#" + "x" * 65_535

    assert [error["code"] for error in run(server, long)["userErrors"]] == ["INVALID"]


def test_a_field_that_is_not_there_is_refused(server: ShopifyServer) -> None:
    (error,) = run(server, "{ orders { edges { node { id colour } } } }")["userErrors"]

    assert error["message"].startswith("Invalid bulk query: ")
    assert "colour" in error["message"]


# ---- results


@pytest.mark.parametrize("order", ["mixed", "grouped", "parents first"])
def test_every_object_is_a_line_and_a_child_names_its_parent(server: ShopifyServer, order: str) -> None:
    server.store.bulk.order = order
    done = operation(server, started(server))
    rows = lines(done["url"])

    assert {gid: sorted(ids) for gid, ids in assembled(rows).items()} == {
        gid: sorted(ids) for gid, ids in truth(server).items()
    }
    assert all("lineItems" not in row for row in rows)
    assert (int(done["objectCount"]), int(done["rootObjectCount"])) == (len(rows), 60)
    assert int(done["fileSize"]) == len(requests.get(done["url"], timeout=10).content)


def is_grouped(rows: list[dict[str, Any]]) -> bool:
    """Tell whether every child stands directly below its parent, or below another child of it."""
    parents = [row.get("__parentId", row["id"]) for row in rows]
    return len([parent for parent, _ in itertools.groupby(parents)]) == len(set(parents))


def test_objects_are_not_grouped_unless_that_is_asked_for(server: ShopifyServer) -> None:
    assert OPEN_BLOCKS < 60
    assert not is_grouped(lines(operation(server, started(server))["url"]))
    assert is_grouped(lines(operation(server, started(server, grouped=True))["url"]))


def test_neither_first_nor_a_page_limit_cuts_a_connection(server: ShopifyServer) -> None:
    query = "{ orders(first: 2) { edges { node { id lineItems(first: 1) { edges { node { id } } } } } } }"

    assert assembled(lines(operation(server, started(server, query, grouped=True))["url"])) == truth(server)
    assert max(map(len, truth(server).values())) > 100


def test_a_search_bounds_the_result_and_an_empty_one_has_no_url(server: ShopifyServer) -> None:
    changed = server.store.touch_orders(3)
    query = (
        "{ orders(query: \"updated_at:>='2026-02-01T00:00:00Z'\", sortKey: UPDATED_AT) "
        "{ edges { node { id updatedAt } } } }"
    )
    found = lines(operation(server, started(server, query))["url"])
    none = operation(server, started(server, query.replace("2026-02", "2027-02")))

    assert sorted(row["id"] for row in found) == sorted(changed)
    assert (none["status"], none["url"], none["objectCount"], none["fileSize"]) == (
        "COMPLETED",
        None,
        "0",
        None,
    )


def test_values_are_those_of_an_ordinary_query(server: ShopifyServer) -> None:
    fields = (
        "id name tags closed totalWeight taxLines { rate priceSet { shopMoney { amount } } } "
        "discountCodes billingAddress { city } customer { id numberOfOrders amountSpent { amount } } "
        "kind: __typename ... on Node { also: id } displayFinancialStatus"
    )
    plain = ask(server, f"{{ orders(first: 60) {{ nodes {{ {fields} }} }} }}")["orders"]["nodes"]
    bulk = lines(
        operation(server, started(server, f"{{ orders {{ edges {{ node {{ {fields} }} }} }} }}"))["url"]
    )

    assert bulk == plain


def test_results_that_a_measurement_keeps_are_those_of_an_operation(server: ShopifyServer) -> None:
    server.store.bulk.order = "grouped"
    half = ORDERS.replace("orders", "orders(query: \"updated_at:<'2025-09-01'\")", 1)
    fresh = [lines(operation(server, started(server, query))["url"]) for query in (ORDERS, half)]
    server.store.bulk.kept = {}
    kept = [lines(operation(server, started(server, query))["url"]) for query in (ORDERS, half, ORDERS)]

    assert kept == [*fresh, fresh[0]]
    assert 0 < len(fresh[1]) < len(fresh[0])
    assert len(server.store.bulk.kept) == 1


# ---- the life of an operation


def test_the_status_moves_with_the_clock_and_the_url_ends_after_seven_days(
    server: ShopifyServer, hours: Clock
) -> None:
    server.store.bulk.pace = BulkPace(created=2, running=10)
    payload = run(server, ORDERS)["bulkOperation"]
    gid = payload["id"]
    seen = []
    for hours.now in (0, 2, 11, 12, 12 + 7 * 86_400 - 1, 12 + 7 * 86_400):
        now = operation(server, gid)
        seen.append((now["status"], now["url"] is not None, now["completedAt"] is not None))

    assert payload == {"id": gid, "status": "CREATED", "type": "QUERY", "url": None}
    assert seen == [
        ("CREATED", False, False),
        ("RUNNING", False, False),
        ("RUNNING", False, False),
        ("COMPLETED", True, True),
        ("COMPLETED", True, True),
        ("EXPIRED", False, True),
    ]


def test_an_expired_url_leads_nowhere(server: ShopifyServer, hours: Clock) -> None:
    url = operation(server, started(server))["url"]
    hours.now = 7 * 86_400

    assert requests.get(url, timeout=10).status_code == 404
    assert requests.get(url.replace("key=", "key=x"), timeout=10).status_code == 404


def test_an_operation_of_more_than_ten_days_times_out(server: ShopifyServer, hours: Clock) -> None:
    server.store.bulk.pace = BulkPace(running=11 * 86_400)
    gid = started(server)
    hours.now = 10 * 86_400
    failed = operation(server, gid)

    assert (failed["status"], failed["errorCode"], failed["url"]) == ("FAILED", "TIMEOUT", None)


@pytest.mark.parametrize(
    ("code", "share"), [("INTERNAL_SERVER_ERROR", 0.5), ("TIMEOUT", 0.25), ("ACCESS_DENIED", 0.0)]
)
def test_a_failed_operation_has_a_code_and_the_part_it_got_to(
    server: ShopifyServer, code: str, share: float
) -> None:
    whole = lines(operation(server, started(server))["url"])
    server.store.bulk.fail(code, share)
    failed = operation(server, started(server))

    assert (failed["status"], failed["errorCode"], failed["url"]) == ("FAILED", code, None)
    if share:
        assert lines(failed["partialDataUrl"]) == whole[: int(len(whole) * share)]
    else:
        assert failed["partialDataUrl"] is None


def test_five_run_at_once_and_the_sixth_is_told_which(server: ShopifyServer, hours: Clock) -> None:
    server.store.bulk.pace = BulkPace(running=10, canceling=5)
    running = [started(server) for _ in range(5)]
    refused = run(server, ORDERS)

    assert refused == {
        "bulkOperation": None,
        "userErrors": [
            {
                "field": None,
                "message": "A bulk query operation for this app and shop is already in progress: "
                + ", ".join(running)
                + ".",
                "code": "OPERATION_IN_PROGRESS",
            }
        ],
    }
    assert ask(server, CANCEL, id=running[0])["bulkOperationCancel"] == {
        "bulkOperation": {"id": running[0], "status": "CANCELING"},
        "userErrors": [],
    }
    assert run(server, ORDERS)["bulkOperation"] is None  # CANCELING keeps the slot
    hours.now = 5
    assert operation(server, running[0])["status"] == "CANCELED"
    assert run(server, ORDERS)["userErrors"] == []


def test_what_has_ended_cannot_be_canceled(server: ShopifyServer) -> None:
    gid = started(server)
    assert operation(server, gid)["status"] == "COMPLETED"

    assert ask(server, CANCEL, id=gid)["bulkOperationCancel"] == {
        "bulkOperation": {"id": gid, "status": "COMPLETED"},
        "userErrors": [
            {"field": None, "message": "A bulk operation cannot be canceled when it is completed"}
        ],
    }
    assert ask(server, CANCEL, id="gid://shopify/BulkOperation/1")["bulkOperationCancel"] == {
        "bulkOperation": None,
        "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}],
    }


def test_operations_are_listed_newest_first_by_status_and_type(server: ShopifyServer, hours: Clock) -> None:
    server.store.bulk.pace = BulkPace(running=10)
    first, second = started(server), started(server)
    (foreign,) = server.store.bulk.occupy(1)
    hours.now = 10
    third = started(server)

    def ids(query: str | None = None) -> list[str]:
        return [node["id"] for node in ask(server, LIST, query=query)["bulkOperations"]["nodes"]]

    assert ids() == [third, foreign, second, first]
    assert ids("status:running operation_type:query") == [third, foreign]
    assert ids("status:completed") == [second, first]
    server.store.bulk.finish(foreign)
    assert ids("status:running") == [third]
    assert ask(
        server, "query N($id: ID!) { node(id: $id) { ... on BulkOperation { status } } }", id=first
    ) == {"node": {"status": "COMPLETED"}}


def test_a_mutation_costs_ten_points(server: ShopifyServer) -> None:
    cost = post(server, RUN, query=ORDERS).json()["extensions"]["cost"]

    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (10, 10)


# ---- the download


@pytest.fixture
def url(server: ShopifyServer) -> str:
    return str(operation(server, started(server))["url"])


def test_a_download_can_be_cut_and_taken_up_again(server: ShopifyServer, url: str) -> None:
    whole = requests.get(url, timeout=10).content
    rule = server.faults.add(Fault.cut(), root="bulkResult")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, timeout=10)
    rest = requests.get(url, headers={"Range": "bytes=1000-"}, timeout=10)

    assert rule.fired == 1
    assert (rest.status_code, rest.content) == (206, whole[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"


def test_the_storage_can_refuse(server: ShopifyServer, url: str) -> None:
    server.faults.add(Fault.status(503), root="bulkResult")

    assert requests.get(url, timeout=10).status_code == 503
    assert requests.get(url, timeout=10).status_code == 200
    assert [record.status for record in server.requests if record.root_fields == ("bulkResult",)] == [
        503,
        200,
    ]

"""What the emulator charges, how it fails on demand, and how it lives as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.emulators.asking import IDS, TOKEN, Clock, ask, code, errors, pages, post
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket

ROOT = Path(__file__).resolve().parents[2]

# ---- cost


@pytest.mark.parametrize(
    ("query", "requested", "actual"),
    [
        ("{ shop { id name } }", 1, 1),
        ("{ orders(first: 250) { nodes { id } } }", 2 + 11, 2 + 8),
        ("{ orders(first: 100) { edges { node { id } } pageInfo { endCursor } } }", 2 + 9, 2 + 8),
        ("{ orders(first: 50) { nodes { id customer { id } } } }", 2 + 7 * 2, 2 + 7 * 2),
        ("{ orders(first: 1) { nodes { totalPriceSet { shopMoney { amount } } } } }", 3, 3),
        (
            "{ orders(first: 10, sortKey: ID) { nodes { lineItems(first: 10) { nodes { id } } } } }",
            2 + 4 * 7,
            30,
        ),
        ("{ ordersCount { count } }", 10, 10),
        ('{ orders(first: 250, query: "id:1") { nodes { id } } }', 13, 2),
        (
            """query($n: Int = 100) { orders(first: $n) { nodes { ...f } } }
            fragment f on Order { customer { id } }""",
            20,
            18,
        ),
        ("{ orders(first: 10) { nodes { id customer @skip(if: true) { id } } } }", 6, 6),
    ],
)
def test_the_cost_follows_the_formula(server: ShopifyServer, query: str, requested: int, actual: int) -> None:
    cost = post(server, query).json()["extensions"]["cost"]

    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (requested, actual)


def test_the_bucket_pays_and_restores_over_time(server: ShopifyServer, clock: Clock) -> None:
    query = "{ orders(first: 100) { nodes { id } } }"
    paid = post(server, query).json()["extensions"]["cost"]
    clock.now += 0.05
    later = post(server, "{ shop { id } }").json()["extensions"]["cost"]["throttleStatus"]

    assert paid == {
        "requestedQueryCost": 11,
        "actualQueryCost": 10,
        "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 1990, "restoreRate": 100.0},
    }
    assert later["currentlyAvailable"] == 1990 + 5 - 1


def test_an_empty_bucket_throttles_and_waiting_helps(clock: Clock) -> None:
    bucket = TokenBucket(capacity=20, restore_rate=5, clock=clock)
    with ShopifyServer(orders=60, bucket=bucket) as server:
        query = "{ orders(first: 250) { nodes { id } } }"
        ask(server, query)
        refused = post(server, query)
        clock.now += 1
        served = post(server, query).json()

    assert (refused.status_code, refused.json()) == (
        200,
        {
            "errors": [
                {
                    "message": "Throttled",
                    "extensions": {
                        "code": "THROTTLED",
                        "documentation": "https://shopify.dev/api/usage/rate-limits",
                    },
                }
            ],
            "extensions": {
                "cost": {
                    "requestedQueryCost": 13,
                    "actualQueryCost": None,
                    "throttleStatus": {
                        "maximumAvailable": 20.0,
                        "currentlyAvailable": 10,
                        "restoreRate": 5.0,
                    },
                }
            },
        },
    )
    assert len(served["data"]["orders"]["nodes"]) == 60


def test_a_query_above_a_thousand_points_never_runs(server: ShopifyServer) -> None:
    query = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { product { variants(first: 250)"
    found = errors(server, query + " { nodes { id } } } } } } } }")

    assert found[0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert found[0]["extensions"]["cost"] == 2 + 11 * (1 + 2 + 11 * (1 + 1 + 2 + 11))


# ---- faults


def test_a_fault_hits_as_often_as_it_was_told_and_counts(server: ShopifyServer) -> None:
    rule = server.faults.add(Fault.status(429, retry_after=1), times=2)
    responses = [post(server, "{ shop { id } }") for _ in range(3)]

    assert [response.status_code for response in responses] == [429, 429, 200]
    assert [response.headers.get("Retry-After") for response in responses] == ["1", "1", None]
    assert rule.fired == 2


def test_a_fault_chooses_the_nth_request_or_a_root_field(server: ShopifyServer) -> None:
    server.faults.add(Fault.status(500), nth=2)
    server.faults.add(Fault.status(502), root="orders", times=None)
    shop = [post(server, "{ shop { id } }").status_code for _ in range(3)]
    orders = [post(server, IDS, first=1).status_code for _ in range(2)]

    assert (shop, orders) == ([200, 500, 200], [502, 502])


@pytest.mark.parametrize("status", [402, 404, 423, 500, 502, 503])
def test_any_status_can_be_had(server: ShopifyServer, status: int) -> None:
    server.faults.add(Fault.status(status))

    assert post(server, "{ shop { id } }").status_code == status


@pytest.mark.parametrize("where", ["start", "headers", "body"])
def test_a_connection_can_be_cut(server: ShopifyServer, where: str) -> None:
    server.faults.add(Fault.cut(where))

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        post(server, "{ shop { id } }")
    assert ask(server, "{ shop { name } }") == {"shop": {"name": "Acme"}}


@pytest.mark.parametrize("fault", [Fault.html(), Fault.truncated_json()])
def test_a_body_can_be_no_json(server: ShopifyServer, fault: Fault) -> None:
    server.faults.add(fault)
    response = post(server, "{ shop { id } }")

    assert response.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()


def test_a_redirect_points_elsewhere(server: ShopifyServer) -> None:
    server.faults.add(Fault.redirect("http://127.0.0.1:9/elsewhere"))
    response = post(server, "{ shop { id } }")

    assert (response.status_code, response.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.internal_error(), "INTERNAL_SERVER_ERROR"),
        (Fault.throttled(), "THROTTLED"),
        (Fault.graphql_error("ACCESS_DENIED", "Access denied for orders field."), "ACCESS_DENIED"),
    ],
)
def test_an_error_can_come_as_200(server: ShopifyServer, fault: Fault, expected: str) -> None:
    server.faults.add(fault)

    assert code(server, "{ shop { id } }") == expected


def test_an_answer_can_be_late(server: ShopifyServer) -> None:
    server.faults.add(Fault.slow(0.2))
    start = time.monotonic()
    ask(server, "{ shop { id } }")

    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize(("length", "expected"), [(1, [0, 0, 0, 0, 0]), (2, [0, 1, 0, 1, 0])])
def test_cursors_can_go_round_in_circles(server: ShopifyServer, length: int, expected: list[int]) -> None:
    server.faults.add(Fault.repeated_cursor(length), times=None)
    cursors: list[str] = []
    for _ in range(5):
        info = ask(server, IDS, first=10, after=cursors[-1] if cursors else None)["orders"]["pageInfo"]
        assert info["hasNextPage"]
        cursors.append(info["endCursor"])

    assert [cursors.index(cursor) for cursor in cursors] == expected


def test_a_nested_cursor_can_be_null_with_more_to_come(server: ShopifyServer) -> None:
    server.faults.add(Fault.null_cursor(connection="lineItems"))
    query = "{ orders(first: 2) { nodes { lineItems(first: 1) { pageInfo { hasNextPage endCursor } } }"
    found = ask(server, query + " pageInfo { hasNextPage endCursor } } }")["orders"]

    assert [row["lineItems"]["pageInfo"] for row in found["nodes"]] == [
        {"hasNextPage": True, "endCursor": None}
    ] * 2
    assert found["pageInfo"]["endCursor"]


# ---- the record, changes, and life as a process


def test_requests_are_on_record(server: ShopifyServer) -> None:
    post(server, IDS, first=1)
    record = server.requests[-1]

    assert (record.path, record.root_fields, record.status, record.points) == (
        "/admin/api/2026-10/graphql.json",
        ("orders",),
        200,
        3,
    )
    assert record.variables == {"first": 1}
    assert record.headers["x-shopify-access-token"] == TOKEN


def test_changes_move_the_update_to_the_clock(server: ShopifyServer) -> None:
    store = server.store
    touched, added = store.touch_orders(3), store.add_order()
    gone = next(gid for gid in store.ids("orders") if gid not in {*touched, added})
    store.delete_order(gone)
    since = "updated_at:>='2026-02-01T00:00:00Z'"
    found = [row for page in pages(server, 50, since) for row in page]

    assert found == [
        *({"id": gid, "updatedAt": "2026-02-01T00:00:01Z"} for gid in sorted(touched)),
        {"id": added, "updatedAt": "2026-02-01T00:00:02Z"},
    ]
    assert gone not in store.ids("orders")


def test_a_variant_moves_its_product(server: ShopifyServer) -> None:
    product = server.store.rows("products")[0]
    server.store.advance(60)
    server.store.update(product["variants"][0]["id"], price="1.23")

    assert product["updatedAt"] == product["variants"][0]["updatedAt"] == "2026-02-01T00:01:01Z"


def test_another_process_can_change_the_shop_and_break_it(server: ShopifyServer) -> None:
    control = f"{server.url}/_emulator"
    changed = requests.post(f"{control}/touch", json={"orders": 3, "new_orders": 2}, timeout=10).json()
    fault = {"fault": "status", "arguments": {"code": 503}, "root": "shop"}
    broken = requests.post(f"{control}/faults", json=fault, timeout=10).json()
    truth = requests.get(f"{control}/truth", timeout=10).json()
    refused = requests.post(f"{control}/touch", json={"colours": 3}, timeout=10)

    assert (len(changed["orders"]), changed["new_orders"]) == (3, server.store.ids("orders")[-2:])
    assert broken == {"faults": 1}
    assert post(server, "{ shop { id } }").status_code == 503
    assert truth["orders"] == {"count": 62, "ids": server.store.ids("orders")}
    assert (refused.status_code, refused.json()) == (400, {"errors": "ValueError: unknown: colours"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_by_itself_until_a_signal(number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.emulators.shopify",
        "--orders",
        "5",
        "--shop",
        "solo.myshopify.com",
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout
        facts = json.loads(process.stdout.readline())
        headers = {"X-Shopify-Access-Token": facts["token"]}
        body = {"query": "{ shop { myshopifyDomain } }"}
        url = f"{facts['url']}/admin/api/2026-10/graphql.json"
        answer = requests.post(url, json=body, headers=headers, timeout=10).json()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)

    assert answer["data"] == {"shop": {"myshopifyDomain": facts["shop"]}}
    how, shop_json = err.splitlines()
    domain = facts["url"].removeprefix("http://")
    assert (process.returncode, out, facts["url"] in how) == (0, "", True)
    assert json.loads(shop_json.removeprefix("For shop.json: ")) == {
        "shop_domain": domain,
        "access_token": facts["token"],
    }


def test_it_stops_while_a_client_keeps_its_connection_and_another_waits() -> None:
    with requests.Session() as session:
        with ShopifyServer(orders=1) as server:
            session.get(f"{server.url}/_emulator/truth", timeout=10)
            start = time.monotonic()

        assert time.monotonic() - start < 2

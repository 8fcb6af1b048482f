"""How the emulator's tests ask it: over real HTTP, as a tap would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from tests.emulators.shopify import ShopifyServer, Store

TOKEN = "shpat_test"  # noqa: S105 - opens the emulator only
IDS = """
query Ids($first: Int, $after: String, $query: String) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { id updatedAt }
    pageInfo { hasNextPage endCursor }
  }
}
"""


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self.now


def post(
    server: ShopifyServer, query: str, /, version: str = "2026-10", **variables: Any
) -> requests.Response:
    """Send a document with the good token and return whatever comes back."""
    return requests.post(
        f"{server.url}/admin/api/{version}/graphql.json",
        json={"query": query, "variables": variables},
        headers={"X-Shopify-Access-Token": server.token},
        allow_redirects=False,
        timeout=10,
    )


def ask(server: ShopifyServer, query: str, /, **variables: Any) -> Any:
    """Return the data of a document that must succeed."""
    body = post(server, query, **variables).json()
    assert "errors" not in body, body["errors"]
    return body["data"]


def errors(server: ShopifyServer, query: str, /, **variables: Any) -> list[dict[str, Any]]:
    """Return the errors of a document that must fail as Shopify does: 200 and no data."""
    response = post(server, query, **variables)
    body = response.json()
    assert (response.status_code, body.get("data")) == (200, None)
    return list(body["errors"])


def code(server: ShopifyServer, query: str, /, **variables: Any) -> str:
    """Return the code of the first error of a document that must fail."""
    return str(errors(server, query, **variables)[0]["extensions"]["code"])


def pages(server: ShopifyServer, first: int, query: str | None = None) -> Iterator[list[dict[str, Any]]]:
    """Yield the pages of a search over orders, oldest change first."""
    after = None
    while True:
        found = ask(server, IDS, first=first, after=after, query=query)["orders"]
        yield found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            return
        after = found["pageInfo"]["endCursor"]


def by_update(store: Store) -> list[dict[str, Any]]:
    """Return the truth that `pages` must tell."""
    rows = sorted(store.rows("orders"), key=lambda row: (row["updatedAt"], row["id"]))
    return [{"id": row["id"], "updatedAt": row["updatedAt"]} for row in rows]

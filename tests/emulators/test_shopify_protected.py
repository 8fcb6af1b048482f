"""Customers' data that an app is not approved for, as Shopify's answers have it."""

from __future__ import annotations

from tests.emulators.asking import post
from tests.emulators.shopify import ShopifyServer


def test_customers_data_that_an_app_is_not_approved_for_is_null_with_an_error_beside_the_data() -> None:
    """As Shopify answers: the data comes, each denied field is null and has an error with its path."""
    with ShopifyServer(orders=1, customers=1, products=1) as server:
        server.store.protected = {"Order.email", "Customer"}
        found = post(server, "{ orders(first: 1) { nodes { id name email buyer: customer { id } } } }").json()

    (node,) = found["data"]["orders"]["nodes"]
    assert node["name"] is not None
    assert (node["email"], node["buyer"]) == (None, None)
    said = {tuple(one["path"]): (one["message"][:50], one["extensions"]["code"]) for one in found["errors"]}
    assert said == {
        ("orders", "nodes", 0, "email"): (
            "This app is not approved to use the email field. S",
            "ACCESS_DENIED",
        ),
        ("orders", "nodes", 0, "buyer"): (
            "This app is not approved to access the Customer ob",
            "ACCESS_DENIED",
        ),
    }

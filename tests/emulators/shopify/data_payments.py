"""What followed an order: its payment, its refund, its parcel."""

from __future__ import annotations

from typing import Any

from tests.emulators.shopify.refs import Ref, gid

Row = dict[str, Any]


def payments(order: Ref, index: int, at: tuple[str, str], money: Row, lines: list[Row]) -> Row:
    """Return the transactions and refunds behind the totals; `at` is when the order was made and changed."""
    created, updated = at
    nothing = "0.0"
    paid, back = money["totalReceivedSet"], money["totalRefundedSet"]
    sale = transaction(order, index * 4, "SALE", created, paid)
    refund = transaction(order, index * 4 + 1, "REFUND", updated, back) | {"parentTransaction": sale}
    refunded = back["shopMoney"]["amount"] != nothing
    return {
        "transactions": [sale, refund][: 1 + refunded] if paid["shopMoney"]["amount"] != nothing else [],
        "refunds": [
            {
                "id": gid("Refund", 990_000_000_000 + index),
                "order": order,
                "createdAt": updated,
                "updatedAt": updated,
                "processedAt": updated,
                "note": None,
                "totalRefundedSet": back,
                "transactions": [refund],
                "refundLineItems": [
                    {
                        "id": gid("RefundLineItem", 880_000_000_000 + index),
                        "lineItem": Ref(lines[0]["id"]),
                        "quantity": 1,
                        "restockType": "NO_RESTOCK",
                        "restocked": False,
                        "subtotalSet": back,
                    }
                ],
            }
        ]
        if refunded
        else [],
    }


def transaction(order: Ref, number: int, kind: str, moment: str, amount: Row) -> Row:
    """Return money that moved."""
    return {
        "id": gid("OrderTransaction", 6_600_000_000_000 + number),
        "order": order,
        "kind": kind,
        "status": "SUCCESS",
        "createdAt": moment,
        "processedAt": moment,
        "gateway": "shopify_payments",
        "test": False,
        "amountSet": amount,
    }


def fulfillment(order: Ref, index: int, moment: str, lines: list[Row]) -> Row:
    """Return the parcel of an order that was sent."""
    number = f"00340434{index:012d}"
    return {
        "id": gid("Fulfillment", 5_100_000_000_000 + index),
        "order": order,
        "name": f"#{1000 + index}-F1",
        "createdAt": moment,
        "updatedAt": moment,
        "status": "SUCCESS",
        "displayStatus": "DELIVERED",
        "totalQuantity": sum(line["quantity"] for line in lines),
        "requiresShipping": True,
        "trackingInfo": [{"company": "DHL", "number": number, "url": f"https://track.example.com/{number}"}],
    }

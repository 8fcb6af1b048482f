"""Seeded orders with their line items: guests, refunds, cancellations, discounts, currencies, big carts."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.emulators.shopify.data_payments import fulfillment, payments
from tests.emulators.shopify.data_people import address
from tests.emulators.shopify.money import RATES, SHOP_CURRENCY, bag
from tests.emulators.shopify.refs import Ref, gid, times

Row = dict[str, Any]

# Orders whose line items fill more than one nested page; every 97th has many, too.
MANY_LINE_ITEMS = {2: 120, 3: 60}
VAT = 0.19
TAGS = ("gift", "rush", "b2b", "über", "fraud-check")


def order(source: Random, index: int, customers: list[Row], products: list[Row]) -> Row:
    """Return the order of an index over the given customers and products."""
    created, updated = times(source, index)
    number = 5_500_000_000_000 + index * 1_024
    buyer = source.choice(customers) if customers and index % 6 else None
    currency = sorted(RATES)[index % len(RATES)] if index % 2 else SHOP_CURRENCY
    discounted = index % 4 == 0
    count = MANY_LINE_ITEMS.get(index, 75 if index % 97 == 0 else source.randrange(1, 6))
    lines = [
        line_item(source, (index, place), products, currency, discounted=discounted) for place in range(count)
    ]
    cancelled = index % 13 == 0
    closed = cancelled or index % 3 == 0
    email = buyer["email"] if buyer else f"guest{index}@example.com" if index % 12 else None
    first, last = (
        ((buyer["firstName"] or "Guest"), (buyer["lastName"] or "Guest")) if buyer else ("Guest", "Guest")
    )
    shipping = shipping_line(index, currency) if index % 5 else None
    return {
        "id": gid("Order", number),
        "name": f"#{1000 + index}",
        "number": 1000 + index,
        "createdAt": created,
        "updatedAt": updated,
        "processedAt": created,
        "cancelledAt": updated if cancelled else None,
        "cancelReason": ("CUSTOMER", "INVENTORY", "FRAUD")[index % 3] if cancelled else None,
        "closed": closed,
        "closedAt": updated if closed else None,
        "confirmationNumber": f"C{number % 10**8:08X}",
        "confirmed": True,
        "test": index % 50 == 0,
        "edited": index % 20 == 0,
        "email": email,
        "phone": None,
        "note": 'Leave at the door 🚪\nsecond line\t"quoted"' if index % 7 == 0 else None,
        "poNumber": f"PO-{index:06d}" if index % 10 == 0 else None,
        "tags": sorted(source.sample(TAGS, index % 3)),
        "clientIp": f"192.0.2.{index % 250 + 1}" if index % 3 else None,
        "customerLocale": ("en", "de", "fr-CA", None)[index % 4],
        "sourceName": ("web", "pos", "580111")[index % 3],
        "sourceIdentifier": None,
        "registeredSourceUrl": None,
        "app": {"id": gid("OrderApp", 580_111), "name": "Online Store"} if index % 3 == 0 else None,
        "customer": Ref(buyer["id"]) if buyer else None,
        "customerAcceptsMarketing": index % 2 == 0,
        **states(index, cancelled=cancelled),
        "currencyCode": SHOP_CURRENCY,
        "presentmentCurrencyCode": currency,
        "taxesIncluded": index % 2 == 0,
        "requiresShipping": shipping is not None,
        "discountCodes": ["WELCOME10"] if discounted else [],
        "discountCode": "WELCOME10" if discounted else None,
        "customAttributes": custom_attributes(index),
        "billingAddress": address(source, index * 2, first, last) if index % 8 else None,
        "shippingAddress": address(source, index * 2 + 1, first, last) if shipping else None,
        "lineItems": lines,
        "shippingLine": shipping,
        "shippingLines": [shipping] if shipping else [],
        "discountApplications": [DISCOUNT] if discounted else [],
        **(money := totals(index, lines, shipping, currency, cancelled=cancelled)),
        **payments(Ref(gid("Order", number)), index, (created, updated), money, lines),
        "fulfillments": [fulfillment(Ref(gid("Order", number)), index, updated, lines)]
        if index % 3 == 0
        else [],
    }


DISCOUNT = {
    "__typename": "DiscountCodeApplication",
    "index": 0,
    "code": "WELCOME10",
    "allocationMethod": "ACROSS",
    "targetSelection": "ALL",
    "targetType": "LINE_ITEM",
    "value": {"__typename": "PricingPercentageValue", "percentage": 10.0},
}


def states(index: int, *, cancelled: bool) -> Row:
    """Return where an order stands: paid or not, sent or not, refunded or not."""
    paid = index % 11 != 0
    refunded = cancelled or index % 9 == 0
    return {
        "displayFinancialStatus": ("REFUNDED" if cancelled else "PARTIALLY_REFUNDED" if refunded else "PAID")
        if paid
        else "PENDING",
        "displayFulfillmentStatus": "FULFILLED" if index % 3 == 0 else "UNFULFILLED",
        "returnStatus": "NO_RETURN",
        "fulfillable": index % 3 != 0,
        "fullyPaid": paid,
        "unpaid": not paid,
        "paymentGatewayNames": ["shopify_payments"] if paid else [],
    }


def custom_attributes(index: int) -> list[Row]:
    """Return what the storefront attached to an order or a line: often nothing, sometimes a value of null."""
    if index % 4:
        return []
    return [{"key": "gift_note", "value": "¡Feliz cumpleaños, Zoë! 🎂"}, {"key": "utm source", "value": None}]


def tax(cents: int, currency: str) -> Row:
    """Return a tax line over an amount of euro cents."""
    return {
        "title": "MwSt",
        "rate": VAT,
        "ratePercentage": VAT * 100,
        "source": "shopify",
        "channelLiable": False,
        "priceSet": bag(round(cents * VAT), currency),
    }


def line_item(
    source: Random, at: tuple[int, int], products: list[Row], currency: str, *, discounted: bool
) -> Row:
    """Return the line of an order at (order's index, place); every eighth one's product is gone."""
    index, place = at
    product = source.choice(products) if products and (index + place) % 8 else None
    variant = source.choice(product["variants"]) if product else None
    title = product["title"] if product else "Discontinued thing"
    cents = round(float(variant["price"]) * 100) if variant else 1_995
    quantity = source.randrange(1, 5)
    off = round(cents * 0.1) if discounted else 0
    return {
        "id": gid("LineItem", 14_000_000_000_000 + index * 1_000 + place),
        "name": f"{title} - {variant['title']}" if variant else title,
        "title": title,
        "variantTitle": variant["title"] if variant else None,
        "sku": variant["sku"] if variant else None,
        "vendor": product["vendor"] if product else None,
        "product": Ref(product["id"]) if product else None,
        "variant": Ref(variant["id"]) if variant else None,
        "quantity": quantity,
        "currentQuantity": quantity,
        "unfulfilledQuantity": 0 if index % 3 == 0 else quantity,
        "refundableQuantity": quantity,
        "nonFulfillableQuantity": 0,
        "isGiftCard": False,
        "requiresShipping": True,
        "taxable": True,
        "originalUnitPriceSet": bag(cents, currency),
        "discountedUnitPriceSet": bag(cents, currency),
        "discountedUnitPriceAfterAllDiscountsSet": bag(cents - off, currency),
        "originalTotalSet": bag(cents * quantity, currency),
        "discountedTotalSet": bag(cents * quantity, currency),
        "totalDiscountSet": bag(0, currency),
        "customAttributes": custom_attributes(place + 1),
        "taxLines": [tax((cents - off) * quantity, currency)],
        "discountAllocations": [
            {"discountApplication": DISCOUNT, "allocatedAmountSet": bag(off * quantity, currency)}
        ]
        if off
        else [],
    }


def shipping_line(index: int, currency: str) -> Row:
    """Return how an order is sent."""
    return {
        "id": gid("ShippingLine", 4_400_000_000_000 + index),
        "title": "Standard → door, 3-5 days",
        "code": "standard",
        "source": "shopify",
        "carrierIdentifier": None,
        "deliveryCategory": None,
        "custom": False,
        "isRemoved": False,
        "phone": None,
        "originalPriceSet": bag(490, currency),
        "discountedPriceSet": bag(490, currency),
        "currentDiscountedPriceSet": bag(490, currency),
        "taxLines": [tax(490, currency)],
        "discountAllocations": [],
    }


def cents_of(money: Row) -> int:
    """Return the euro cents of a `MoneyBag`."""
    return round(float(money["shopMoney"]["amount"]) * 100)


def totals(index: int, lines: list[Row], shipping: Row | None, currency: str, *, cancelled: bool) -> Row:
    """Return an order's money, summed over its lines; what is `current` is zero once it is cancelled."""
    gross = sum(cents_of(line["originalTotalSet"]) for line in lines)
    off = sum(
        cents_of(share["allocatedAmountSet"]) for line in lines for share in line["discountAllocations"]
    )
    sent = cents_of(shipping["originalPriceSet"]) if shipping else 0
    taxed = sum(
        cents_of(line["priceSet"]) for row in [*lines, *filter(None, [shipping])] for line in row["taxLines"]
    )
    total = gross - off + sent + taxed
    paid = total if index % 11 else 0
    refunded = paid if cancelled else min(paid, 500) if index % 9 == 0 else 0
    left = 0 if cancelled else 1
    units = sum(line["quantity"] for line in lines)
    amounts = {
        "subtotalPriceSet": gross - off,
        "totalDiscountsSet": off,
        "totalShippingPriceSet": sent,
        "totalTaxSet": taxed,
        "totalPriceSet": total,
        "originalTotalPriceSet": total,
        "totalTipReceivedSet": 0,
        "totalReceivedSet": paid,
        "totalRefundedSet": refunded,
        "totalRefundedShippingSet": 0,
        "totalOutstandingSet": (total - paid) * left,
        "totalCapturableSet": 0,
        "netPaymentSet": paid - refunded,
        "currentSubtotalPriceSet": (gross - off) * left,
        "currentTotalDiscountsSet": off * left,
        "currentTotalTaxSet": taxed * left,
        "currentTotalPriceSet": total * left,
    }
    return {
        **{name: bag(cents, currency) for name, cents in amounts.items()},
        "taxLines": [tax(gross - off + sent, currency)],
        "subtotalLineItemsQuantity": units,
        "currentSubtotalLineItemsQuantity": units * left,
        "totalWeight": str(units * 250),
        "currentTotalWeight": str(units * 250 * left),
    }

"""Money as Shopify writes it: `Decimal` with at least one digit behind the point, `Money` with two."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

SHOP_CURRENCY = "EUR"
# Units of the presentment currency for one euro, fixed for ever: the data must not change from day to day.
RATES = {"EUR": 1.0, "GBP": 0.85, "JPY": 160.0, "USD": 1.08}


def decimal_text(amount: float) -> str:
    """Return an amount in the form of the scalar `Decimal`: `19.99`, `19.9`, `20.0`."""
    return str(round(amount, 2))


def money_text(amount: str) -> str:
    """Return an amount in the form of the scalar `Money`: `19.90`."""
    return f"{float(amount):.2f}"


@lru_cache(maxsize=65_536)
def bag(cents: int, currency: str) -> dict[str, Any]:
    """Return a `MoneyBag`: an amount of euro cents in the shop's currency and in the buyer's.

    Equal amounts share one dict, which nobody changes: most of a seeded order is money.
    """
    presented = cents * RATES[currency] / 100
    amount = float(round(presented)) if currency == "JPY" else presented
    return {
        "shopMoney": {"amount": decimal_text(cents / 100), "currencyCode": SHOP_CURRENCY},
        "presentmentMoney": {"amount": decimal_text(amount), "currencyCode": currency},
    }

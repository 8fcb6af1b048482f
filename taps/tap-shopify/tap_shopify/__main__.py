"""`python -m tap_shopify` is `tap-shopify`."""

from tap_shopify.tap import TapShopify

TapShopify.cli()

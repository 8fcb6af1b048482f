"""Singer tap for Shopify."""

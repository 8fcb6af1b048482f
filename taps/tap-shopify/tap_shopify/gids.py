"""Shopify's global ids in; the number and the GraphQL type in them out.

Source: Shopify, "Global IDs in Shopify APIs".
"""


def number_of(gid: str) -> int | None:
    """Return the number in a gid: 7 in `gid://shopify/Order/7`, also where parameters follow it.

    None where there is none: a few types have other ids.
    """
    tail = gid.rpartition("/")[2]
    if tail.isdecimal():
        return int(tail)
    number = tail.partition("?")[0]
    return int(number) if number.isdecimal() else None


def type_of(gid: str) -> str:
    """Return the GraphQL type in a gid: `Order` in `gid://shopify/Order/7`."""
    return gid.split("/")[3]

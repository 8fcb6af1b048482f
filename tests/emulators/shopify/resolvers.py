"""Resolvers for every field of the schema, driven by the schema and by plain dicts.

A field answers with what the row holds under its name. What the row does not hold is made from the type, and
stays (`made`): a document of any kept field gets an answer of the right shape. The few fields that ask the
store stand in `ASKED`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from graphql import (
    GraphQLAbstractType,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    get_named_type,
    is_non_null_type,
    is_object_type,
)

from tests.emulators.shopify import shopifyql
from tests.emulators.shopify.connections import PageArguments, connection, sort_column
from tests.emulators.shopify.data_stock import levels, quantities
from tests.emulators.shopify.errors import JSONObject, bad_request
from tests.emulators.shopify.made import is_connection, node_type
from tests.emulators.shopify.money import decimal_text, money_text
from tests.emulators.shopify.scopes import may_see
from tests.emulators.shopify.search import fields_of, read_search
from tests.emulators.shopify.store import Ref, Store

Row = dict[str, Any]
Resolver = Callable[..., Any]
Info: TypeAlias = "GraphQLResolveInfo[Context]"

COUNTS_TO = 10_000
"""Where a count stops that takes no limit; of the others the schema says it."""
NEWEST_FIRST = frozenset({"bulkOperations"})


@dataclass
class Context:
    """What one request carries to its resolvers, and what they leave for its `extensions`."""

    store: Store
    searches: list[JSONObject] = field(default_factory=list)


def attach_resolvers(schema: GraphQLSchema) -> None:
    """Give every field of every type its resolver; decisions about types are made here, not per row."""
    for kind in schema.type_map.values():
        if is_object_type(kind) and not kind.name.startswith("__"):
            for name, definition in kind.fields.items():
                if is_connection(definition):
                    at_root = kind is schema.query_type
                    asked = table(name) if at_root else nested(kind.name, name, node_type(definition))
                    ASKED.setdefault((kind.name, name), asked)
                if kind is schema.query_type and name.endswith("Count"):
                    ASKED.setdefault((kind.name, name), counted(name.removesuffix("Count")))
                definition.resolve = resolver(kind, name, definition)


def resolve_type(value: Row, _info: Info, abstract: GraphQLAbstractType) -> str:
    """Return the type of a row behind an interface or union: it says so, or its global id does."""
    if "__typename" in value:
        return str(value["__typename"])
    if str(value.get("id", "")).startswith("gid://shopify/"):
        return str(value["id"]).split("/")[3]
    raise TypeError(f"a row of {abstract.name} does not tell its type")


def resolver(owner: GraphQLObjectType, name: str, definition: GraphQLField) -> Resolver:
    """Return the resolver of one field."""
    asked = ASKED.get((owner.name, name))
    if get_named_type(definition.type).name.endswith("Connection"):
        return connection_resolver(name, asked, node_type(definition))
    if asked is not None:
        return lambda source, info, **arguments: asked(info.context, source, arguments)
    required = is_non_null_type(definition.type)
    limited = "first" in definition.args

    def resolve(source: Row, info: Info, first: int | None = None, **_: object) -> object:
        value = source.get(name)
        if value is None and (required or name not in source):
            value = missing(info.context.store, definition.type, name, source)
        if type(value) is Ref:
            return info.context.store.get(value.gid)
        return value[:first] if limited and isinstance(value, list) else value

    return resolve


def connection_resolver(name: str, asked: Resolver | None, kind: GraphQLNamedType) -> Resolver:
    """Return the resolver of a connection: rows of the store or of the row itself, searched, sorted, cut."""

    def resolve(source: Row | None, info: Info, **arguments: Any) -> Row:
        page = PageArguments.of(arguments)
        if name in NEWEST_FIRST:
            page = replace(page, reverse=not page.reverse)
        path = [str(step) for step in info.path.as_list()]
        rows = found(name, asked, info.context, source, arguments, path)
        column = sort_column(page.sort_key)
        if is_object_type(kind) and column in kind.fields:
            for row in rows:  # what is made when it is first asked for is asked for now
                if column not in row:
                    missing(info.context.store, kind.fields[column].type, column, row)
        return connection(rows, page, info.context.store.longest_list)

    return resolve


def found(
    name: str, asked: Resolver | None, context: Context, source: Row | None, arguments: Row, path: list[str]
) -> list[Row]:
    """Return the rows of a connection: of the store or of the row itself, searched."""
    rows: list[Row] = asked(context, source, arguments) if asked else (source or {}).get(name) or []
    query = arguments.get("query")
    if query and fields_of(name):
        search = read_search(query, name)
        context.searches.append(search.extension(path))
        rows = [row for row in rows if search.matches(row)]
    return rows


def missing(store: Store, kind: GraphQLOutputType, name: str, source: Row) -> object:
    """Return what stands for a value that the data does not hold.

    The numeric id and the older, plain forms of a money field follow from their neighbours; others are made.
    """
    if name == "legacyResourceId":
        return str(source.get("id", "0")).rsplit("/", 1)[-1]
    bag = source.get(f"{name.removesuffix('V2')}Set")
    named = get_named_type(kind).name
    if bag and named == "Money":
        return money_text(bag["shopMoney"]["amount"])
    if bag and named == "MoneyV2":
        return bag["shopMoney"]
    return store.maker.value(store, source, name, kind)


def node(context: Context, _source: object, arguments: Row) -> Row | None:
    """Return the row of a global id; None for one that does not exist (any more)."""
    gid = arguments["id"]
    if not gid.startswith("gid://shopify/"):
        raise bad_request(f"Invalid global id '{gid}'")
    return context.store.get(gid)


def only(kind: str) -> Resolver:
    """Return the lookup of one type: a global id of another finds nothing."""

    def resolve(context: Context, source: object, arguments: Row) -> Row | None:
        return node(context, source, arguments) if f"/{kind}/" in arguments["id"] else None

    return resolve


def table(name: str) -> Resolver:
    """Return the lookup of all rows of a table."""
    return lambda context, _source, _arguments: context.store.rows(name)


def nested(owner: str, name: str, kind: GraphQLNamedType) -> Resolver:
    """Return the lookup of the rows of a connection below the root."""
    return lambda context, source, _arguments: context.store.maker.rows(
        context.store, source, owner, name, kind
    )


def counted(name: str) -> Resolver:
    """Return the count of a table's rows that a search finds, exact up to the limit."""

    def resolve(context: Context, _source: object, arguments: Row) -> Row:
        query = arguments.get("query")
        rows = context.store.rows(name)
        if query:
            search = read_search(query, name)
            context.searches.append(search.extension([f"{name}Count"]))
            rows = [row for row in rows if search.matches(row)]
        limit = arguments.get("limit", COUNTS_TO) or len(rows)
        if len(rows) > limit:
            return {"count": limit, "precision": "AT_LEAST"}
        return {"count": len(rows), "precision": "EXACT"}

    return resolve


def fulfillment_orders(context: Context, _source: object, _arguments: object) -> list[Row]:
    """Return the fulfillment orders that the scopes show; the others are left out without a word."""
    return [row for row in context.store.rows("fulfillmentOrders") if may_see(row, context.store.scopes)]


def orders_of(context: Context, customer: Row, _arguments: object = None) -> list[Row]:
    """Return the orders of a customer, oldest first."""
    return context.store.orders_of(customer["id"])


def amount_spent(context: Context, customer: Row, _arguments: object) -> Row:
    """Return what a customer's orders came to in the shop's currency."""
    amounts = [order["totalPriceSet"]["shopMoney"]["amount"] for order in orders_of(context, customer)]
    return {"amount": decimal_text(sum(map(float, amounts))), "currencyCode": context.store.currency}


ASKED: dict[tuple[str, str], Resolver] = {
    ("QueryRoot", "currentAppInstallation"): lambda context, _source, _arguments: {
        "id": "gid://shopify/AppInstallation/90000000001",
        "accessScopes": [{"handle": scope, "description": ""} for scope in sorted(context.store.scopes)],
    },
    ("QueryRoot", "shop"): lambda context, _source, _arguments: context.store.shop,
    ("QueryRoot", "node"): node,
    ("QueryRoot", "nodes"): lambda context, source, arguments: [
        node(context, source, {"id": gid}) for gid in arguments["ids"]
    ],
    ("QueryRoot", "shopifyPaymentsAccount"): lambda context, _source, _arguments: context.store.payments,
    ("QueryRoot", "discountNode"): node,
    ("QueryRoot", "fulfillmentOrders"): fulfillment_orders,
    ("QueryRoot", "shopifyqlQuery"): lambda context, _source, arguments: shopifyql.answer(
        context.store, arguments["query"]
    ),
    ("InventoryLevel", "quantities"): lambda context, level, arguments: quantities(
        context.store, level, arguments["names"]
    ),
    ("Location", "inventoryLevels"): lambda context, location, _arguments: levels(context.store, location),
    ("QueryRoot", "order"): only("Order"),
    ("QueryRoot", "customer"): only("Customer"),
    ("QueryRoot", "product"): only("Product"),
    ("QueryRoot", "productVariant"): only("ProductVariant"),
    **{("QueryRoot", name): table(name) for name in ("orders", "customers", "products", "productVariants")},
    **{("Shop", name): table(name) for name in ("orders", "customers", "products", "productVariants")},
    **{("QueryRoot", f"{name}Count"): counted(name) for name in ("orders", "customers", "products")},
    ("Customer", "orders"): orders_of,
    ("Customer", "lastOrder"): lambda context, customer, _arguments: max(
        orders_of(context, customer), key=lambda order: order["createdAt"], default=None
    ),
    ("Customer", "numberOfOrders"): lambda context, customer, _arguments: str(
        len(orders_of(context, customer))
    ),
    ("Customer", "amountSpent"): amount_spent,
    ("QueryRoot", "bulkOperation"): only("BulkOperation"),
    ("QueryRoot", "bulkOperations"): lambda context, _source, _arguments: context.store.bulk.rows(),
    ("Mutation", "bulkOperationRunQuery"): lambda context, _source, arguments: context.store.bulk.run(
        arguments["query"], is_grouped=arguments["groupObjects"]
    ),
    ("Mutation", "bulkOperationCancel"): lambda context, _source, arguments: context.store.bulk.cancel(
        arguments["id"]
    ),
}

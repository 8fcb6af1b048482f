"""A document, what was granted and what is protected; out come the refusals, in Shopify's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    visit,
)

from tests.emulators.shopify.errors import JSONObject

ACCESS_FILE = Path(__file__).with_name("access.json")
DOCUMENTATION = "https://shopify.dev/api/usage/access-scopes"


@cache
def required() -> dict[str, list[str]]:
    """Return what each type and each field (`Type.field`) requires."""
    table: dict[str, list[str]] = {}
    for requirement, names in json.loads(ACCESS_FILE.read_text(encoding="utf-8")).items():
        for name in names:
            table.setdefault(name, []).append(requirement)
    return table


@cache
def every_scope() -> frozenset[str]:
    """Return every scope there is."""
    alternatives = (text.split("|") for texts in required().values() for text in texts)
    return frozenset({scope for scopes in alternatives for scope in scopes}) | {"read_all_orders"}


KINDS_OF_LOCATIONS = ("merchant_managed", "third_party", "assigned", "marketplace")


def may_see(fulfillment_order: JSONObject, granted: set[str]) -> bool:
    """Tell whether the scopes show a fulfillment order, which goes to a location of one kind."""
    kind = KINDS_OF_LOCATIONS[int(fulfillment_order["id"].rsplit("/", 1)[-1]) % len(KINDS_OF_LOCATIONS)]
    return not granted.isdisjoint(f"{verb}_{kind}_fulfillment_orders" for verb in ("read", "write"))


def refusals(schema: GraphQLSchema, document: DocumentNode, granted: set[str]) -> list[JSONObject]:
    """Return an error for each field that the scopes do not open."""
    info = TypeInfo(schema)
    found: list[JSONObject] = []
    have = granted | {scope.replace("write_", "read_", 1) for scope in granted}

    class Look(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent, answer = info.get_parent_type(), info.get_type()
            names = {f"{parent.name}.{node.name.value}"} if parent else set()
            names |= {get_named_type(answer).name} if answer else set()
            texts = sorted({text for name in names for text in required().get(name, ())})
            needed = [text.split("|") for text in texts]
            found.extend(refusal(node, scopes) for scopes in needed if not have & set(scopes))

    visit(document, TypeInfoVisitor(info, Look()))
    return found


def refusal(node: FieldNode, scopes: list[str]) -> JSONObject:
    """Return the error of one field."""
    access = " or ".join(f"`{scope}` access scope" for scope in scopes) + "."
    return {
        "message": f"Access denied for {node.name.value} field. Required access: {access}",
        "path": [node.alias.value if node.alias else node.name.value],
        "extensions": {"code": "ACCESS_DENIED", "documentation": DOCUMENTATION, "requiredAccess": access},
    }


CUSTOMER_DATA = "https://partners.shopify.com/1/apps/1/customer_data"


def guarded(protected: set[str]) -> Callable[..., Any]:
    """Return what stands before every resolver: a protected field is null, with an error beside the data."""

    def resolve(
        further: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any
    ) -> Any:
        kind = get_named_type(info.return_type).name
        if f"{info.parent_type.name}.{info.field_name}" in protected:
            raise not_approved(f"use the {info.field_name} field")
        if kind in protected:
            raise not_approved(f"access the {kind} object")
        return further(source, info, **arguments)

    return resolve


def not_approved(deed: str) -> GraphQLError:
    """Return the error of an app that its makers did not ask Shopify's approval for."""
    message = f"This app is not approved to {deed}. See {CUSTOMER_DATA} for more details."
    return GraphQLError(message, extensions={"code": "ACCESS_DENIED", "documentation": CUSTOMER_DATA})


def asks_for(schema: GraphQLSchema, text: str, protected: set[str]) -> bool:
    """Tell whether a document asks for a protected field or object."""
    info, found = TypeInfo(schema), set[str]()

    class Look(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent, answer = info.get_parent_type(), info.get_type()
            found.update({f"{parent}.{node.name.value}", str(get_named_type(answer)) if answer else ""})

    visit(parse(text), TypeInfoVisitor(info, Look()))
    return bool(found & protected)

"""A document and the scopes that were granted; out come the refusals, in Shopify's words."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
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

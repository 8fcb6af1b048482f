"""The pruned Admin schema, the versions served over it, and documents checked against it.

A document is parsed and validated once; its verdict is kept, for a tap sends the same one for every page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)

from tests.emulators.shopify.errors import JSONObject, syntax_error, validation_errors
from tests.emulators.shopify.resolvers import attach_resolvers

SUPPORTED_VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
NEWEST = SUPPORTED_VERSIONS[-1]
SCHEMA_FILES = {
    version: Path(__file__).with_name(f"admin_{version}.graphql") for version in ("2026-01", NEWEST)
}
SCHEMA_FILE = SCHEMA_FILES[NEWEST]
QUARTER = re.compile(r"20\d\d-(01|04|07|10)")


@lru_cache(maxsize=4)
def admin_schema(version: str = NEWEST) -> GraphQLSchema:
    """Build the pruned schema of a version with its resolvers, once a process.

    The oldest supported version has its own, every other is served over that of the newest.

    Shopify's schema breaks a rule of GraphQL that graphql-core insists on (a field of an interface that is
    deprecated in the implementing type alone), so it is taken as valid.
    """
    file = SCHEMA_FILES.get(version, SCHEMA_FILE)
    schema = build_schema(file.read_text(encoding="utf-8"), assume_valid=True, no_location=True)
    attach_resolvers(schema)
    return schema


def served_version(requested: str) -> str | None:
    """Return the version that answers a request, or None for one that Shopify does not know.

    A version that left support falls forward to the oldest one left.
    """
    if requested in SUPPORTED_VERSIONS:
        return requested
    if QUARTER.fullmatch(requested) and requested < SUPPORTED_VERSIONS[0]:
        return SUPPORTED_VERSIONS[0]
    return None


@dataclass(frozen=True)
class Checked:
    """A document and the verdict on it: either an operation that may run, or errors in Shopify's shape."""

    document: DocumentNode | None = None
    operation: OperationDefinitionNode | None = None
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    root_fields: tuple[str, ...] = ()
    deprecated: tuple[str, ...] = ()
    errors: tuple[JSONObject, ...] = ()


@lru_cache(maxsize=256)
def check(text: str, operation_name: str | None, version: str = NEWEST) -> Checked:
    """Parse and validate a document and choose its operation."""
    try:
        document = parse(text)
    except GraphQLSyntaxError as error:
        return Checked(errors=(syntax_error(error),))
    schema = admin_schema(version)
    if validate(schema, document):
        return Checked(errors=tuple(validation_errors(schema, document)))
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    chosen = [
        node
        for node in operations
        if operation_name is None or (node.name is not None and node.name.value == operation_name)
    ]
    if len(chosen) != 1:
        problem = (
            f'No operation named "{operation_name}"' if operation_name else "An operation name is required"
        )
        return Checked(errors=({"message": problem, "extensions": {"code": "BAD_REQUEST"}},))
    return Checked(
        document=document,
        operation=chosen[0],
        fragments={
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        },
        root_fields=tuple(
            node.name.value for node in chosen[0].selection_set.selections if isinstance(node, FieldNode)
        ),
        deprecated=deprecated_fields(schema, document),
    )


class DeprecatedFields(Visitor):
    """Collects the deprecated fields that a document asks for, as `Type.field`."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.found: dict[str, None] = {}

    def enter_field(self, _node: FieldNode, *_: object) -> None:
        """Note the field if it is deprecated."""
        definition, parent = self.info.get_field_def(), self.info.get_parent_type()
        if definition and parent and definition.deprecation_reason:
            self.found[f"{parent.name}.{definition.ast_node.name.value if definition.ast_node else ''}"] = (
                None
            )


def deprecated_fields(schema: GraphQLSchema, document: DocumentNode) -> tuple[str, ...]:
    """Return what Shopify names in the header `X-Shopify-API-Deprecated-Reason`."""
    info = TypeInfo(schema)
    visitor = DeprecatedFields(info)
    visit(document, TypeInfoVisitor(info, visitor))
    return tuple(visitor.found)

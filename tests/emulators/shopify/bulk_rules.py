"""What Shopify refuses to run in bulk, in its own words where a recorded reply has them. Pure.

Source: recorded replies of 2026-04 and Shopify's page "Perform bulk operations with the GraphQL Admin API".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    parse,
    validate,
)

MOST_BYTES = 65_535
MOST_CONNECTIONS = 5
MOST_DEPTH = 2  # levels below the connection at the root

NO_EDGES = (
    "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
    "'products { edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: '%s'."
)
TOP_LEVEL_NODE = "Bulk queries cannot contain a top level `node` field."
TOO_DEEP = "Bulk queries cannot contain connections with a nesting depth greater than 2."
TOO_MANY = "Bulk queries cannot contain more than 5 connections."
NO_ID = (
    "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
    "of 'ID' return type. Connection fields without 'id': %s."
)
IN_LIST = "Queries that contain a connection field within a list field are not currently supported."
NO_CONNECTION = "Bulk queries must contain at least one connection."
NO_QUERY = "Invalid operation type. Only `query` operations are supported."


@dataclass
class Findings:
    """What a walk through a document found that the rules speak of, by the names of fields."""

    connections: int = 0
    deepest: int = 0
    in_list: bool = False
    by_nodes: dict[str, None] = field(default_factory=dict)
    without_id: dict[str, None] = field(default_factory=dict)


def refusals(schema: GraphQLSchema, text: str) -> list[str]:
    """Return why a document may not run in bulk; nothing when it may."""
    if len(text.encode()) > MOST_BYTES:
        return [f"Query is too long (maximum is {MOST_BYTES} bytes)"]  # no recorded reply: our wording
    try:
        document = parse(text)
    except GraphQLSyntaxError as error:
        said = "unexpected end of file" if not text.strip() else error.message
        return [f"Invalid bulk query: syntax error, {said}"]
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if any(node.operation is not OperationType.QUERY for node in operations):
        return [NO_QUERY]
    if len(operations) != 1 or operations[0].variable_definitions:
        return ["Invalid bulk query: one operation without variables is needed"]  # our wording, too
    if problems := validate(schema, document):
        return [f"Invalid bulk query: {problems[0].message}"]
    return list(_rules(schema, document, operations[0]))


def _rules(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> Iterator[str]:
    assert schema.query_type is not None
    found = Walk(schema, document).findings(operation, schema.query_type)
    roots = {node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode)}
    said = []
    if found.by_nodes:
        said.append(NO_EDGES % "', '".join(found.by_nodes))
    if roots & {"node", "nodes"}:
        said.append(TOP_LEVEL_NODE)
    if found.deepest > MOST_DEPTH:
        said.append(TOO_DEEP)
    if found.connections > MOST_CONNECTIONS:
        said.append(TOO_MANY)
    if found.without_id:
        said.append(NO_ID % ", ".join(found.without_id))
    if found.in_list:
        said.append(IN_LIST)
    if not found.connections and not found.by_nodes:
        said.append(NO_CONNECTION)
    yield from said


class Walk:
    """One walk through an operation, fragments followed."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.found = Findings()

    def findings(self, operation: OperationDefinitionNode, root: GraphQLCompositeType) -> Findings:
        """Return what the rules need to know."""
        self.visit(operation.selection_set, root, depth=-1, parent=None, in_list=False)
        return self.found

    def visit(
        self,
        selections: SelectionSetNode,
        kind: GraphQLCompositeType,
        *,
        depth: int,
        parent: tuple[str, bool] | None,
        in_list: bool,
    ) -> None:
        """Look at the fields of a selection; `parent` is the connection around it, and if it has an id."""
        for owner, node in self.fields(selections, kind):
            declared = owner.fields[node.name.value].type  # type: ignore[union-attr]
            answer = get_named_type(declared)
            if not is_composite_type(answer) or node.selection_set is None:
                continue
            if answer.name.endswith("Connection"):
                self.connection(node, answer, depth=depth + 1, parent=parent, in_list=in_list)
            else:
                is_list = is_list_type(get_nullable_type(declared))
                self.visit(node.selection_set, answer, depth=depth, parent=parent, in_list=in_list or is_list)

    def connection(
        self,
        node: FieldNode,
        kind: GraphQLCompositeType,
        *,
        depth: int,
        parent: tuple[str, bool] | None,
        in_list: bool,
    ) -> None:
        """Note a connection, and look into its nodes."""
        name = node.name.value
        assert node.selection_set is not None
        inner = {field.name.value: (owner, field) for owner, field in self.fields(node.selection_set, kind)}
        if "nodes" in inner:
            self.found.by_nodes[name] = None
        if "edges" not in inner:
            return
        self.found.connections += 1
        self.found.deepest = max(self.found.deepest, depth)
        self.found.in_list = self.found.in_list or in_list
        if parent and not parent[1]:
            self.found.without_id[parent[0]] = None
        edge = self.schema.type_map[kind.name.removesuffix("Connection") + "Edge"]
        assert is_composite_type(edge)
        edges = inner["edges"][1].selection_set
        assert edges is not None
        for _, below in self.fields(edges, edge):
            item = get_named_type(edge.fields["node"].type)  # type: ignore[union-attr]
            if below.name.value == "node" and below.selection_set and is_composite_type(item):
                with_id = any(
                    field.name.value == "id" and not field.alias
                    for _, field in self.fields(below.selection_set, item)
                )
                self.visit(below.selection_set, item, depth=depth, parent=(name, with_id), in_list=False)

    def fields(
        self, selections: SelectionSetNode, kind: GraphQLCompositeType
    ) -> Iterator[tuple[GraphQLCompositeType, FieldNode]]:
        """Yield the fields of a selection with the type they are asked of, fragments followed."""
        for node in selections.selections:
            if isinstance(node, FieldNode):
                if not node.name.value.startswith("__"):
                    yield kind, node
                continue
            fragment = self.fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)
            condition = fragment.type_condition
            inner = self.schema.type_map[condition.name.value] if condition else kind
            assert is_composite_type(inner)
            yield from self.fields(fragment.selection_set, inner)

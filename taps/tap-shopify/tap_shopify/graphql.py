"""A query document in; out comes what is sent, and the columns that come back.

The documents in `queries/` are written as Shopify's reference is. `Query` adds the column names as aliases
(`createdAt` is asked for as `created_at`), so the server does the renaming. What is left is the same for
every stream and driven by the document alone:

- `id` becomes the number in it, and the whole gid stands beside it as `admin_graphql_api_id`;
- a connection (`{ nodes, pageInfo }`) becomes a list, and pages that are left over are named for fetching;
- integers that GraphQL spells as strings (UnsignedInt64) become integers.

`scripts/generate_shopify_schemas.py` makes the JSON Schemas from the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphql.language import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    parse,
    print_ast,
)

from tap_common.emit import Row

GID_COLUMN = "admin_graphql_api_id"


def snake(name: str) -> str:
    """Return a GraphQL name as a column name: `discountedUnitPriceSet` -> `discounted_unit_price_set`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def number_of(gid: str) -> int:
    """Return the number in a gid: 7 in `gid://shopify/Order/7`, also where parameters follow it."""
    return int(gid.rsplit("/", 1)[1].partition("?")[0])


def type_of(gid: str) -> str:
    """Return the GraphQL type in a gid: `Order` in `gid://shopify/Order/7`."""
    return gid.split("/")[3]


@dataclass(frozen=True)
class Column:
    """One column: its name, the field it comes from, and the columns inside it.

    `on` names the type of the inline fragment the field stands in, None outside of one. `nodes` tells a
    connection from an object. `field` is the field as sent, with the names of columns in it.
    """

    name: str
    field: FieldNode
    columns: tuple[Column, ...] = ()
    on: str | None = None
    nodes: bool = False

    @property
    def is_id(self) -> bool:
        """Whether this is the object's own id, which becomes two columns."""
        return self.field.name.value == "id" and self.name == "id"


@dataclass(frozen=True)
class Remainder:
    """Pages of a nested connection that were not in the reply: whose, which column, and from where."""

    parent: str
    column: Column
    shape: Shape
    rows: list[Row]
    cursor: str | None


class Query:
    """One document: `text` is sent, `connection` is the root column, `columns` those of a row."""

    def __init__(self, source: str) -> None:
        document = parse(source, no_location=True)
        fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        selections, (self.connection, *_) = _select(operation.selection_set, fragments)
        sent = OperationDefinitionNode(
            operation=operation.operation,
            name=operation.name,
            variable_definitions=operation.variable_definitions,
            selection_set=selections,
        )
        self.text = print_ast(DocumentNode(definitions=(sent,)))
        self.columns = self.connection.columns
        self._rest: dict[tuple[str, str], str] = {}

    def rest(self, parent: str, column: Column) -> str:
        """Return the query for further pages of a nested connection, by the id of its parent."""
        key = (type_of(parent), column.name)
        if key not in self._rest:
            field = FieldNode(
                alias=column.field.alias,
                name=column.field.name,
                arguments=(
                    *(
                        node
                        for node in column.field.arguments or ()
                        if node.name.value not in {"first", "after"}
                    ),
                    *(
                        ArgumentNode(name=NameNode(value=name), value=VariableNode(name=NameNode(value=name)))
                        for name in ("first", "after")
                    ),
                ),
                selection_set=column.field.selection_set,
            )
            self._rest[key] = (
                f"query Rest($id: ID!, $first: Int!, $after: String) {{ node(id: $id) {{ ... on {key[0]} "
                f"{{ {print_ast(field)} }} }} }}"
            )
        return self._rest[key]


def _select(
    selection_set: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> tuple[SelectionSetNode, tuple[Column, ...]]:
    """Return a selection with column names as aliases and named fragments written out, and its columns."""
    selections: list[SelectionNode] = []
    columns: dict[str, Column] = {}
    for node in selection_set.selections:
        match node:
            case FieldNode() if node.name.value == "pageInfo":
                selections.append(node)  # no column: the walk through pages reads it
            case FieldNode():
                column = _column(node, fragments)
                selections.append(column.field)
                columns.setdefault(column.name, column)
            case FragmentSpreadNode():
                # Fragments are written on the very type they are used on: their fields can stand alone.
                inner, inside = _select(fragments[node.name.value].selection_set, fragments)
                selections.extend(inner.selections)
                columns |= {column.name: column for column in inside}
            case InlineFragmentNode():
                inner, inside = _select(node.selection_set, fragments)
                selections.append(InlineFragmentNode(type_condition=node.type_condition, selection_set=inner))
                on = node.type_condition.name.value if node.type_condition else None
                for column in inside:
                    columns.setdefault(column.name, replace(column, on=on))
    return SelectionSetNode(selections=tuple(selections)), tuple(columns.values())


def _column(node: FieldNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Column:
    asked = node.name.value
    name = snake(node.alias.value if node.alias else asked)
    inner, columns = _select(node.selection_set, fragments) if node.selection_set else (None, ())
    field = FieldNode(
        alias=NameNode(value=name) if name != asked else None,
        name=node.name,
        arguments=node.arguments,
        selection_set=inner,
    )
    names = {column.name: column for column in columns}
    if "nodes" in names:
        return Column(name, field, names["nodes"].columns, nodes=True)
    return Column(name, field, columns)


# --- rows ---------------------------------------------------------------------------------------------------


class Shape:
    """Turns the objects of a reply into rows, in place; made once a stream, from columns and schema."""

    def __init__(self, columns: tuple[Column, ...], schema: Mapping[str, Any]) -> None:
        properties = schema["properties"]
        self.has_id = any(column.is_id for column in columns)
        self.integers = [
            column.name
            for column in columns
            if not column.is_id
            and not column.columns
            and "integer" in properties[column.name].get("type", ())
        ]
        self.inner = [
            (column, shape)
            for column in columns
            if column.columns and (shape := Shape(column.columns, _object_schema(properties[column.name])))
        ]
        self.inner = [(column, shape) for column, shape in self.inner if column.nodes or shape.does_something]

    @property
    def does_something(self) -> bool:
        """Whether rows change at all."""
        return bool(self.has_id or self.integers or self.inner)

    def apply(self, row: Row, left: list[Remainder]) -> None:
        """Reshape one row, and note in `left` what is still to be fetched inside it."""
        gid = row.get("id")
        if self.has_id and gid is not None:
            row[GID_COLUMN] = gid
            row["id"] = number_of(gid)
        for name in self.integers:
            if type(value := row.get(name)) is str:
                row[name] = int(value)
        for column, shape in self.inner:
            value = row.get(column.name)
            if value is None:
                continue
            if column.nodes:
                page, value = value["pageInfo"], value["nodes"]
                row[column.name] = value
                if page["hasNextPage"]:
                    left.append(Remainder(str(gid), column, shape, value, page["endCursor"]))
            if isinstance(value, list):
                for item in value:
                    shape.apply(item, left)
            else:
                shape.apply(value, left)


def _object_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    items: Mapping[str, Any] | None = schema.get("items")
    return items or schema

"""A query document in; out comes what is sent, and the columns that come back.

The documents in `queries/` are written as Shopify's reference is. `Query` adds the column names as aliases
(`createdAt` is asked for as `created_at`), so the server does the renaming. What is left is the same for
every stream and driven by the document alone, in `rows`.

`scripts/generate_shopify_schemas.py` makes the JSON Schemas from the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphql.language import (
    REMOVE,
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from tap_common.emit import Row

WRITTEN_FOR = "2026-10"
"""The version of the API that the documents are written for; the setting's default."""
Way = tuple[str, ...]
"""The names of columns that lead from a row to one inside it."""
TAKE_NO_LIMIT = frozenset({"eventsCount"})
"""Root fields that count to 10,000 and say that there are more; the others may be told to go on."""
NO_MORE: Row = {"hasNextPage": False, "endCursor": None}


def snake(name: str) -> str:
    """Return a GraphQL name as a column name: `discountedUnitPriceSet` -> `discounted_unit_price_set`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True)
class Column:
    """One column: its name, the field it comes from, and the columns inside it.

    `on` names the types of the inline fragments the field stands in, none outside of one. `nodes` tells a
    connection from an object, `limit` how many items a plain list was asked for. `field` is the field as
    sent, with the names of columns in it.
    """

    name: str
    field: FieldNode
    columns: tuple[Column, ...] = ()
    on: tuple[str, ...] = ()
    nodes: bool = False

    @property
    def is_id(self) -> bool:
        """Whether this is the object's own id, which becomes two columns."""
        return self.field.name.value == "id" and self.name == "id"

    @property
    def limit(self) -> int | None:
        """How many items of a plain list are asked for: there may be more; None where nothing is cut."""
        if self.nodes or not self.columns:
            return None
        first = _arguments(self.field).get("first")
        return int(first.value) if isinstance(first, IntValueNode) else None


class Query:
    """One document: `text` is sent, `connection` is the column that is paged, `columns` those of a row.

    The paged connection is the one that takes `$after`; `path` names it from the root of the answer on. A
    document without one asks for a single object, which is the row. Fields that came after `version` are
    left out, and so are columns in `without`, each the way to it from the row on.
    """

    def __init__(self, source: str, version: str = WRITTEN_FOR, without: Collection[Way] = ()) -> None:
        self._take(for_version(parse(source, no_location=True), version))
        if without:
            whole = parse(self.text, no_location=True)
            self._take(visit(whole, _Without({(*self.path, *way) for way in without})))

    def _take(self, document: DocumentNode) -> None:
        fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        selections, roots = _select(operation.selection_set, fragments)
        sent = OperationDefinitionNode(
            operation=operation.operation,
            name=operation.name,
            variable_definitions=operation.variable_definitions,
            selection_set=selections,
        )
        self.text = print_ast(DocumentNode(definitions=(sent,)))
        way = _paged(roots) or roots[:1]
        self.fields = tuple(column.field.name.value for column in way)
        self.path = tuple(column.name for column in way)
        self.connection = way[-1]
        self.columns = self.connection.columns

    def page(self, data: Mapping[str, Any]) -> Row | None:
        """Return the page in an answer, `nodes` and `pageInfo`; None where the answer holds none.

        An object above the connection that is null has nothing to list: a shop without an account for
        payments has no payouts.
        """
        inner: Any = data
        for name in self.path[:-1]:
            if name in inner and inner[name] is None:
                return {"nodes": [], "pageInfo": NO_MORE}
            inner = inner.get(name) or {}
        page = inner.get(self.path[-1])
        if isinstance(page, dict) and not self.connection.nodes:
            return {"nodes": [page], "pageInfo": NO_MORE}
        return page if isinstance(page, dict) and isinstance(page.get("nodes"), list) else None


class _Version(Visitor):
    """Drops the fields that a version does not know yet, and the directive that tells so."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self._version = version

    def enter_field(self, node: FieldNode, *_: object) -> Any:  # noqa: ANN401 - as graphql-core has it
        for directive in node.directives or ():
            if directive.name.value == "since":
                (argument,) = directive.arguments or ()
                assert isinstance(argument.value, StringValueNode)  # noqa: S101 - our own documents
                if self._version < argument.value.value:
                    return REMOVE
                return replace(
                    node, directives=tuple(one for one in node.directives or () if one is not directive)
                )
        return None


class _Without(Visitor):
    """Drops columns, by the way to each from the root of the answer, and objects that hold nothing then."""

    def __init__(self, ways: Collection[Way]) -> None:
        super().__init__()
        self._ways = ways
        self._at: list[str] = []

    def enter_field(self, node: FieldNode, *_: object) -> Any:  # noqa: ANN401 - as graphql-core has it
        names = step(node)
        if names and (*self._at, *names) in self._ways:
            return REMOVE
        self._at += names
        return None

    def leave_field(self, node: FieldNode, *_: object) -> Any:  # noqa: ANN401
        del self._at[len(self._at) - len(step(node)) :]
        return None if node.selection_set is None or _holds_something(node.selection_set) else REMOVE

    def leave_inline_fragment(self, node: InlineFragmentNode, *_: object) -> Any:  # noqa: ANN401
        return None if _holds_something(node.selection_set) else REMOVE


def step(node: FieldNode) -> list[str]:
    """Return what a field adds to the way to a column: its column's name; `nodes` belong to their list."""
    name = (node.alias or node.name).value
    return [] if name == "nodes" else [name]


def _holds_something(selections: SelectionSetNode) -> bool:
    return any(
        not isinstance(node, FieldNode) or node.name.value != "pageInfo" for node in selections.selections
    )


def for_version(document: DocumentNode, version: str) -> DocumentNode:
    """Return a document as a version of the API knows it.

    A field that came later, `field @since(version: "2026-10")`, leaves, and so does the directive, ours.
    """
    sent = visit(document, _Version(version))
    assert isinstance(sent, DocumentNode)  # noqa: S101 - a document stays one
    return sent


def counting(field: str, *, is_searched: bool) -> str:
    """Return the query that counts, by a root field such as `ordersCount`, all or what a filter finds."""
    head = "query Count($query: String)" if is_searched else "query Count"
    given = ["query: $query"] * is_searched + ["limit: null"] * (field not in TAKE_NO_LIMIT)
    asked = f"{field}({', '.join(given)})" if given else field
    return f"{head} {{ count: {asked} {{ count precision }} }}"


def rest(owner: str, way: tuple[Column, ...], copies: int, found_by: str = "node") -> str:
    """Return the query for what is left of a nested list, for several objects of a type at once.

    Args:
        owner: the type of the objects, whose ids are `$id0`, `$id1` and so on; each answers under `n0`, `n1`.
        way: the columns from such an object to the list. Of a connection, the page after `$after0` is asked
            for, `$first` long; of a plain list everything. A list that is searched takes `$query` again.
        copies: how many objects.
        found_by: the root field that finds an object at the root of the connection; others are nodes.
    """
    is_connection = way[-1].nodes
    parts, variables = [], ["$first: Int!"] if is_connection else []
    if is_searched(way[-1]):
        variables.append("$query: String")
    for number in range(copies):
        variables += [f"$id{number}: ID!"] + ([f"$after{number}: String"] if is_connection else [])
        # The owner's type stands around it already.
        inner = _rest_field((replace(way[0], on=()), *way[1:]), number)
        inner = f"... on {owner} {{ {inner} }}" if found_by == "node" else inner
        parts.append(f"n{number}: {found_by}(id: $id{number}) {{ {inner} }}")
    return f"query Rest({', '.join(variables)}) {{ {' '.join(parts)} }}"


def is_searched(column: Column) -> bool:
    """Tell whether a nested list is asked for under the search of the whole document."""
    return isinstance(_arguments(column.field).get("query"), VariableNode)


def _rest_field(way: tuple[Column, ...], number: int) -> str:
    """Return the text of the fields from an object to a list that is left over."""
    column, *deeper = way
    if deeper:
        alias = f"{column.name}: " if column.field.alias else ""
        text = f"{alias}{column.field.name.value} {{ {_rest_field(tuple(deeper), number)} }}"
    else:
        given = [
            node for name, node in _all_arguments(column.field).items() if name not in {"first", "after"}
        ]
        if column.nodes:
            given += [_variable("first", "first"), _variable("after", f"after{number}")]
        field = FieldNode(
            alias=column.field.alias,
            name=column.field.name,
            arguments=tuple(given),
            selection_set=column.field.selection_set,
        )
        text = print_ast(field)
    return " ".join(f"... on {kind} {{ {text} }}" for kind in column.on) or text


def _paged(columns: tuple[Column, ...]) -> tuple[Column, ...] | None:
    """Return the way to the connection that takes `$after`."""
    for column in columns:
        after = _arguments(column.field).get("after")
        if isinstance(after, VariableNode):
            return (column,)
        if inner := _paged(column.columns):
            return (column, *inner)
    return None


def _all_arguments(field: FieldNode) -> dict[str, ArgumentNode]:
    return {argument.name.value: argument for argument in field.arguments or ()}


def _arguments(field: FieldNode) -> dict[str, ValueNode]:
    return {name: argument.value for name, argument in _all_arguments(field).items()}


def _variable(name: str, variable: str) -> ArgumentNode:
    return ArgumentNode(name=NameNode(value=name), value=VariableNode(name=NameNode(value=variable)))


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
                on = (node.type_condition.name.value,) if node.type_condition else ()
                for column in inside:
                    same = columns.get(column.name, replace(column, on=()))
                    if [one.name for one in same.columns] != [one.name for one in column.columns]:
                        raise ValueError(f"two fragments want other columns of {column.name}: alias one")
                    columns[column.name] = replace(same, on=(*same.on, *on))
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

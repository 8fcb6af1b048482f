"""A stream's query in; out comes the document of a bulk operation, or why there can be none. Pure.

Pages leave the document (`first`, `after`, `pageInfo`), `nodes` become `edges { node }`, and the filter is
written into it. Each connection below the root gets a marker in its nodes, an alias of `__typename`: a line
of the result names its parent, but not which of the parent's connections it comes from.

Source: Shopify, "Perform bulk operations with the GraphQL Admin API", section on operation restrictions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql.language import (
    ArgumentNode,
    FieldNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    parse,
    print_ast,
)

from tap_shopify.graphql import Query

MOST_BYTES = 65_535
MOST_CONNECTIONS = 5
MOST_LEVELS = 2  # below the root
PAGE_ARGUMENTS = frozenset({"first", "last", "after", "before"})
MARK = "# tap-shopify "


class UnfitError(Exception):
    """A query cannot run in bulk; the message says why, in half a sentence."""


@dataclass(frozen=True)
class Nested:
    """A connection below the root: the column it fills, its marker, and that of the connection around it."""

    column: str
    marker: str
    parent: str | None


class BulkQuery:
    """A query that may run in bulk.

    Raises:
        UnfitError: It may not.
    """

    def __init__(self, query: Query) -> None:
        document = parse(query.text, no_location=True)
        (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        self._root, *others = _fields(operation.selection_set)
        if others or not _is_connection(self._root):
            raise UnfitError("it asks for more than one connection at the root, or none")
        self.nested: list[Nested] = []
        self._selections = self._in_edges(self._root, None, 0)
        if (count := len(self.nested) + 1) > MOST_CONNECTIONS:
            raise UnfitError(f"it asks for {count} connections, a bulk operation takes {MOST_CONNECTIONS}")
        self.document(None, {})

    def document(self, condition: str | None, mark: Mapping[str, str | None]) -> str:
        """Return the document under a filter; the first line holds the mark, by which it is known as ours.

        Raises:
            UnfitError: It is too long.
        """
        given = _arguments(self._root, {"query"})
        if condition:
            given.append(ArgumentNode(name=NameNode(value="query"), value=StringValueNode(value=condition)))
        root = FieldNode(
            alias=self._root.alias,
            name=self._root.name,
            arguments=tuple(given),
            selection_set=self._selections,
        )
        text = f"{MARK}{json.dumps(mark)}\n{{\n{print_ast(root)}\n}}"
        if len(text.encode()) > MOST_BYTES:
            raise UnfitError(f"it is longer than {MOST_BYTES} bytes")
        return text

    def _in_edges(self, field: FieldNode, marker: str | None, level: int) -> SelectionSetNode:
        """Return the selection of a connection as bulk operations want it, connections in it likewise."""
        nodes = next(node for node in _fields(field.selection_set) if node.name.value == "nodes")
        inner = self._selection(nodes.selection_set, marker, level)
        if marker:
            typename = FieldNode(alias=NameNode(value=marker), name=NameNode(value="__typename"))
            inner = SelectionSetNode(selections=(typename, *inner.selections))
        node = FieldNode(name=NameNode(value="node"), selection_set=inner)
        edges = FieldNode(name=NameNode(value="edges"), selection_set=SelectionSetNode(selections=(node,)))
        return SelectionSetNode(selections=(edges,))

    def _selection(
        self, selections: SelectionSetNode | None, marker: str | None, level: int
    ) -> SelectionSetNode:
        """Return the selection of a node, with the connections that stand directly in it."""
        result: list[SelectionNode] = []
        for node in selections.selections if selections else ():
            if isinstance(node, InlineFragmentNode):
                inner = self._selection(node.selection_set, marker, level)
                result.append(InlineFragmentNode(type_condition=node.type_condition, selection_set=inner))
            elif isinstance(node, FieldNode) and _is_connection(node):
                result.append(self._nested(node, selections, marker, level + 1))
            elif isinstance(node, FieldNode):
                _refuse_inside(node)
                _arguments(node)
                result.append(node)
        return SelectionSetNode(selections=tuple(result))

    def _nested(
        self, node: FieldNode, around: SelectionSetNode | None, parent: str | None, level: int
    ) -> FieldNode:
        column = node.alias.value if node.alias else node.name.value
        if level > MOST_LEVELS:
            raise UnfitError(f"its {column} lie deeper than {MOST_LEVELS} levels")
        if not any(field.name.value == "id" and not field.alias for field in _fields(around)):
            raise UnfitError(f"what its {column} belong to has no id")
        marker = f"{parent or '_in'}_{column}"
        self.nested.append(Nested(column, marker, parent))
        return FieldNode(
            alias=node.alias,
            name=node.name,
            arguments=tuple(_arguments(node)),
            selection_set=self._in_edges(node, marker, level),
        )


def mark_of(text: str) -> dict[str, str | None] | None:
    """Return the mark of a document that this tap sent, None for any other."""
    first = text.partition("\n")[0]
    if not first.startswith(MARK):
        return None
    try:
        mark = json.loads(first.removeprefix(MARK))
    except ValueError:
        return None
    return mark if isinstance(mark, dict) else None


def _is_connection(node: FieldNode) -> bool:
    return any(field.name.value == "nodes" for field in _fields(node.selection_set))


def _fields(selections: SelectionSetNode | None) -> Iterator[FieldNode]:
    """Yield the fields of a selection, those in inline fragments too."""
    for node in selections.selections if selections else ():
        if isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set)
        elif isinstance(node, FieldNode):
            yield node


def _refuse_inside(node: FieldNode) -> None:
    """Refuse a connection inside an object or a list: there, a line's parent could not be told."""
    for field in _fields(node.selection_set):
        if _is_connection(field):
            raise UnfitError(f"its {field.name.value} stand inside {node.name.value}")
        _refuse_inside(field)


def _arguments(node: FieldNode, without: set[str] = frozenset()) -> list[ArgumentNode]:  # type: ignore[assignment]
    """Return the arguments of a field that stay; those of a page leave where it is a connection."""
    leaving = without | (PAGE_ARGUMENTS if _is_connection(node) else frozenset())
    stay = [argument for argument in node.arguments or () if argument.name.value not in leaving]
    for argument in stay:
        if isinstance(argument.value, VariableNode):
            raise UnfitError(f"its {node.name.value} take the variable ${argument.value.name.value}")
    return stay

"""A document in, the lines of a bulk result out: one object a line, children apart, `__parentId` on each.

graphql-core answers one document as one tree; a bulk result may hold a hundred thousand trees. So the
document is compiled once into functions over the same resolvers, and each object becomes a line as it comes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    parse,
)
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

from tests.emulators.shopify.connections import PageArguments, ordered
from tests.emulators.shopify.resolvers import ASKED, Context, found, resolve_type

Row = dict[str, Any]
Children = list[tuple[Row, "Make"]]
Make = Callable[[Row, Children], Row]
Block = list[bytes]
"""The lines of one object at the root: its own first, each child after its parent."""

OPEN_BLOCKS = 50


@dataclass(frozen=True)
class Root:
    """A connection at the root of the document: its rows, in order, and what makes a line of one."""

    rows: list[Row]
    make: Make


class Renderer:
    """Compiles one document over a schema; `roots` are its connections."""

    def __init__(self, schema: GraphQLSchema, text: str, context: Context) -> None:
        document = parse(text)
        self.schema = schema
        self.context = context
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        assert schema.query_type is not None
        fields = self.collected(schema.query_type, [operation.selection_set])
        self.roots = [self.root(key, nodes) for key, nodes in fields.items()]

    def root(self, key: str, nodes: list[FieldNode]) -> Root:
        """Return a connection at the root."""
        assert self.schema.query_type is not None
        rows, make = self.connection(self.schema.query_type, key, nodes)
        return Root(rows({}), make)

    def blocks(self) -> Iterator[Block]:
        """Yield the lines of one root object after another, parents before children, depth first."""
        for root in self.roots:
            for row in root.rows:
                block: Block = []
                self.lines(row, root.make, None, block)
                yield block

    def lines(self, row: Row, make: Make, parent: str | None, block: Block) -> None:
        """Add the line of an object and those of everything below it."""
        children: Children = []
        line = make(row, children)
        if parent is not None:
            line["__parentId"] = parent
        block.append(msgspec.json.encode(line) + b"\n")
        for child, child_make in children:
            self.lines(child, child_make, row["id"], block)

    # ---- compiling

    def collected(
        self, kind: GraphQLCompositeType, sets: Iterable[SelectionSetNode]
    ) -> dict[str, list[FieldNode]]:
        """Return the fields that a concrete type is asked for, by response key, fragments followed."""
        fields: dict[str, list[FieldNode]] = {}
        for selections in sets:
            for node in selections.selections:
                if isinstance(node, FieldNode):
                    key = node.alias.value if node.alias else node.name.value
                    fields.setdefault(key, []).append(node)
                    continue
                fragment = self.fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
                assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)
                condition = fragment.type_condition
                if condition is None or self.fits(kind, condition.name.value):
                    for key, nodes in self.collected(kind, [fragment.selection_set]).items():
                        fields.setdefault(key, []).extend(nodes)
        return fields

    def fits(self, kind: GraphQLCompositeType, condition: str) -> bool:
        """Tell whether a fragment on a type applies to a concrete one."""
        other = self.schema.type_map[condition]
        return kind is other or (is_abstract_type(other) and kind in self.schema.get_possible_types(other))

    def object_of(self, kind: GraphQLObjectType, sets: list[SelectionSetNode]) -> Make:
        """Return what makes the object of a row; connections in it go to the children instead."""
        values: list[tuple[str, Callable[[Row, Children], object]]] = []
        connections: list[tuple[Callable[[Row], list[Row]], Make]] = []
        for key, nodes in self.collected(kind, sets).items():
            name = nodes[0].name.value
            if name == "__typename":
                values.append((key, lambda _row, _children: kind.name))
            elif get_named_type(kind.fields[name].type).name.endswith("Connection"):
                connections.append(self.connection(kind, key, nodes))
            else:
                values.append((key, self.value(kind, key, nodes)))

        def make(row: Row, children: Children) -> Row:
            made = {key: value(row, children) for key, value in values}
            for rows, child in connections:
                children.extend((item, child) for item in rows(row))
            return made

        return make

    def connection(
        self, kind: GraphQLObjectType, key: str, nodes: list[FieldNode]
    ) -> tuple[Callable[[Row], list[Row]], Make]:
        """Return what finds the rows of a connection, all of them, and what makes a line of one."""
        name = nodes[0].name.value
        definition = kind.fields[name]
        arguments = get_argument_values(definition, nodes[0])
        page = PageArguments.of({**arguments, "first": 1, "last": None, "after": None, "before": None})
        asked = ASKED.get((kind.name, name))
        sets = [node.selection_set for node in nodes if node.selection_set]
        connection = get_named_type(definition.type)
        assert is_object_type(connection)
        for step in ("edges", "node"):
            inner = self.collected(connection, sets)[step]
            sets = [node.selection_set for node in inner if node.selection_set]
            answer = get_named_type(connection.fields[step].type)
            if step == "edges":
                assert is_object_type(answer)
                connection = answer

        def rows(row: Row) -> list[Row]:
            return [one for _, one in ordered(found(name, asked, self.context, row, arguments, [key]), page)]

        return rows, self.composite(answer, sets)

    def composite(self, kind: GraphQLCompositeType, sets: list[SelectionSetNode]) -> Make:
        """Return what makes an object of a type; behind an interface or union the row tells which."""
        if is_object_type(kind):
            return self.object_of(kind, sets)
        makers = {
            member.name: self.object_of(member, sets)
            for member in self.schema.get_possible_types(kind)  # type: ignore[arg-type]
        }
        return lambda row, children: makers[resolve_type(row, None, kind)](row, children)  # type: ignore[arg-type]

    def value(
        self, kind: GraphQLObjectType, key: str, nodes: list[FieldNode]
    ) -> Callable[[Row, Children], object]:
        """Return what makes the value of a field that is no connection."""
        definition = kind.fields[nodes[0].name.value]
        arguments = get_argument_values(definition, nodes[0])
        info = SimpleNamespace(context=self.context, path=Path(None, key, kind.name))
        resolve = definition.resolve
        finish = self.finish(definition.type, [node.selection_set for node in nodes if node.selection_set])
        return lambda row, children: finish(resolve(row, info, **arguments), children)

    def finish(
        self, declared: GraphQLOutputType, sets: list[SelectionSetNode]
    ) -> Callable[[Any, Children], object]:
        """Return what turns a resolved value into what the line holds."""
        bare = get_nullable_type(declared)
        if is_list_type(bare):
            inner = self.finish(bare.of_type, sets)
            return lambda value, children: (
                None if value is None else [inner(item, children) for item in value]
            )
        if is_leaf_type(bare):
            serialize = bare.serialize
            return lambda value, _children: None if value is None else serialize(value)
        make = self.composite(bare, sets)  # type: ignore[arg-type]
        return lambda value, children: None if value is None else make(value, children)


def grouped(blocks: Iterable[Block]) -> Iterator[bytes]:
    """Yield lines as `groupObjects: true` promises: every object directly under its parent."""
    for block in blocks:
        yield from block


def mixed(blocks: Iterable[Block], seed: int = 7) -> Iterator[bytes]:
    """Yield lines as the default allows: a child after its parent, but anywhere after it."""
    source = random.Random(seed)  # noqa: S311 - test data, no secrets
    waiting: list[deque[bytes]] = []
    for block in blocks:
        yield block[0]
        if len(block) > 1:
            waiting.append(deque(block[1:]))
        while len(waiting) > OPEN_BLOCKS or (waiting and source.random() < 0.5):
            yield from _one(waiting, source)
    while waiting:
        yield from _one(waiting, source)


def _one(waiting: list[deque[bytes]], source: random.Random) -> Iterator[bytes]:
    place = source.randrange(len(waiting))
    yield waiting[place].popleft()
    if not waiting[place]:
        waiting[place] = waiting[-1]
        waiting.pop()


def parents_first(blocks: Iterable[Block]) -> Iterator[bytes]:
    """Yield lines in the order that is hardest on a reader: every child after every root object."""
    below: Block = []
    for block in blocks:
        yield block[0]
        below.extend(block[1:])
    yield from below


ORDERS: dict[str, Callable[[Iterable[Block]], Iterator[bytes]]] = {
    "grouped": grouped,
    "mixed": mixed,
    "parents first": parents_first,
}

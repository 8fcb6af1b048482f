"""A document and its variables in; out comes what Shopify will ask for it, before it is sent.

The rules: a scalar costs 0, an object 1, an interface or union as much as its dearest member, a connection 2
plus its children times floor(2 ln(page size)), a mutation 10, a `Count` 10; money, postal addresses, `edges`
and `pageInfo` are free. Lists count once, whatever they hold. Source: Shopify, "GraphQL Admin API: rate
limits", and its staff's answers in the community forum; a server that knows better corrects the estimate.

`types.json` names the type behind each field that the queries use; the schema generator writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    parse,
)

import tap_shopify

MAX_QUERY_COST = 1000
"""Points that one query may ask for, on every plan."""
LARGEST_PAGE = 250
"""Rows that one page may hold."""
MUTATION, COUNT = 10, 10
FREE = frozenset({"MailingAddress", "MoneyBag", "MoneyV2", "PageInfo"})

Nodes = list[FieldNode]
Fragments = Mapping[str, FragmentDefinitionNode]


def scale(rows: int) -> int:
    """Return how often a page of so many rows counts its children: 250 -> 11, 100 -> 9, 10 -> 4."""
    return math.floor(2 * math.log(max(2, rows)))


# Of all page sizes that cost the same only the largest is of use.
SIZES = [
    LARGEST_PAGE,
    *(rows for rows in range(LARGEST_PAGE - 1, 0, -1) if scale(rows) < scale(rows + 1)),
    1,
]


@dataclass(frozen=True)
class Part:
    """One field: its own points, how often its children count, and its children for each type it may be.

    `rows` sizes a connection, `copies` counts the ids of `nodes(ids:)`; a string names the variable.
    """

    own: int
    rows: int | str | None
    copies: int | str | None
    variants: tuple[tuple[Part, ...], ...]

    def points(self, variables: Mapping[str, Any]) -> int:
        """Return what the field asks for."""
        inner = max((sum(part.points(variables) for part in parts) for parts in self.variants), default=0)
        rows = variables.get(self.rows) if isinstance(self.rows, str) else self.rows
        ids = variables.get(self.copies, ()) if isinstance(self.copies, str) else self.copies
        copies = 1 if ids is None else ids if isinstance(ids, int) else len(ids)
        return (self.own + inner * (1 if self.rows is None else scale(rows or 0))) * copies


class Price:
    """What one document costs: by the documented rule, corrected by what the server says it asked for."""

    def __init__(self, text: str) -> None:
        document = parse(text, no_location=True)
        fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        mutates = operation.operation is OperationType.MUTATION
        owner = "Mutation" if mutates else "QueryRoot"
        variants = _variants(owner, [operation.selection_set], fragments)
        self._root = Part(0, None, None, variants)
        self._extra = MUTATION * len(variants[0]) if mutates else 0
        self._factor = 1.0
        self.has_page = any(
            definition.variable.name.value == "first" for definition in operation.variable_definitions or ()
        )
        """Whether the document leaves the size of its page open, as `$first`."""

    def points(self, variables: Mapping[str, Any]) -> int:
        """Return what the server will ask for."""
        return math.ceil((self._root.points(variables) + self._extra) * self._factor)

    def correct(self, variables: Mapping[str, Any], reported: float) -> None:
        """Take over what the server asked for; pages of other sizes are scaled alike."""
        documented = self._root.points(variables) + self._extra
        self._factor = reported / documented if documented else 1.0

    def most_rows(self, variables: Mapping[str, Any], limit: float) -> int:
        """Return the largest page that asks for no more than `limit` points; 1 if none is that small."""
        return next((rows for rows in SIZES if self.points({**variables, "first": rows}) <= limit), 1)


@cache
def _types() -> dict[str, dict[str, str]]:
    text = files(tap_shopify).joinpath("types.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


def _variants(
    owner: str, sets: Iterable[SelectionSetNode], fragments: Fragments
) -> tuple[tuple[Part, ...], ...]:
    """Return the parts below a type: those of the type alone, then for each type that a fragment names."""
    found: dict[str, dict[str, Nodes]] = {owner: {}}
    for selections in sets:
        _gather(owner, selections, fragments, found)
    return tuple(
        tuple(
            _part(condition if key not in found[owner] else owner, nodes, fragments)
            for key, nodes in _merged(found[owner], found[condition]).items()
            if nodes[0].selection_set
        )
        for condition in found
    )


def _gather(
    owner: str, selections: SelectionSetNode, fragments: Fragments, found: dict[str, dict[str, Nodes]]
) -> None:
    """Collect fields by the type they are asked of and by their key in the answer."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            key = node.alias.value if node.alias else node.name.value
            found.setdefault(owner, {}).setdefault(key, []).append(node)
            continue
        fragment = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)  # noqa: S101 - all there is
        condition = fragment.type_condition.name.value if fragment.type_condition else owner
        _gather(condition, fragment.selection_set, fragments, found)


def _merged(always: Mapping[str, Nodes], case: Mapping[str, Nodes]) -> dict[str, Nodes]:
    """Return the fields of one type: a key that is asked for twice is answered once."""
    if always is case:
        return dict(always)
    return {key: [*always.get(key, ()), *case.get(key, ())] for key in {**always, **case}}


def _part(owner: str, nodes: Nodes, fragments: Fragments) -> Part:
    node = nodes[0]
    name = node.name.value
    answer = _types().get(owner, {}).get(name, "Count" if name.endswith("Count") else "")
    variants = _variants(answer, [node.selection_set for node in nodes if node.selection_set], fragments)
    rows = _number(node, "first") or _number(node, "last")
    if answer.endswith("Connection"):
        return Part(2, rows or 0, None, variants)
    own = COUNT if answer == "Count" else 0 if answer in FREE or answer.endswith("Edge") else 1
    return Part(own, None, _number(node, "ids"), variants)


def _number(node: FieldNode, name: str) -> int | str | None:
    """Return an argument that says how many: a number, a list's length, or a variable's name."""
    for argument in node.arguments or ():
        if argument.name.value == name:
            match argument.value:
                case VariableNode(name=variable):
                    return variable.value
                case IntValueNode(value=text):
                    return int(text)
                case ListValueNode(values=items):
                    return len(items)
    return None

"""A table's plan in, the tree of its places in a record out. Pure."""

from dataclasses import dataclass, field

from target_lake_parquet.columns import Column, Table

Place = tuple[str, tuple[str, ...]]
"""A table's suffix, and a path in its records."""


@dataclass(slots=True)
class Node:
    """A place in a record: a column, an array that is a table, or an object with places below."""

    column: Column | None = None
    child: Table | None = None
    below: dict[str, "Node"] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        """Tells whether this is no object with places below."""
        return self.column is not None or self.child is not None


def tree_of(table: Table) -> Node:
    """The places of a table's columns and child tables."""
    root = Node()
    leaves = [(column.path, Node(column=column)) for column in table.columns]
    for path, leaf in [*leaves, *((child.path, Node(child=child)) for child in table.children)]:
        node = root
        for part in path[:-1]:
            node = node.below.setdefault(part, Node())
        node.below[path[-1]] = leaf
    return root

"""A block of RECORD lines in, those out that may be why the fast way refused it. Pure.

msgspec reads each record with types made of the plan, strictly. A line that it refuses need not be bad, and
one that it takes may be: this only says where to look first, so that the lines around go the fast way.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Any

import msgspec

from target_lake_parquet.columns import Kind, Table
from target_lake_parquet.messages import Envelope
from target_lake_parquet.places import Node, Place, tree_of

MAX_SUSPECTS = 200
"""Where more lines of a block are odd, it is the stream that is: the block is decoded part by part."""

_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: dict[Kind, Any] = {
    Kind.STRING: str,
    Kind.INTEGER: _INT64,
    Kind.NUMBER: float,
    Kind.BOOLEAN: bool,
    Kind.TIMESTAMP: datetime,
    Kind.DATE: date,
    Kind.JSON: list[str | None],
}


class Screen:
    """Looks for odd records: `picked` columns may hold anything, `undeclared` fields are known to come."""

    def __init__(self, table: Table, picked: Collection[Place], undeclared: Collection[Place]) -> None:
        """Makes the types; the names of fields must be such as msgspec can look for."""
        self._picked, self._undeclared = picked, undeclared
        record = self._object(table, tree_of(table), ())
        envelope = msgspec.defstruct("Message", [("record", record)], bases=(Envelope,), kw_only=True)
        self._decode = msgspec.json.Decoder(envelope).decode

    def suspects(self, block: bytes) -> list[int]:
        """The places of odd lines in the block, the first is 0; empty where there are too many to tell."""
        found: list[int] = []
        for number, line in enumerate(block.removesuffix(b"\n").split(b"\n")):
            try:
                self._decode(line)
            except (msgspec.MsgspecError, RecursionError, ValueError):
                found.append(number)
                if len(found) > MAX_SUSPECTS:
                    return []
        return found

    def _object(self, table: Table, node: Node, path: tuple[str, ...]) -> type[msgspec.Struct]:
        unknown = [p[-1] for suffix, p in self._undeclared if suffix == table.suffix and p[:-1] == path]
        names = [*node.below, *(name for name in unknown if name not in node.below)]
        fields: list[tuple[str, Any, Any]] = []
        for number, name in enumerate(names):
            below = node.below.get(name)
            kind = msgspec.Raw if below is None else self._kind(table, below, (*path, name))
            is_key = below is not None and _is_key(table, below)
            fields.append((f"f{number}", kind, msgspec.NODEFAULT if is_key else None))
        return msgspec.defstruct(
            "Object",
            fields,
            rename={f"f{number}": name for number, name in enumerate(names)},
            forbid_unknown_fields=True,
            gc=False,
            kw_only=True,
        )

    def _kind(self, table: Table, node: Node, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - a type
        if node.child is not None:
            element: Any = self._object(node.child, tree_of(node.child), ()) | None
            return list[element] | None
        if node.column is None:
            return self._object(table, node, path) | None
        if (table.suffix, path) in self._picked or node.column.kind not in _TYPES:
            return msgspec.Raw
        kind = _TYPES[node.column.kind]
        return kind if _is_key(table, node) else kind | None


def _is_key(table: Table, node: Node) -> bool:
    return not table.suffix and node.column is not None and node.column.name in table.keys

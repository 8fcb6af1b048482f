"""A block of RECORD lines in, those out that may be why the fast way refused it. Pure.

msgspec reads each record with types made of the plan, strictly. A line that it refuses need not be bad, and
one that it takes may be: this only says where to look first, so that the lines around go the fast way.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from target_lake_parquet.columns import Kind, Table
from target_lake_parquet.messages import Envelope
from target_lake_parquet.places import Node, Place, tree_of
from target_lake_parquet.whole_lines import cuts

MAX_SUSPECTS = 200
"""Where more lines of a block are odd, it is the stream that is: the block is decoded part by part."""

PIECE_BYTES = 2**15
"""So much is decoded at once; the lines of a piece that holds an odd one are decoded one by one."""

LONG_LINE = 2**20
"""The fast way reads no line that is longer."""

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


class Suspect(NamedTuple):
    """A line of a block: its row, the first is 0, and where its bytes start and end."""

    row: int
    start: int
    end: int


class Screen:
    """Looks for odd records: `picked` columns may hold anything, `undeclared` fields are known to come."""

    def __init__(self, table: Table, picked: Collection[Place], undeclared: Collection[Place]) -> None:
        """Makes the types; the names of fields must be such as msgspec can look for."""
        self._picked, self._undeclared = picked, undeclared
        record = self._object(table, tree_of(table), ())
        envelope = msgspec.defstruct("Message", [("record", record)], bases=(Envelope,), kw_only=True)
        self._decode = msgspec.json.Decoder(envelope).decode_lines

    def suspects(self, block: bytes) -> list[Suspect]:
        """The odd lines of a block, in order; empty where there are too many to tell."""
        found: list[Suspect] = []
        row = 0
        for start, end in cuts(block, PIECE_BYTES):
            if self._takes(block, start, end):
                row += block.count(b"\n", start, end)
                continue
            for first, last in cuts(block, 1, start, end):
                if not self._takes(block, first, last):
                    found.append(Suspect(row, first, last))
                row += 1
            if len(found) > MAX_SUSPECTS:
                return []
        return found

    def _takes(self, block: bytes, start: int, end: int) -> bool:
        if end - start > LONG_LINE:  # it is not even copied
            return False
        try:
            self._decode(block[start:end])
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return False
        return True

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

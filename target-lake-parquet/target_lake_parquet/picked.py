"""Some fields of a block's records in, their JSON values out, so that they alone go the exact way. Pure.

The fast way reads whole columns, and cannot read a column of any shape, nor see what a schema does not name.
Here msgspec steps through each record with a type made for the plan: it decodes the picked fields, counts
those known to be undeclared, passes over all others, and refuses a record that holds any field more.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from target_lake_parquet.columns import Table
from target_lake_parquet.messages import Envelope
from target_lake_parquet.places import Node, Place, tree_of
from target_lake_parquet.values import parse_number
from target_lake_parquet.whole_lines import pieces

PIECE_BYTES = 2**17
"""So much of a block is held as objects at once."""


class Refused(Exception):  # noqa: N818 - not an error: the exact way takes it
    """A record is not what the plan says."""


@dataclass(slots=True)
class Picked:
    """Values by place, one for each row of the place's table, and how often each undeclared field was met."""

    values: dict[Place, list[Any]] = field(default_factory=dict)
    undeclared: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Object:
    """The type of the objects at one place, and what to take from each attribute of theirs."""

    type: type[msgspec.Struct]
    values: tuple[tuple[str, Place], ...]
    undeclared: tuple[tuple[str, str], ...]
    objects: tuple[tuple[str, "_Object"], ...]
    arrays: tuple[tuple[str, "_Object"], ...]

    @property
    def is_of_use(self) -> bool:
        return bool(self.values or self.undeclared or self.objects or self.arrays)


class Picker:
    """Picks the fields at certain places out of the records of one table and its child tables."""

    def __init__(
        self, table: Table, columns: Collection[Place], undeclared: Collection[Place], max_depth: int
    ) -> None:
        """Plans to pick `columns`, and to count `undeclared`.

        Raises:
            ValueError: a field has a name that msgspec cannot look for.
        """
        self._columns, self._undeclared, self._max_depth = columns, undeclared, max_depth
        self._root = self._object(table, tree_of(table), ())
        envelope = msgspec.defstruct(
            "Message", [("record", self._root.type)], bases=(Envelope,), kw_only=True
        )
        self._decoder = msgspec.json.Decoder(envelope, float_hook=parse_number)

    def pick(self, block: bytes) -> Picked:
        """Picks from the records of RECORD lines.

        Raises:
            Refused: a record is no JSON, holds a field that is neither declared nor among `undeclared`,
                another value where an object or an array of objects belongs, or is nested too deeply.
        """
        picked = Picked({place: [] for place in self._columns})
        try:
            for piece in pieces(block, PIECE_BYTES):
                messages: list[Any] = self._decoder.decode_lines(piece)
                _gather(self._root, [one.record for one in messages], picked, self._max_depth - 2)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise Refused from error
        return picked

    def _object(self, table: Table, node: Node, path: tuple[str, ...]) -> _Object:
        fields: list[tuple[str, Any, Any]] = []
        values, undeclared, objects, arrays = [], [], [], []
        unknown = [p[-1] for suffix, p in self._undeclared if suffix == table.suffix and p[:-1] == path]
        names = [*node.below, *unknown]
        for number, name in enumerate(names):
            attribute, here = f"f{number}", (*path, name)
            kind: Any = msgspec.Raw
            below = node.below.get(name)
            if below is None:
                undeclared.append((attribute, ".".join(filter(None, (table.suffix, *here)))))
                fields.append((attribute, Any, msgspec.UNSET))
                continue
            if below.child is not None:
                inner = self._object(below.child, tree_of(below.child), ())
                element: Any = inner.type | None
                kind = list[element] | None
                arrays += [(attribute, inner)] if inner.is_of_use else []
            elif below.column is None:
                inner = self._object(table, below, here)
                kind = inner.type | None
                objects += [(attribute, inner)] if inner.is_of_use else []
            elif (table.suffix, here) in self._columns:
                kind = Any
                values.append((attribute, (table.suffix, here)))
            fields.append((attribute, kind, None))
        keys = {f"f{number}": name for number, name in enumerate(names)}
        made = msgspec.defstruct("Object", fields, rename=keys, forbid_unknown_fields=True, gc=False)
        return _Object(made, tuple(values), tuple(undeclared), tuple(objects), tuple(arrays))


def _gather(plan: _Object, objects: Sequence[Any], into: Picked, levels: int) -> None:
    """Takes what is planned from objects below which so many levels may be."""
    for attribute, place in plan.values:
        values = _each(objects, attribute)
        _check_depth(values, levels)
        into.values[place] += values
    for attribute, name in plan.undeclared:
        there = [one for one in objects if one is not None and getattr(one, attribute) is not msgspec.UNSET]
        if there:
            _check_depth(_each(there, attribute), levels)
            into.undeclared[name] += len(there)
    for attribute, inner in plan.objects:
        _gather(inner, _each(objects, attribute), into, levels - 1)
    for attribute, inner in plan.arrays:
        elements = [element for array in _each(objects, attribute) if array is not None for element in array]
        _gather(inner, elements, into, levels - 2)


def _check_depth(values: Iterable[Any], levels: int) -> None:
    for value in values:
        if isinstance(value, dict | list):
            if levels <= 0:
                raise Refused
            _check_depth(value.values() if isinstance(value, dict) else value, levels - 1)


def _each(objects: Sequence[Any], attribute: str) -> list[Any]:
    return [None if one is None else getattr(one, attribute) for one in objects]


def undeclared_places(table: Table, block: bytes) -> set[Place]:
    """The fields of records that their schema does not name; of lines that can be read, that is."""
    found: set[Place] = set()
    decoder, tree = msgspec.json.Decoder(Envelope), tree_of(table)
    for line in block.split(b"\n"):
        try:
            record = msgspec.json.decode(decoder.decode(line).record)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            continue
        _look(table, tree, (), record, found)
    return found


def _look(table: Table, node: Node, path: tuple[str, ...], value: Any, found: set[Place]) -> None:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        below = node.below.get(name)
        here = (*path, name)
        if below is None:
            found.add((table.suffix, here))
        elif below.child is not None:
            tree = tree_of(below.child)
            for element in inner if isinstance(inner, list) else ():
                _look(below.child, tree, (), element, found)
        elif below.column is None:
            _look(table, below, here, inner, found)

"""Lines of records in, typed frames out: one for the stream and one for each of its child datasets. Pure.

The work goes column by column over a whole block: values are picked out of all records at once, then
converted at once. Each frame carries `ROW`, the input line of its record: later lines win over earlier ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import polars as pl

from lake_parquet.staging import ROW
from target_lake_parquet.columns import (
    PARENT,
    POSITION,
    Column,
    Kind,
    Plan,
    Table,
    kind_of_values,
    with_added,
)
from target_lake_parquet.places import Node, tree_of
from target_lake_parquet.unreadable import RECORD, explain
from target_lake_parquet.values import convert, parse_number

KEY_MISSING = "is a key property and is missing"
MAX_ADDED = 1000
"""More undeclared fields than this are no fields: an object's keys are data."""
TOO_MANY = f"is past the {MAX_ADDED} undeclared fields that become columns (set undeclared_fields to warn)"

_decoder = msgspec.json.Decoder(float_hook=parse_number)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be stored: its input line, the field, and why. Not the value: it may be secret."""

    line: int
    field: str
    reason: str


@dataclass(slots=True)
class Decoded:
    """The frames of a block by table suffix, and what was noticed on the way.

    `aside` are the lines that were taken out of the block because their records are in `bad`, by number.
    `envelopes` are what `metadata` tells of the stream's rows, where that was asked for.
    `undeclared` counts fields that the schema does not name; where they become columns, `added` counts their
    values, and `table` has their columns.
    """

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    coerced: dict[tuple[str, str], int] = field(default_factory=dict)
    undeclared: dict[str, int] = field(default_factory=dict)
    bad: list[BadRecord] = field(default_factory=list)
    aside: dict[int, bytes] = field(default_factory=dict)
    envelopes: pl.DataFrame | None = None
    added: dict[str, int] = field(default_factory=dict)
    table: Table | None = None

    def count_coerced(self, column: str, coerced: Mapping[str, int]) -> None:
        """Counts what was coerced in a column."""
        for how, count in coerced.items():
            self.coerced[(column, how)] = self.coerced.get((column, how), 0) + count


def decode(
    table: Table, lines: Sequence[int], records: Sequence[msgspec.Raw], adding: Plan | None = None
) -> Decoded:
    """Turns the `record` objects of RECORD lines into frames.

    `lines` are the records' line numbers in the input. With `adding`, fields that the schema does not name
    become columns that it names. A record that cannot be stored is named in `bad`
    and its values are null in the frames: the caller decides what becomes of the stream.
    """
    decoded = Decoded()
    objects: list[dict[str, Any] | None] = []
    for line, raw in zip(lines, records, strict=True):
        value = None
        try:
            value = _decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            decoded.bad.append(BadRecord(line, *explain(b'{"record":%b}' % bytes(raw), error)))
        else:
            if not isinstance(value, dict):
                decoded.bad.append(BadRecord(line, RECORD, "is not an object"))
                value = None
        objects.append(value)
    _check_keys(table, lines, objects, decoded)
    rows = pl.Series(ROW, lines, dtype=pl.Int64)
    decoded.table = _decode_table(table, lines, objects, [rows], decoded, adding)
    return decoded


def _check_keys(
    table: Table, lines: Sequence[int], objects: Sequence[dict[str, Any] | None], decoded: Decoded
) -> None:
    pairs = [(line, value) for line, value in zip(lines, objects, strict=True) if value is not None]
    for column in table.columns:
        if column.name in table.keys:
            absent = (line for line, value in pairs if _lacks(value, column.path))
            decoded.bad.extend(BadRecord(line, ".".join(column.path), KEY_MISSING) for line in absent)


def _lacks(value: Any, path: Sequence[str]) -> bool:  # noqa: ANN401 - any JSON value
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return True
        value = value[name]
    return False


def _decode_table(
    table: Table,
    lines: Sequence[int],
    objects: Sequence[dict[str, Any] | None],
    lead: list[pl.Series],
    decoded: Decoded,
    adding: Plan | None,
) -> Table:
    """Decodes one table; `lead` are the columns that are not in its records (row, parent keys, position).

    Returns the table with the columns that were added.
    """
    picked = _pick(table, lines, objects, decoded, adding)
    values = picked.values
    if adding:
        kinds = {
            column.path: kind_of_values(values[column.path]) for column in table.columns if column.is_added
        }
        table = with_added(
            table,
            kinds | {path: kind_of_values(found.values()) for path, found in picked.extra.items()},
            adding,
        )
        for path, found in picked.extra.items():
            values[path] = [found.get(index) for index in range(len(objects))]
    series = []
    for column in table.columns:
        if column.kind is Kind.NOTHING:
            continue
        converted = convert(column, values[column.path])
        name = full_name(table, column)
        decoded.count_coerced(name, converted.coerced)
        decoded.bad.extend(BadRecord(lines[i], name, why) for i, why in converted.bad.items())
        series.append(converted.series)
    frame = pl.DataFrame([*lead, *series])
    decoded.frames[table.suffix] = frame
    children = [
        _decode_child(table, child, lines, values[child.path], frame, decoded, adding)
        for child in table.children
    ]
    return replace(table, children=tuple(children)) if adding else table


def full_name(table: Table, column: Column) -> str:
    """A column's name, behind that of the child dataset it is in."""
    return f"{table.suffix}.{column.name}" if table.suffix else column.name


def _decode_child(
    parent: Table,
    child: Table,
    lines: Sequence[int],
    arrays: Sequence[Any],
    frame: pl.DataFrame,
    decoded: Decoded,
    adding: Plan | None,
) -> Table:
    """Explodes the arrays of one field into a table: a row an element, with parent's keys and position."""
    parents: list[int] = []
    positions: list[int] = []
    elements: list[dict[str, Any] | None] = []
    name = ".".join(filter(None, (parent.suffix, *child.path)))
    for index, array in enumerate(arrays):
        if array is None:
            continue
        if not isinstance(array, list):
            decoded.bad.append(BadRecord(lines[index], name, "is not an array"))
            continue
        for position, element in enumerate(array):
            if element is not None and not isinstance(element, dict):
                decoded.bad.append(BadRecord(lines[index], f"{name}[{position}]", "is not an object"))
                continue
            parents.append(index)
            positions.append(position)
            elements.append(element)
    where = pl.Series(parents, dtype=pl.UInt32)
    lead = [
        frame[ROW].gather(where),
        *(frame[key].gather(where).alias(PARENT + key) for key in parent.keys),
        pl.Series(POSITION, positions, dtype=pl.Int64),
    ]
    return _decode_table(child, [lines[index] for index in parents], elements, lead, decoded, adding)


@dataclass(slots=True)
class _Picked:
    """The values at the paths a table reads, in record order, None where there is none.

    `extra` holds those of undeclared fields, by the record's place; up to `room` such fields.
    """

    table: Table
    decoded: Decoded
    room: int
    values: dict[tuple[str, ...], list[Any]] = field(default_factory=dict)
    extra: dict[tuple[str, ...], dict[int, Any]] = field(default_factory=dict)

    def undeclared(self, path: tuple[str, ...], line: int, index: int, value: object) -> None:
        """Counts a field that the schema does not name, and keeps it where such fields become columns."""
        name = ".".join(filter(None, (self.table.suffix, *path)))
        counts = self.decoded.undeclared
        counts[name] = counts.get(name, 0) + 1
        if path in self.extra or len(self.extra) < self.room:
            self.extra.setdefault(path, {})[index] = value
        elif self.room:
            self.decoded.bad.append(BadRecord(line, name, TOO_MANY))


def _pick(
    table: Table,
    lines: Sequence[int],
    objects: Sequence[dict[str, Any] | None],
    decoded: Decoded,
    adding: Plan | None,
) -> _Picked:
    room = MAX_ADDED - sum(column.is_added for column in table.columns) if adding else 0
    picked = _Picked(table, decoded, room)
    _descend(tree_of(table), (), lines, objects, picked)
    return picked


def _descend(
    node: Node, path: tuple[str, ...], lines: Sequence[int], objects: Sequence[Any], picked: _Picked
) -> None:
    known = node.below.keys()
    for index, value in enumerate(objects):
        if value and not value.keys() <= known:
            for name in [name for name in value if name not in known]:
                picked.undeclared((*path, name), lines[index], index, value[name])
    for name, below in node.below.items():
        values = [None if value is None else value.get(name) for value in objects]
        here = (*path, name)
        if below.is_leaf:
            picked.values[here] = values
            continue
        for index, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                picked.decoded.bad.append(BadRecord(lines[index], ".".join(here), "is not an object"))
                values[index] = None
        _descend(below, here, lines, values, picked)

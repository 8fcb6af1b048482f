"""A block of RECORD lines in, typed frames out, as whole columns: the fast way. Pure.

pyarrow parses the block with an explicit schema, on one of two threads, and refuses what is not of it.
Whatever this way cannot take, or cannot be sure of, it leaves to the exact way (`decode`) by returning None:
both ways make the same frames of the same lines: `tests/target/test_fast_equals_exact.py` holds them to it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from lake_parquet.staging import ROW
from lake_parquet.widen import MAX_DIGITS
from target_lake_parquet.caps import MAX_NUMBER, is_utf8
from target_lake_parquet.columns import (
    PARENT,
    POSITION,
    Column,
    Kind,
    Table,
    kind_of_values,
    wider,
)
from target_lake_parquet.dates import Converted, convert_dates, convert_timestamps
from target_lake_parquet.decode import Decoded, full_name
from target_lake_parquet.messages import MAX_DEPTH
from target_lake_parquet.metadata import envelopes_of
from target_lake_parquet.picked import Picked, Picker, Refused
from target_lake_parquet.places import Node, Place, tree_of
from target_lake_parquet.suspects import LONG_LINE
from target_lake_parquet.values import TINY, convert

PARSE_BYTES = LONG_LINE
MAX_PARSE_BYTES = 2**31 - 1
"""pyarrow reads a block in such parts; long lines alone as one part, as large as it takes."""

_PLAIN: Mapping[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.string(),
    Kind.DATE: pa.string(),
    Kind.JSON: pa.list_(pa.string()),  # where it is no such list it is picked
    Kind.NOTHING: pa.null(),
}
NOTHING = "\0"
"""A field that no record has: pyarrow reads no object without fields."""

# Every digit and point becomes 0, so that a run of them can be found by a plain search.
_SHAPE = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))
_ESCAPED = bytes([*range(0x20), *b'"\\\x7f'])
"""What is not as it is in JSON text."""
# taken from a series, for pyarrow's own way to make a scalar imports pandas where it is installed
_QUOTE, _COMMA, _OPEN, _CLOSE, _NULL, _BETWEEN = (
    pl.Series(['"', ",", "[", "]", "null", ""]).to_arrow().cast(pa.string())
)
_LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9][0-9.]{15}")
_LARGE_EXPONENT = re.compile(rb'[eE](?:\+?[0-9]{2,}|-0*[1-9][0-9]+)["\s,}\]]')
_TINY_NUMBER = re.compile(rb"[:,\[\s]-?[0-9.]+[eE]-[0-9]{3}")


class Unsure(Exception):  # noqa: N818 - not an error: the exact way is sure
    """This way cannot tell what the block means."""


@dataclass(frozen=True, slots=True)
class FastPlan:
    """How to read a stream's records: whole columns by pyarrow, those of `picked` value by value.

    `undeclared` are fields that are known to come though the schema does not name them. `decimal_digits` are
    those that each decimal column surely holds, also with an exponent of one more digit.
    """

    table: Table
    options: pj.ParseOptions
    has_numbers: bool
    decimal_digits: int | None
    picked: frozenset[Place]
    undeclared: frozenset[Place]
    picker: Picker | None
    reads_envelopes: bool = False


def plan_of(
    table: Table,
    picked: Collection[Place] = (),
    undeclared: Collection[Place] = (),
    *,
    reads_envelopes: bool = False,
    max_depth: int = MAX_DEPTH,
    any_members: bool = False,
) -> FastPlan | None:
    """Plans the fast way for a stream; None where a field's name stands in its way.

    pyarrow reads nothing that nests deeper than the plan, and the picker counts: so depth is bounded. With
    `any_members` messages may have more of them than Singer knows, which pyarrow by itself refuses.
    """
    if _depth(table) > max_depth or _may_hold_a_message(tree_of(table)):
        return None
    places = {(member.suffix, column.path): column for member in table.family() for column in member.columns}
    picks = frozenset(picked) | {
        place for place, column in places.items() if column.kind is Kind.JSON and not column.is_string_list
    }
    try:
        needs_picker = any_members or picks or undeclared
        picker = Picker(table, picks, undeclared, max_depth) if needs_picker else None
    except ValueError:
        return None
    record = _struct(table, tree_of(table), (), picks)
    fields = {"type": pa.string(), "stream": pa.string(), "record": record}
    envelope = pa.schema({**fields, "time_extracted": pa.string(), "version": pa.int64()})
    # the picker sees each field that comes unasked; without one pyarrow must
    options = pj.ParseOptions(
        explicit_schema=envelope, unexpected_field_behavior="ignore" if picker else "error"
    )
    read = {column.kind for place, column in places.items() if place not in picks}
    scales = [c.scale for place, c in places.items() if place not in picks and c.kind is Kind.DECIMAL]
    return FastPlan(
        table,
        options,
        Kind.NUMBER in read,
        max(MAX_DIGITS - 9 - max(scales), 0) if scales else None,
        picks,
        frozenset(undeclared),
        picker,
        reads_envelopes,
    )


def decode_fast(plan: FastPlan, block: bytes, lines: pl.Series) -> Decoded | None:
    """Turns a block of RECORD lines of one stream into frames; None where only the exact way can.

    Every line of `block` must be a RECORD message of the stream; `lines` are their numbers in the input.
    """
    are_long = len(block) > LONG_LINE * len(lines)
    decoded = _decode_columns(plan, block, lines, MAX_PARSE_BYTES if are_long else PARSE_BYTES)
    if are_long:  # what their columns took on the way is worth several blocks, and Arrow would keep it
        pa.default_memory_pool().release_unused()
    return decoded


def _decode_columns(plan: FastPlan, block: bytes, lines: pl.Series, parse_bytes: int) -> Decoded | None:
    are_torn = plan.picker and not _end_with_lines(block, len(lines))
    if are_torn or not is_utf8(block) or _has_odd_numbers(plan, block):
        return None
    # blocks are decoded on threads already: more of them would only get into each other's way
    read = pj.ReadOptions(use_threads=False, block_size=min(len(block), parse_bytes))
    try:
        picked = plan.picker.pick(block) if plan.picker else Picked()
        parsed = pj.read_json(pa.BufferReader(block), read_options=read, parse_options=plan.options)
    except (Refused, pa.ArrowException, UnicodeDecodeError):
        return None
    record = _one_array(parsed["record"])
    if parsed.num_rows != len(lines) or record.null_count:
        return None
    decoded = Decoded(undeclared=dict(picked.undeclared))
    if plan.reads_envelopes:
        decoded.envelopes = envelopes_of(_one_array(parsed["time_extracted"]), pl.Series(parsed["version"]))
    del parsed
    try:
        _decode_table(plan.table, record, picked.values, [lines.alias(ROW)], decoded)
    except Unsure:
        return None
    if _has_near_zeros(plan, decoded) and _has_tiny_numbers(block):
        return None
    rows = decoded.frames[""]
    # a null key may be a missing one, which the exact way refuses
    return None if any(rows[key].null_count() for key in plan.table.keys) else decoded


def _one_array(chunks: pa.ChunkedArray) -> pa.Array:
    """The values of a column in one array; those of a long line are there already, and large."""
    return chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()


def _depth(table: Table, level: int = 2) -> int:
    """How deep a line can nest that fits `table`, whose records stand at `level`."""
    columns = [level + len(column.path) - 1 + column.is_string_list for column in table.columns]
    children = [_depth(child, level + len(child.path) + 1) for child in table.children]
    return max([level, *columns, *children])


def _may_hold_a_message(node: Node) -> bool:
    """Tells whether some object below may be read from a line of its own: pyarrow reads over line ends.

    So the next message could be taken for a value within the one before, where that has the same fields.
    """
    if node.child is not None:
        return _may_hold_a_message(tree_of(node.child))
    return node.below.keys() >= {"type", "stream", "record"} or any(
        map(_may_hold_a_message, node.below.values())
    )


def _end_with_lines(block: bytes, lines: int) -> bool:
    """Tells whether messages end with the lines: the picker, and pyarrow beside it, read over line ends.

    Within JSON no object follows another without a comma: here one ends, and the next begins.
    """
    return block.count(b"}\n{") + block.count(b"}\r\n{") + 1 == lines


def _has_odd_numbers(plan: FastPlan, block: bytes) -> bool:
    """Tells whether a number may be too long for anything, or be read by pyarrow as another one."""
    # of a thousand digits in a row, fifteen stand at every 64th place
    is_odd = b"0" * 15 in block[::64].translate(_SHAPE) and b"0" * MAX_NUMBER in block.translate(_SHAPE)
    if is_odd or (plan.has_numbers and _has_long_numbers(block)):
        return True
    return plan.decimal_digits is not None and _has_large_decimals(block, plan.decimal_digits)


def _has_large_decimals(block: bytes, digits: int) -> bool:
    """Tells whether a number may not fit a decimal128: pyarrow's check looks at what an overflow left.

    Nor does it look at how small a number is: more than 38 digits behind the column's last make it read past
    its table of powers. What stands there makes a zero of `1e-48`, and `1e-10000000` is a crash.
    """
    every_fourth = block[::4].translate(_SHAPE)
    if b"0" * ((digits + 1) // 4) in every_fourth and b"0" * (digits + 1) in block.translate(_SHAPE):
        return True
    for hit in _LARGE_EXPONENT.finditer(block):  # it may be part of a hash, or of any text
        start = hit.start()
        while block[start - 1] in b"0123456789.":
            start -= 1
        if start < hit.start() and block[start - 1] in b'+-:,[ \t\r"':
            return True
    return False


def _has_long_numbers(block: bytes) -> bool:
    """Tells whether a number may have more digits than a float64 holds."""
    # of sixteen digits in a row, four stand at every fourth place: a quarter of the bytes says "no" for most
    if b"0" * 4 not in block[::4].translate(_SHAPE):
        return False
    return b"0" * 16 in block.translate(_SHAPE) and _LONG_NUMBER.search(block) is not None


def _has_near_zeros(plan: FastPlan, decoded: Decoded) -> bool:
    return any(
        _is_any_below(decoded.frames[member.suffix][column.name].to_arrow(), 10 * TINY)
        for member in plan.table.family()
        for column in member.columns
        if column.kind is Kind.NUMBER and (member.suffix, column.path) not in plan.picked
    )


def _is_any_below(numbers: pa.Array, limit: float) -> bool:
    smallest = pc.min(pc.abs(numbers)).as_py()
    return smallest is not None and smallest < limit


def _has_tiny_numbers(block: bytes) -> bool:
    """Tells whether a number may be too small for a float64, and so be read as a wrong one."""
    return (b"e-" in block or b"E-" in block) and _TINY_NUMBER.search(block) is not None


def _struct(table: Table, node: Node, path: tuple[str, ...], picks: Collection[Place]) -> pa.StructType:
    """The type of the objects at a place, without what is picked."""
    fields = []
    for name, below in node.below.items():
        here = (*path, name)
        if below.child is not None:
            fields.append(pa.field(name, pa.list_(_struct(below.child, tree_of(below.child), (), picks))))
        elif below.column is None:
            inner = _struct(table, below, here, picks)
            fields += [pa.field(name, inner)] if inner.names != [NOTHING] else []
        elif (table.suffix, here) not in picks:
            fields.append(pa.field(name, _type(below.column)))
    return pa.struct(fields or [pa.field(NOTHING, pa.bool_())])


def _type(column: Column) -> pa.DataType:
    if column.kind is Kind.DECIMAL:
        return pa.decimal128(MAX_DIGITS, column.scale)
    return _PLAIN[column.kind]


def _decode_table(
    table: Table,
    record: pa.StructArray,
    picked: Mapping[Place, list[Any]],
    lead: list[pl.Series],
    decoded: Decoded,
) -> None:
    arrays: dict[tuple[str, ...], pa.Array] = {}
    _flatten(record, (), arrays)
    columns = []
    for column in table.columns:
        if column.kind is Kind.NOTHING:
            continue
        values = picked.get((table.suffix, column.path))
        if (
            values is not None
            and column.is_added
            and wider(column.kind, kind_of_values(values)) != column.kind
        ):
            raise Unsure
        converted = _converted(column, arrays[column.path]) if values is None else convert(column, values)
        if converted.bad:
            raise Unsure
        decoded.count_coerced(full_name(table, column), converted.coerced)
        columns.append(converted.series.alias(column.name))
    frame = pl.DataFrame([*lead, *columns])
    decoded.frames[table.suffix] = frame
    for child in table.children:
        array = arrays[child.path]
        parents = pc.list_parent_indices(array)
        above = frame[[ROW, *table.keys]][pl.Series(parents)]
        lead_of_child = [
            above[ROW],
            *(above[key].alias(PARENT + key) for key in table.keys),
            pl.Series(POSITION, _positions(array, parents)),
        ]
        _decode_table(child, array.flatten(), picked, lead_of_child, decoded)


def _positions(lists: pa.ListArray, parents: pa.Int64Array) -> pa.Int64Array:
    """Where each element stands in its list."""
    counts = pc.list_value_length(lists).cast(pa.int64())
    before = pc.subtract(pc.cumulative_sum(counts, skip_nulls=True), counts)
    return pc.subtract(pa.arange(0, len(parents)), pc.take(before, parents))


def _flatten(struct: pa.StructArray, path: tuple[str, ...], into: dict[tuple[str, ...], pa.Array]) -> None:
    """Collects the arrays below a struct, null where a struct above is."""
    for field, array in zip(struct.type, struct.flatten(), strict=True):
        here = (*path, field.name)
        if pa.types.is_struct(field.type):
            _flatten(array, here, into)
        else:
            into[here] = array


def _converted(column: Column, array: pa.Array) -> Converted:
    """A column of its final type; raises `Unsure` where a value is not what it should be."""
    if column.kind in (Kind.TIMESTAMP, Kind.DATE):
        is_date = column.kind is Kind.DATE
        return convert_dates(array) if is_date else convert_timestamps(array, column.zone)
    if column.kind is Kind.NUMBER and pc.all(pc.is_finite(array)).as_py() is False:
        raise Unsure
    return Converted(_json_lists(array) if column.kind is Kind.JSON else pl.Series(array))


def _json_lists(lists: pa.ListArray) -> pl.Series:
    """Lists of strings as JSON text. Strings that need escapes are left to the exact way."""
    texts = lists.values
    characters = _characters(texts)
    if len(characters.translate(None, _ESCAPED)) < len(characters):
        raise Unsure
    quoted = pc.fill_null(pc.binary_join_element_wise(_QUOTE, texts, _QUOTE, _BETWEEN), _NULL)
    joined = pc.binary_join(pa.ListArray.from_arrays(lists.offsets, quoted), _COMMA)
    json = pc.binary_join_element_wise(_OPEN, joined, _CLOSE, _BETWEEN)
    nulls = pa.nulls(len(lists), pa.string())
    return pl.Series(pc.if_else(lists.is_valid(), json, nulls).cast(pa.binary()))


def _characters(texts: pa.StringArray) -> bytes:
    """The characters of strings, one after the other."""
    if not len(texts):
        return b""
    _, offsets, characters = texts.buffers()
    bounds = pa.Array.from_buffers(pa.int32(), texts.offset + len(texts) + 1, [None, offsets])
    return bytes(characters or b"")[bounds[texts.offset].as_py() : bounds[-1].as_py()]

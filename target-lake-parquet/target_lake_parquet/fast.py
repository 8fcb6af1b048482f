"""A block of RECORD lines in, typed frames out, as whole columns: the fast way. Pure.

pyarrow parses the block with an explicit schema, on all cores, and refuses what is not of it. Whatever this
way cannot take, or cannot be sure of, it leaves to the exact way (`decode`) by returning None: both ways make
the same frames of the same lines, which `tests/target/test_fast_equals_exact.py` holds them to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from lake_parquet.staging import ROW
from target_lake_parquet.columns import MAX_DIGITS, PARENT, POSITION, Column, Kind, Table
from target_lake_parquet.decode import Decoded
from target_lake_parquet.metadata import envelopes_of
from target_lake_parquet.values import convert_dates, convert_timestamps

PARSE_BYTES = 2**20
"""pyarrow splits a block into such parts for its threads; a line longer than one goes the exact way."""

_PLAIN: Mapping[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.string(),
    Kind.DATE: pa.string(),
}

# Every digit and point becomes 0, so that a run of them can be found by a plain search.
_SHAPE = bytes(
    ord("0")
    if chr(byte) in "0123456789."
    else byte
    if chr(byte) in "e-"
    else ord("e")
    if byte == ord("E")
    else 32
    for byte in range(256)
)
_LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9][0-9.]{15}")
_TINY_NUMBER = re.compile(rb"[:,\[\s]-?[0-9.]+[eE]-[0-9]{3}")


@dataclass(slots=True)
class _Node:
    """A place in the record: a column, an array that is a table, or an object with places below."""

    column: Column | None = None
    child: Table | None = None
    below: dict[str, "_Node"] = field(default_factory=dict)


class Unsure(Exception):  # noqa: N818 - not an error: the exact way is sure
    """This way cannot tell what the block means."""


@dataclass(frozen=True, slots=True)
class FastPlan:
    """How pyarrow shall read a stream's records."""

    table: Table
    options: pj.ParseOptions
    has_numbers: bool
    reads_envelopes: bool = False


def plan_of(table: Table, *, reads_envelopes: bool = False) -> FastPlan | None:
    """Plans the fast way for a stream; None where a column holds JSON text of no fixed shape."""
    try:
        record = _struct(_tree(table))
    except Unsure:
        return None
    fields = {"type": pa.string(), "stream": pa.string(), "record": record}
    envelope = pa.schema({**fields, "time_extracted": pa.string(), "version": pa.int64()})
    options = pj.ParseOptions(explicit_schema=envelope, unexpected_field_behavior="error")
    kinds = {column.kind for member in table.family() for column in member.columns}
    return FastPlan(table, options, Kind.NUMBER in kinds, reads_envelopes)


def decode_fast(plan: FastPlan, block: bytes, lines: pl.Series) -> Decoded | None:
    """Turns a block of RECORD lines of one stream into frames; None where only the exact way can.

    Every line of `block` must be a RECORD message of the stream; `lines` are their numbers in the input.
    """
    if not _is_utf8(block) or (plan.has_numbers and _has_odd_numbers(block)):
        return None
    read = pj.ReadOptions(use_threads=True, block_size=PARSE_BYTES)
    try:
        parsed = pj.read_json(pa.BufferReader(block), read_options=read, parse_options=plan.options)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    record = parsed["record"].combine_chunks()
    if parsed.num_rows != len(lines) or record.null_count:
        return None
    decoded = Decoded()
    if plan.reads_envelopes:
        decoded.envelopes = envelopes_of(pl.Series(parsed["time_extracted"]), pl.Series(parsed["version"]))
    try:
        _decode_table(plan.table, record, [lines.alias(ROW)], decoded)
    except Unsure:
        return None
    keys = decoded.frames[""].select(plan.table.keys)
    # a null key may be a missing one, which the exact way refuses
    return None if any(series.null_count() for series in keys) else decoded


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_odd_numbers(block: bytes) -> bool:
    """Tells whether a number may have more digits than a float64 holds, or be too small for one."""
    shape = block.translate(_SHAPE)
    if b"0" * 16 in shape and _LONG_NUMBER.search(block):
        return True
    if b"e-" not in block and b"E-" not in block:
        return False
    return b"0e-000" in shape and _TINY_NUMBER.search(block) is not None


def _tree(table: Table) -> _Node:
    root = _Node()
    for path, leaf in [(column.path, _Node(column=column)) for column in table.columns] + [
        (child.path, _Node(child=child)) for child in table.children
    ]:
        node = root
        for part in path[:-1]:
            node = node.below.setdefault(part, _Node())
        node.below[path[-1]] = leaf
    return root


def _struct(node: _Node) -> pa.DataType:
    return pa.struct([pa.field(name, _type(below)) for name, below in node.below.items()])


def _type(node: _Node) -> pa.DataType:
    if node.child is not None:
        return pa.list_(_struct(_tree(node.child)))
    column = node.column
    if column is None:
        return _struct(node)
    if column.kind is Kind.DECIMAL:
        return pa.decimal128(MAX_DIGITS, column.scale)
    if column.kind is Kind.JSON:
        if not column.is_string_list:
            raise Unsure
        return pa.list_(pa.string())
    return _PLAIN[column.kind]


def _decode_table(table: Table, record: pa.StructArray, lead: list[pl.Series], decoded: Decoded) -> None:
    arrays: dict[tuple[str, ...], pa.Array] = {}
    _flatten(record, (), _tree(table), arrays)
    columns = [_series(column, arrays[column.path]) for column in table.columns]
    frame = pl.DataFrame([*lead, *columns])
    decoded.frames[table.suffix] = frame
    for child in table.children:
        array = arrays[child.path]
        parents = pl.Series(pc.list_parent_indices(array))
        counts = pl.Series(pc.list_value_length(array)).fill_null(0).cast(pl.Int64)
        starts = (counts.cum_sum() - counts).gather(parents)
        positions = pl.int_range(len(parents), eager=True) - starts
        lead_of_child = [
            frame[ROW].gather(parents),
            *(frame[key].gather(parents).alias(PARENT + key) for key in table.keys),
            positions.alias(POSITION),
        ]
        _decode_table(child, array.flatten(), lead_of_child, decoded)


def _flatten(
    struct: pa.StructArray, path: tuple[str, ...], node: _Node, into: dict[tuple[str, ...], pa.Array]
) -> None:
    """Collects the arrays below a struct, null where a struct above is."""
    for (name, below), array in zip(node.below.items(), struct.flatten(), strict=True):
        here = (*path, name)
        if below.column is None and below.child is None:
            _flatten(array, here, below, into)
        else:
            into[here] = array


def _series(column: Column, array: pa.Array) -> pl.Series:
    """A column of its final type; raises `Unsure` where a value is not what it should be."""
    series = pl.Series(column.name, array)
    if column.kind is Kind.NUMBER and not series.is_finite().all():
        raise Unsure
    if column.kind in (Kind.TIMESTAMP, Kind.DATE):
        convert = convert_timestamps if column.kind is Kind.TIMESTAMP else convert_dates
        converted = convert(series)
        if converted.bad:
            raise Unsure
        return converted.series.alias(column.name)
    return _json_lists(series) if column.kind is Kind.JSON else series


def _json_lists(lists: pl.Series) -> pl.Series:
    """Lists of strings as JSON text. Strings that need escapes are left to the exact way."""
    element = pl.element()
    if lists.explode().str.contains(r'[\x00-\x1f"\\\x7f]').any():
        raise Unsure
    quoted = pl.when(element.is_null()).then(pl.lit("null")).otherwise(pl.lit('"') + element + pl.lit('"'))
    frame = lists.to_frame("lists").select(
        pl.when(pl.col("lists").is_not_null())
        .then(pl.lit("[") + pl.col("lists").list.eval(quoted).list.join(",") + pl.lit("]"))
        .alias(lists.name)
    )
    return frame.to_series()

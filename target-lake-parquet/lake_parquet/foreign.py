"""A Parquet file of other making in, its rows as JSON texts out: exact values, and bounded memory.

Such a file is input like any other: what it claims is checked before it is read, and text that is written
down once for many rows is unpacked in slices only.
"""

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake_parquet.errors import LakeError

MAX_FOOTER_BYTES = 32 * 2**20
MAX_COLUMNS = 20_000
MAX_RATIO = 500
HARMLESS_BYTES = 64 * 2**20
"""A column that grows by more than `MAX_RATIO`, and past this, is a bomb."""
CELLS = 2**18
"""So many values are decoded at once."""
SLICE_BYTES = 4 * 2**20
"""So much of a row group becomes JSON at once."""
TRAILER_BYTES = 8
"""A Parquet file ends with the length of its footer and a magic word."""
MAGIC = b"PAR1"

_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Of the years 1 to 9999 in UTC, counted from 1970: past them Arrow writes other years, or its own words."""

_AS_TEXT = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_large_string)
_AS_THEY_ARE = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_decimal,
    pa.types.is_string,
)
_encoder = msgspec.json.Encoder(decimal_format="number")


class ForeignParquetError(LakeError):
    """A Parquet file of other making cannot be read, or is refused."""


def json_rows(file: BinaryIO, max_bytes: int, max_row_bytes: int) -> Iterator[list[bytes]]:
    """The rows of a Parquet file as JSON objects, some at a time.

    Decimals keep their digits; dates and times are ISO 8601 text, with `Z` or an offset where they have one.
    What JSON cannot say (NaN, infinity, a year outside 1 to 9999) is written as NaN or Infinity all the same:
    the reader refuses that row.

    Raises:
        ForeignParquetError: it is damaged, holds binary columns, or would become more than `max_bytes`.
    """
    try:
        with _opened(file, max_bytes) as parquet:
            types = pa.schema(
                [(field.name, _text_type(field.type, field.name)) for field in parquet.schema_arrow]
            )
            total = 0
            for batch in parquet.iter_batches(batch_size=_rows_at_once(parquet.metadata), use_threads=False):
                for part in _slices(batch, max_row_bytes):
                    texts = _texts(part, types)
                    total += sum(map(len, texts))
                    if total > max_bytes:
                        raise _too_large(max_bytes)
                    yield texts
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
        raise ForeignParquetError(f"it is no sound Parquet file ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _too_large(max_bytes: int) -> ForeignParquetError:
    limit = max_bytes // 2**20
    return ForeignParquetError(f"it holds more than {limit} MiB: set max_batch_mb higher if the tap means it")


def _opened(file: BinaryIO, max_bytes: int) -> pq.ParquetFile:
    """Opens a file whose footer claims nothing unreasonable; repeated texts stay written down once."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TRAILER_BYTES))
    length, magic = file.read(4), file.read(4)
    if magic != MAGIC:
        raise ForeignParquetError("it is no sound Parquet file (its last word is not PAR1)")
    if int.from_bytes(length, "little") > MAX_FOOTER_BYTES:
        raise ForeignParquetError(f"its footer is larger than {MAX_FOOTER_BYTES // 2**20} MiB")
    file.seek(0)
    metadata = pq.read_metadata(file)
    names = metadata.schema.to_arrow_schema().names
    if metadata.num_columns > MAX_COLUMNS:
        raise ForeignParquetError(f"it has {metadata.num_columns} columns, more than {MAX_COLUMNS}")
    if len(set(names)) < len(names):
        raise ForeignParquetError("two of its columns have the same name")
    claimed = 0
    for chunk in _chunks(metadata):
        claimed += chunk.total_uncompressed_size
        if chunk.total_uncompressed_size > max(HARMLESS_BYTES, MAX_RATIO * chunk.total_compressed_size):
            raise ForeignParquetError(f"it grows more than {MAX_RATIO} times as it is unpacked, as bombs do")
    least = metadata.num_rows * sum(len(name) + len('"":0,') for name in names)
    if max(claimed, least) > max_bytes:
        raise _too_large(max_bytes)
    file.seek(0)
    texts = [
        column.path
        for column in map(metadata.schema.column, range(metadata.num_columns))
        if column.physical_type == "BYTE_ARRAY"
    ]
    return pq.ParquetFile(file, metadata=metadata, read_dictionary=texts, buffer_size=2**20, pre_buffer=False)


def _chunks(metadata: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        yield from map(group.column, range(group.num_columns))


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """How many rows hold about `CELLS` values, elements of arrays counted."""
    values = int(sum(chunk.num_values for chunk in _chunks(metadata)))
    return max(1, min(2**14, CELLS * int(metadata.num_rows) // max(1, values)))


def _text_type(kind: pa.DataType, name: str) -> pa.DataType:
    """The type that a column's values have on their way into JSON."""
    is_type = pa.types
    if is_type.is_dictionary(kind):
        result = _text_type(kind.value_type, name)
    elif is_type.is_struct(kind):
        result = pa.struct([(field.name, _text_type(field.type, name)) for field in kind])
    elif is_type.is_map(kind):
        result = pa.map_(_text_type(kind.key_type, name), _text_type(kind.item_type, name))
    elif is_type.is_list(kind) or is_type.is_large_list(kind) or is_type.is_fixed_size_list(kind):
        result = pa.list_(_text_type(kind.value_type, name))
    elif is_type.is_floating(kind):
        result = pa.float64()
    elif any(matches(kind) for matches in _AS_TEXT):
        result = pa.string()
    elif any(matches(kind) for matches in _AS_THEY_ARE):
        result = kind
    else:
        raise ForeignParquetError(
            f"column {name!r} is of type {kind}, which JSON has no value for: leave it out at the tap"
        )
    return result


def _slices(batch: pa.RecordBatch, max_row_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cuts rows into slices that are small as JSON."""
    size = sum(map(_weight, batch.columns))
    if size <= SLICE_BYTES or batch.num_rows <= 1:
        if size > max(SLICE_BYTES, max_row_bytes):
            limit = max_row_bytes // 2**20
            raise ForeignParquetError(
                f"it has a row longer than {limit} MiB: set max_line_mb higher if the tap means it"
            )
        yield batch
        return
    half = batch.num_rows // 2
    yield from _slices(batch.slice(0, half), max_row_bytes)
    yield from _slices(batch.slice(half), max_row_bytes)


def _weight(array: pa.Array) -> int:
    """About the bytes of an array's values as text; texts written down once count as often as they stand."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return (pc.sum(lengths).as_py() or 0) + len(array)
    if pa.types.is_struct(kind):
        names = len(array) * sum(len(field.name) + 4 for field in kind)
        return names + sum(map(_weight, array.flatten()))
    if pa.types.is_map(kind):
        return len(array) + _weight(array.keys) + _weight(array.items)
    if pa.types.is_nested(kind):
        return len(array) + _weight(array.flatten())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return (pc.sum(pc.binary_length(array)).as_py() or 0) + len(array)
    return 8 * len(array)


def _texts(batch: pa.RecordBatch, types: pa.Schema) -> list[bytes]:
    """The rows of a slice as JSON objects."""
    columns = [_values(column, field.type) for column, field in zip(batch.columns, types, strict=True)]
    rows = zip(*columns, strict=True) if columns else iter([()] * batch.num_rows)
    return [_encoder.encode(dict(zip(types.names, row, strict=True))) for row in rows]


def _values(array: pa.Array, kind: pa.DataType) -> Sequence[Any]:
    """The values of a column, as Python has them."""
    if pa.types.is_nested(array.type):  # a slice would have all its parent's elements cast
        array = array.take(pa.array(range(len(array)), pa.int64()))
    texts = array.cast(kind)
    if pa.types.is_timestamp(array.type):
        texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
    values: list[Any] = texts.to_pylist(maps_as_pydicts="strict")
    if _is_sayable(array):
        return values
    numbers = array.cast(_number_type(array.type, kind)).to_pylist(maps_as_pydicts="strict")
    return [_said(text, number, array.type) for text, number in zip(values, numbers, strict=True)]


def _is_sayable(array: pa.Array) -> bool:
    """Tells whether JSON has a value for all numbers and moments of a column."""
    kind = array.type
    if pa.types.is_struct(kind):
        return all(map(_is_sayable, array.flatten()))
    if pa.types.is_map(kind):
        return _is_sayable(array.items)
    if pa.types.is_nested(kind):
        return _is_sayable(array.flatten())
    if pa.types.is_floating(kind):
        return pc.all(pc.is_finite(array)).as_py() is not False
    if (bounds := _bounds(kind)) is None:
        return True
    ends = pc.min_max(array.cast(_number_type(kind, kind))).as_py()
    return ends["min"] is None or (bounds[0] <= ends["min"] and ends["max"] <= bounds[1])


def _bounds(kind: pa.DataType) -> tuple[int, int] | None:
    """The first and the last moment of the years 1 to 9999, as a column of type `kind` counts them."""
    if pa.types.is_date32(kind):
        return _FIRST_SECOND // 86_400, _LAST_SECOND // 86_400
    units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    unit = units["ms"] if pa.types.is_date64(kind) else units[kind.unit] if pa.types.is_timestamp(kind) else 0
    return (_FIRST_SECOND * unit, _LAST_SECOND * unit + unit - 1) if unit else None


def _number_type(kind: pa.DataType, text: pa.DataType) -> pa.DataType:
    """The type `text` that a column has on its way into JSON, with moments as the numbers that they are."""
    if pa.types.is_struct(kind):
        return pa.struct([(one.name, _number_type(one.type, text.field(one.name).type)) for one in kind])
    if pa.types.is_map(kind):
        return pa.map_(text.key_type, _number_type(kind.item_type, text.item_type))
    if pa.types.is_nested(kind):
        return pa.list_(_number_type(kind.value_type, text.value_type))
    if pa.types.is_date32(kind):
        return pa.int32()
    return text if _bounds(kind) is None else pa.int64()


def _said(text: Any, number: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 - any value
    """A value with words that are no JSON for what that cannot say; `number` is it with moments as numbers.

    Databases have an infinite moment, and write it as one that is far away.
    """
    if text is None or pa.types.is_null(kind):
        return None
    said = text
    if pa.types.is_struct(kind):
        said = {one.name: _said(text[one.name], number[one.name], one.type) for one in kind}
    elif pa.types.is_map(kind):
        said = {key: _said(value, number[key], kind.item_type) for key, value in text.items()}
    elif pa.types.is_nested(kind):
        said = [_said(*pair, kind.value_type) for pair in zip(text, number, strict=True)]
    elif (bounds := _bounds(kind)) is not None and not bounds[0] <= number <= bounds[1]:
        said = msgspec.Raw(b"Infinity" if number > 0 else b"-Infinity")
    elif isinstance(text, float) and not math.isfinite(text):
        said = msgspec.Raw(b"NaN" if math.isnan(text) else b"Infinity" if text > 0 else b"-Infinity")
    return said

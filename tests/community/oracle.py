"""What a recorded Singer stream must look like in the lake, worked out without a line of the target's code.

A table of examples (`expected.py`) says what kind each column is of; from that, and the JSONL itself, this
module computes the rows as plain Python, and reads the same rows back with Polars, pyarrow and DuckDB.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from pyarrow import parquet as pq

Row = dict[str, Any]
Kinds = Mapping[str, str]


# --- the recording ------------------------------------------------------------------------------


@dataclass
class Stream:
    """What a tap sent of one stream."""

    keys: tuple[str, ...] = ()
    records: list[Row] = field(default_factory=list)

    def live(self) -> list[Row]:
        """The last record of each key, none that was deleted; every record where there are no keys."""
        if not self.keys:
            return self.records
        last = {tuple(record[key] for key in self.keys): record for record in self.records}
        return [record for record in last.values() if record.get("_sdc_deleted_at") is None]


@dataclass
class Recording:
    """A tap's whole output."""

    streams: defaultdict[str, Stream]
    last_state: Any


def replay(path: Path) -> Recording:
    """Reads a recording, decimals exact."""
    recording = Recording(defaultdict(Stream), None)
    for line in path.read_bytes().splitlines():
        message = json.loads(line, parse_float=Decimal)
        if message["type"] == "SCHEMA":
            recording.streams[message["stream"]].keys = tuple(message.get("key_properties", ()))
        elif message["type"] == "RECORD":
            recording.streams[message["stream"]].records.append(message["record"])
        elif message["type"] == "STATE":
            recording.last_state = message["value"]
    return recording


# --- what it must become ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class JsonText:
    """Equals any text that is JSON of this value: spaces and the form of a number are nobody's business."""

    value: Any

    def __eq__(self, other: object) -> bool:
        """Whether `other` is such a text."""
        if isinstance(other, JsonText):
            return bool(_strict(self.value) == _strict(other.value))
        return isinstance(other, str) and bool(_strict(_parsed(other)) == _strict(self.value))

    def __hash__(self) -> int:
        """None to offer: texts that are equal to it differ."""
        raise TypeError

    def __repr__(self) -> str:
        """The shortest JSON."""
        return json.dumps(self.value, default=str)


@dataclass(frozen=True, eq=False)
class Number:
    """Equals this number, exactly, in whatever type a column could hold it."""

    value: Decimal

    def __eq__(self, other: object) -> bool:
        """Whether `other` holds it."""
        if isinstance(other, float):
            return self.value in (Decimal(other), Decimal(repr(other)))
        if not isinstance(other, (int, Decimal, str)):
            return False
        # some taps write a float out to its last digit: 17.17 has fifty
        is_written_out = Decimal(float(self.value)) == self.value
        shortest = Decimal(repr(float(self.value)))
        return Decimal(other) == self.value or (is_written_out and Decimal(other) == shortest)

    def __hash__(self) -> int:
        """None to offer."""
        raise TypeError

    def __repr__(self) -> str:
        """The digits."""
        return str(self.value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=lambda name: f"not JSON: {name}")
    except ValueError:
        return f"not JSON: {text}"


def _strict(value: Any) -> Any:
    """A form in which true is not 1, and 1.50 is 1.5."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return (type(value) in (int, Decimal), value)


def _text(value: Any) -> Any:
    """A string column: strings as they are, anything else as its JSON text."""
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return value if isinstance(value, str) else JsonText(value)


def _timestamp(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


CELL: dict[str, Callable[[Any], Any]] = {
    "int64": int,
    "float64": float,
    "decimal": Decimal,
    "number": Decimal,
    "bool": bool,
    "string": _text,
    "json": JsonText,
    "timestamp": _timestamp,
    "date": lambda value: date.fromisoformat(value[:10]),
}


def cell(value: Any, kind: str) -> Any:
    """What a value of a record is in a column of that kind (`decimal:2` is a decimal with two digits)."""
    if value is None:
        return None
    if kind == "number":
        return Number(Decimal(value))
    return CELL[kind.partition(":")[0]](value)


def rows_of(stream: Stream, kinds: Kinds, constants: Row) -> list[Row]:
    """The rows of a stream's dataset."""
    return [
        {name: cell(_at(record, name), kind) for name, kind in kinds.items() if name not in constants}
        | constants
        for record in stream.live()
    ]


def child_rows_of(stream: Stream, path: Sequence[str], kinds: Kinds, constants: Row) -> list[Row]:
    """The rows of a child dataset: one for each element of the arrays at `path`.

    An element carries its parent's keys, `_parent_` before their names, and its `_position`; for an array
    within an array those are the parent's keys.
    """
    parents = [(record, {key: record[key] for key in stream.keys}) for record in stream.live()]
    for name in path:
        parents = [
            (element, {f"_parent_{key}": value for key, value in keys.items()} | {"_position": position})
            for record, keys in parents
            for position, element in enumerate(_at(record, name) or [])
        ]
    return [
        {name: cell(_at(element | keys, name), kind) for name, kind in kinds.items() if name not in constants}
        | constants
        for element, keys in parents
    ]


def _at(record: Row, name: str) -> Any:
    """The value of a column: a field of that name, or a path joined by `__`; `_unnamed` is ""."""
    if name in record:
        return record[name]
    if name == "_unnamed":
        return record.get("")
    found: Any = record
    for part in name.split("__"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


# --- what is there ------------------------------------------------------------------------------


def latest(lake: Path, dataset: str) -> Path:
    """The newest snapshot: the greatest file name. Nothing else may be in the folder."""
    folder = lake / "raw" / dataset
    names = sorted(path.name for path in folder.iterdir())
    assert all(len(name) == len("YYYYMMDDTHHMMSSffffffZ.parquet") for name in names), names
    assert all(earlier < later for earlier, later in pairwise(names))
    return folder / names[-1]


def read_polars(path: Path) -> tuple[dict[str, str], list[Row]]:
    """Types and rows, as Polars sees them."""
    frame = pl.read_parquet(path)
    return {name: _polars_kind(dtype) for name, dtype in frame.schema.items()}, frame.to_dicts()


def read_pyarrow(path: Path) -> tuple[dict[str, str], list[Row]]:
    """Types and rows, as pyarrow sees them."""
    table = pq.read_table(path)
    return {column.name: _arrow_kind(column.type) for column in table.schema}, table.to_pylist()


def read_duckdb(path: Path) -> tuple[dict[str, str], list[Row]]:
    """Types and rows, as DuckDB sees them."""
    with duckdb.connect() as connection:
        cursor = connection.execute("select * from read_parquet(?)", [str(path)])
        columns = {str(name): _duckdb_kind(str(kind)) for name, kind, *_ in cursor.description or ()}
        return columns, [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


READERS = {"polars": read_polars, "pyarrow": read_pyarrow, "duckdb": read_duckdb}


def _polars_kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Decimal):
        return f"decimal:{dtype.scale}"
    known = {pl.Int64(): "int64", pl.Float64(): "float64", pl.Boolean(): "bool", pl.String(): "string"}
    known |= {pl.Date(): "date", pl.Datetime("us", "UTC"): "timestamp"}
    return known.get(dtype, str(dtype))


def _arrow_kind(arrow: pa.DataType) -> str:
    if pa.types.is_decimal128(arrow):
        return f"decimal:{arrow.scale}"
    known = {"double": "float64", "large_string": "string", "date32[day]": "date"}
    return (known | {"timestamp[us, tz=UTC]": "timestamp"}).get(str(arrow), str(arrow))


def _duckdb_kind(kind: str) -> str:
    if kind.startswith("DECIMAL("):
        return f"decimal:{kind.removesuffix(')').rpartition(',')[2].strip()}"
    known = {"BIGINT": "int64", "DOUBLE": "float64", "BOOLEAN": "bool", "VARCHAR": "string", "DATE": "date"}
    return (known | {"TIMESTAMP WITH TIME ZONE": "timestamp"}).get(kind, kind)


# --- side by side -------------------------------------------------------------------------------


LOOSE = {"decimal": ("decimal:",), "number": ("int64", "float64", "decimal:", "string")}


def comparable(found: Kinds, expected: Kinds) -> dict[str, str]:
    """The types found, with what the expectation leaves open left open."""
    return {
        name: expected[name] if kind.startswith(LOOSE.get(expected.get(name, ""), ("nothing",))) else kind
        for name, kind in found.items()
    }


def stored(kinds: Kinds) -> dict[str, str]:
    """The types to find for these kinds: JSON text is a string."""
    return {name: "string" if kind == "json" else kind for name, kind in kinds.items()}


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows sorted by what they say: a lake promises no order."""
    return sorted(rows, key=lambda row: [str(_plain(row[name])) for name in sorted(row)])


def _plain(value: Any) -> Any:
    """Sorts a value beside its like, whatever type a reader gave it."""
    if isinstance(value, JsonText):
        value = json.dumps(value.value, default=float, sort_keys=True)
    if isinstance(value, str):
        parsed = _parsed(value)
        return value if isinstance(parsed, str) else json.dumps(parsed, default=float, sort_keys=True)
    if isinstance(value, bool):
        return value
    if isinstance(value, Number):
        value = value.value
    return Decimal(str(value)).normalize() if isinstance(value, (Decimal, int, float)) else value

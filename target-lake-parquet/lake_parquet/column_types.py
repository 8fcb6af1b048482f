"""A Parquet column's type in, its name in the lake's type table out. Pure."""

from collections.abc import Sequence

import pyarrow as pa

_NAMES = {
    pa.bool_(): "bool",
    pa.int64(): "int64",
    pa.float64(): "float64",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.string_view(): "string",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
}


def is_allowed(dtype: pa.DataType) -> bool:
    """Tells whether every reader opens such a column: `docs/lake-format.md` lists the types."""
    return dtype in _NAMES or pa.types.is_decimal128(dtype)


def type_name(dtype: pa.DataType) -> str:
    """The type as the docs call it; Arrow's own name for one that the lake does not have."""
    if pa.types.is_decimal128(dtype):
        return f"decimal({dtype.precision},{dtype.scale})"
    return _NAMES.get(dtype, str(dtype))


def drift(before: pa.Schema, after: pa.Schema) -> str | None:
    """Says which columns came, went or changed their type; None where all are as before."""
    old, new = (dict(zip(schema.names, schema.types, strict=True)) for schema in (before, after))
    came = [name for name in new if name not in old]
    went = [name for name in old if name not in new]
    retyped = [
        f"{name} {type_name(old[name])} -> {type_name(new[name])}"
        for name in new
        if name in old and type_name(old[name]) != type_name(new[name])
    ]
    kinds = (("new", came), ("gone", went), ("widened", retyped))
    parts = [f"{kind}: {some(names)}" for kind, names in kinds if names]
    return "; ".join(parts) or None


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""A frame from anywhere in, one with the lake's column types out. Pure.

The types are those of `docs/lake-format.md`; nested values become JSON text, and nothing is cut off but
digits past the microsecond.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import polars as pl

from lake_parquet.errors import UsageError
from lake_parquet.widen import JSON, MAX_DIGITS, TIMESTAMP

_SMALL = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
_PLAIN = (pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.Date, pl.Decimal)


def conform(frame: pl.DataFrame) -> pl.DataFrame:
    """Casts each column to a type that staging has.

    Raises:
        UsageError: a column's name or type has no place in the lake.
    """
    _check_names(frame.columns)
    casts = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Struct | pl.List | pl.Array | pl.Object):
            casts.append(pl.col(name).map_elements(_json_text, JSON))
        else:
            casts.append(_cast(name, dtype))
    return frame.with_columns(casts)


def _check_names(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name or any(ord(char) < ord(" ") for char in name):
            raise UsageError(f"column {name!r}: a name must not be empty nor hold control characters")
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise UsageError(
                f"columns {other!r} and {name!r} are one to Spark and Athena: rename one of them"
            )


def _cast(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, _PLAIN):
        return column
    if isinstance(dtype, _SMALL):
        return column.cast(pl.Int64)
    if isinstance(dtype, pl.UInt64 | pl.Int128):
        return column.cast(pl.Decimal(MAX_DIGITS, 0))
    if isinstance(dtype, pl.Float32):
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        moment = column.dt.convert_time_zone("UTC") if dtype.time_zone else column.dt.replace_time_zone("UTC")
        return moment.cast(TIMESTAMP)
    if isinstance(dtype, pl.Time | pl.Categorical | pl.Enum | pl.Null):
        return column.cast(pl.String)
    raise UsageError(f"column {name!r} is a {dtype}, which the lake does not hold: cast it to another type")


def _json_text(value: Any) -> bytes:  # noqa: ANN401 - any value of a cell
    plain = value.to_list() if isinstance(value, pl.Series) else value
    return msgspec.json.encode(plain, enc_hook=_plain)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a cell
    to_list: Callable[[], Any] | None = getattr(value, "to_list", None)
    return to_list() if to_list else str(value)

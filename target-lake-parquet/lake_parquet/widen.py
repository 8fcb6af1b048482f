"""Two versions of a column in, one type that holds both exactly out. Pure.

Never narrower, never lossy: an integer becomes a float only where each value stays exact, anything that has
no common type becomes a string. The rules stand in `docs/lake-format.md`.
"""

from collections.abc import Sequence

import polars as pl

MAX_DIGITS = 38
TIMESTAMP = pl.Datetime("us", "UTC")


def is_exact(frame: pl.LazyFrame, column: str, dtype: pl.DataType) -> bool:
    """Tells whether every value of a column survives the cast to `dtype` and back."""
    own = frame.collect_schema()[column]
    there = pl.col(column).cast(dtype, strict=False)
    back = there.cast(own, strict=False)
    lost = (pl.col(column).is_not_null() & back.ne_missing(pl.col(column))).any()
    return not frame.select(lost).collect(engine="streaming").item()


def common_type(frames: Sequence[pl.LazyFrame], column: str) -> pl.DataType:
    """The narrowest type that holds a column of all `frames` exactly; frames that lack it do not count."""
    return _common_type(frames, [frame.collect_schema() for frame in frames], column)


def _common_type(frames: Sequence[pl.LazyFrame], schemas: Sequence[pl.Schema], column: str) -> pl.DataType:
    having = [(f, schema[column]) for f, schema in zip(frames, schemas, strict=True) if column in schema]
    dtypes = {dtype for _, dtype in having}
    if len(dtypes) == 1:
        return dtypes.pop()
    for candidate in _candidates(dtypes):
        if all(dtype == candidate or is_exact(frame, column, candidate) for frame, dtype in having):
            return candidate
    return pl.String()


def _candidates(dtypes: set[pl.DataType]) -> list[pl.DataType]:
    """Types that might hold all of `dtypes`, the narrowest first."""
    scales = [dtype.scale for dtype in dtypes if isinstance(dtype, pl.Decimal)]
    numeric = all(isinstance(dtype, pl.Int64 | pl.Float64 | pl.Decimal) for dtype in dtypes)
    if numeric and scales:
        return [pl.Decimal(MAX_DIGITS, max(scales))]
    if numeric:
        return [pl.Float64()]
    if dtypes == {pl.Date(), TIMESTAMP}:
        return [TIMESTAMP]
    return []


def cast_to(dtype: pl.DataType, column: str, own: pl.DataType) -> pl.Expr:
    """Casts a column to a wider type, writing values as JSON would where that is a string."""
    source = pl.col(column)
    if dtype == own:
        return source
    if dtype == pl.String() and own == TIMESTAMP:
        return source.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias(column)
    return source.cast(dtype)


def unite(frames: Sequence[pl.LazyFrame]) -> tuple[list[pl.LazyFrame], list[str]]:
    """Gives all frames the same columns, in order of appearance, wide enough for all; says what was widened.

    A frame that lacks a column gets nulls.
    """
    names = list(dict.fromkeys(name for frame in frames for name in frame.collect_schema()))
    schemas = [frame.collect_schema() for frame in frames]  # of thousands of columns it takes long to collect
    types = {name: _common_type(frames, schemas, name) for name in names}
    notes = []
    united = []
    for frame in frames:
        schema = frame.collect_schema()
        notes += [
            f"column {name} widened from {_readable(schema[name])} to {_readable(types[name])}"
            for name in schema
            if schema[name] != types[name]
        ]
        united.append(
            frame.select(
                cast_to(types[name], name, schema[name])
                if name in schema
                else pl.lit(None, types[name]).alias(name)
                for name in names
            )
        )
    return united, list(dict.fromkeys(notes))


def _readable(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    names = {pl.Int64(): "int64", pl.Float64(): "float64", pl.Boolean(): "bool", pl.String(): "string"}
    return names.get(dtype, "date" if dtype == pl.Date() else "timestamp")

"""Two versions of a column in, one type that holds both exactly out. Pure.

Never narrower, never lossy: an integer becomes a float only where each value stays exact, anything that has
no common type becomes a string, and what meets JSON text becomes JSON text. The rules stand in
`docs/lake-format.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal

import msgspec
import polars as pl
import polars.selectors as cs

JSON = pl.Binary()
"""JSON text, until it is written to a snapshot as strings: so `x` and `"x"` never stand in one column."""
MAX_DIGITS = 38
TIMESTAMP = pl.Datetime("us", "UTC")
_every_digit = Context(prec=10_000)


def is_exact(frame: pl.LazyFrame, column: str, own: pl.DataType, dtype: pl.DataType) -> bool:
    """Tells whether every value of a column, of type `own`, survives the cast to `dtype` and back."""
    there = _cast(pl.col(column), own, dtype, strict=False)
    back = _cast(there, dtype, own, strict=False)
    lost = (pl.col(column).is_not_null() & back.ne_missing(pl.col(column))).any()
    return not frame.select(lost).collect(engine="streaming").item()


def common_type(having: Sequence[tuple[pl.LazyFrame, pl.DataType]], column: str) -> pl.DataType:
    """The narrowest type that holds a column exactly, given the frames that have it and its type in each.

    JSON text without a value counts as a string: taps that guess a schema from samples call a field so that
    was always null.
    """
    dtypes = {dtype for _, dtype in having}
    if len(dtypes) == 1:
        return dtypes.pop()
    if any(dtype == JSON and _has_values(frame, column) for frame, dtype in having):
        return JSON
    for candidate in _candidates(dtypes, having, column):
        if all(dtype == candidate or is_exact(frame, column, dtype, candidate) for frame, dtype in having):
            return candidate
    return pl.String()


def _has_values(frame: pl.LazyFrame, column: str) -> bool:
    return bool(frame.select(pl.col(column).is_not_null().any()).collect(engine="streaming").item())


def _candidates(
    dtypes: set[pl.DataType], having: Sequence[tuple[pl.LazyFrame, pl.DataType]], column: str
) -> Iterator[pl.DataType]:
    """Types that might hold all of `dtypes`, the narrowest first."""
    scales = [dtype.scale for dtype in dtypes if isinstance(dtype, pl.Decimal)]
    if all(isinstance(dtype, pl.Int64 | pl.Float64 | pl.Decimal) for dtype in dtypes):
        if not scales:
            yield pl.Float64()
        floats = [_digits_behind_the_point(frame, column) for frame, dtype in having if dtype == pl.Float64()]
        scale = max([*scales, *floats])
        if scale <= MAX_DIGITS:
            yield pl.Decimal(MAX_DIGITS, scale)
    if dtypes == {pl.Date(), TIMESTAMP}:
        yield TIMESTAMP


def _digits_behind_the_point(frame: pl.LazyFrame, column: str) -> int:
    """The most digits that a float of a column has behind the point, in its shortest text."""
    text = pl.col(column).cast(pl.String())
    behind = text.str.extract(r"\.(\d*)").fill_null("").str.strip_chars_end("0").str.len_bytes()
    exponent = text.str.extract(r"e([+-]?\d+)").str.strip_prefix("+").cast(pl.Int64).fill_null(0)
    most = frame.select((behind.cast(pl.Int64) - exponent).max()).collect(engine="streaming").item()
    return max(0, most or 0)


def number_text(number: Decimal) -> str:
    """The one text of a number, whatever column it stood in: 1, 1.0 and 1.000000000 are all `1`."""
    plain = number.normalize(_every_digit)
    is_short = -MAX_DIGITS <= plain.adjusted() < MAX_DIGITS
    return f"{plain:f}" if is_short else str(plain)


def cast_to(dtype: pl.DataType, column: str, own: pl.DataType) -> pl.Expr:
    """Casts a column to a wider type, writing values as JSON would where that is a string.

    A number has one text, and so has a moment: else a key would differ from itself after its column widened.
    """
    source = pl.col(column)
    if dtype == own:
        return source
    if dtype not in (pl.String(), JSON):
        return _cast(source, own, dtype)
    texts = source.cast(pl.String())
    if own == TIMESTAMP:
        texts = source.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").str.replace(r"\.?0*Z$", "Z")
    elif isinstance(own, pl.Float64 | pl.Decimal):
        texts = texts.map_batches(_number_texts, pl.String(), is_elementwise=True)
    if dtype == JSON:
        is_text = own in (pl.String(), pl.Date(), TIMESTAMP)
        return (texts.map_batches(_quoted, JSON, is_elementwise=True) if is_text else texts).cast(JSON)
    return texts


def _cast(source: pl.Expr, own: pl.DataType, dtype: pl.DataType, *, strict: bool = True) -> pl.Expr:
    """Casts a column; a float and another number by their text: as numbers they differ far behind the point.

    So does an integer past 2**53 that is a float64: what that writes later has other digits at its end.
    """
    kinds = {type(own), type(dtype)}
    if kinds == {pl.Float64, pl.Decimal}:
        source = source.cast(pl.String())
    elif own == pl.Float64() and dtype == pl.Int64():
        source = source.cast(pl.String()).cast(pl.Decimal(MAX_DIGITS, 0), strict=strict)
    return source.cast(dtype, strict=strict)


def _number_texts(texts: pl.Series) -> pl.Series:
    """Numbers as Polars writes them, as `number_text` does; NaN and infinity stay words."""
    plain = [
        text if text is None or text.lstrip("-")[:1].isalpha() else number_text(Decimal(text))
        for text in texts.to_list()
    ]
    return pl.Series(texts.name, plain, dtype=pl.String)


def _quoted(texts: pl.Series) -> pl.Series:
    """Strings as JSON text."""
    encoded = [None if text is None else msgspec.json.encode(text) for text in texts.to_list()]
    return pl.Series(texts.name, encoded, dtype=JSON)


def json_columns(columns: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    """The columns that hold JSON text."""
    return tuple(name for name, dtype in columns.items() if dtype == JSON)


def stored(dtype: pl.DataType) -> pl.DataType:
    """A column's type as a file holds it."""
    return pl.String() if dtype == JSON else dtype


def written(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows as a file holds them: JSON text as strings."""
    return rows.with_columns(cs.binary().cast(pl.String()))


def unite(
    frames: Sequence[pl.LazyFrame], *, onto_first: bool = False
) -> tuple[list[pl.LazyFrame], list[str]]:
    """Gives all frames the same columns, in order of appearance, wide enough for all; says what was widened.

    A frame that lacks a column gets nulls. With `onto_first`, the first frame is what was there: that others
    come to be as wide as its columns are is no news.
    """
    schemas = [dict(frame.collect_schema()) for frame in frames]
    if all(list(schema.items()) == list(schemas[0].items()) for schema in schemas[1:]):
        return list(frames), []  # as nearly always
    names = list(dict.fromkeys(name for schema in schemas for name in schema))
    types = {
        name: common_type(
            [(f, schema[name]) for f, schema in zip(frames, schemas, strict=True) if name in schema], name
        )
        for name in names
    }
    notes = []
    united = []
    for frame, schema in zip(frames, schemas, strict=True):
        notes += [
            f"column {name} widened from {_readable(schema[name])} to {_readable(types[name])}"
            for name in schema
            if types[name] not in (schema[name], schemas[0].get(name) if onto_first else None)
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
    names = {pl.Int64(): "int64", pl.Float64(): "float64", pl.Boolean(): "bool", pl.String(): "string"} | {
        JSON: "JSON text"
    }
    return names.get(dtype, "date" if dtype == pl.Date() else "timestamp")

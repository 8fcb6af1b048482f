"""One column's JSON values in, one typed column out: exact, or a refusal that names the value's place. Pure.

Where nothing is lost a value is coerced, and counted: a number in a string column becomes its JSON text, 7.0
in an integer column 7, a date in a date-time column its midnight. Where a number would lose digits, the
column widens for this block (int64 to decimal, float64 to decimal, decimal to a larger scale, at last to
string). What cannot be, is refused. The rules stand in `docs/lake-format.md`.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from lake_parquet.widen import JSON, MAX_DIGITS, number_text
from target_lake_parquet.caps import MAX_NUMBER
from target_lake_parquet.columns import Column, Kind
from target_lake_parquet.dates import (
    Converted,
    convert_dates,
    convert_timestamps,
    parse_dates,
    parse_timestamps,
)

INT64_MAX = 2**63 - 1
EXACT_INT = 2**53
SHORT, TINY, HUGE = 16, 1e-300, 1e300
MAX_EXPONENT = 1000
"""A number past 10 to this power is refused: writing it out would fill the memory."""
NOT_WHOLE, TOO_LARGE = "is not a whole number", "has too large an exponent"
NO_LIST = "kept as JSON text, and no list as the schema says"
_NUMBER = re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *", re.ASCII)
"""A number in a string; Python's own reader takes underscores and the digits of all scripts, too."""
_json = msgspec.json.Encoder(decimal_format="number")
_roomy = Context(prec=2 * MAX_DIGITS)


def convert(column: Column, values: Sequence[Any]) -> Converted:
    """Turns the JSON values of `column` (None where absent) into a column of its type.

    Floats are what `parse_number` made of them. Refused values are null in the result and named in `bad`.
    """
    converted = _CONVERTERS[column.kind](values, column)
    converted.series = converted.series.alias(column.name)
    return converted


def dtype_of(column: Column) -> pl.DataType:
    """The type of a column that nothing widened."""
    return convert(column, []).series.dtype


def parse_number(text: str) -> float | Decimal:
    """Reads a JSON number with a point or an exponent: a float where that is surely exact, else a Decimal."""
    number = float(text)
    # 15 significant digits survive a float64 where it is neither denormal nor overflown
    surely_exact = len(text) <= SHORT and (TINY < abs(number) < HUGE or not text.strip("-0."))
    try:
        return number if surely_exact else Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits: past what even a Decimal holds
        raise ValueError("a number has too large an exponent") from None


def is_float_exact(number: Decimal) -> bool:
    """Tells whether a float64 holds `number` so that it stays the same wherever the column widens to later.

    That is the shortest text of the float. A fraction of more digits than a decimal has may also be the float
    itself, written out to the end: so some taps print 17.17.
    """
    as_float = float(number)
    if as_float in (float("inf"), float("-inf")):
        return False
    if Decimal(repr(as_float)) == number:
        return True
    is_written_out = len(_figures(number)) > MAX_DIGITS and number != number.to_integral_value()
    return is_written_out and Decimal(as_float) == number


def _figures(number: Decimal) -> str:
    """The digits of a number, without zeros at their end."""
    return "".join(map(str, number.as_tuple().digits)).rstrip("0")


def _kinds(values: Sequence[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def _convert_string(values: Sequence[Any], column: Column) -> Converted:
    if _kinds(values) <= {str}:
        return Converted(pl.Series(values, dtype=pl.String))
    write = _one_text if column.is_added else json_text
    texts = [value if value is None or isinstance(value, str) else write(value) for value in values]
    count = sum(1 for value in values if not (value is None or isinstance(value, str)))
    return Converted(pl.Series(texts, dtype=pl.String), {"written as JSON text": count})


def _convert_json(values: Sequence[Any], column: Column) -> Converted:
    write = _one_json if column.is_added else _json.encode
    texts = [None if value is None else write(value) for value in values]
    others = sum(not isinstance(value, list | None) for value in values) if column.is_string_list else 0
    return Converted(pl.Series(texts, dtype=JSON), {NO_LIST: others} if others else {})


def json_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Writes a JSON value as compact text; decimals as numbers, keys in the order they came."""
    return _json.encode(value).decode()


def _one_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Writes a value of a column whose kind follows its values: a number as if it had widened to this one."""
    if type(value) in (int, float, Decimal) and _is_sane(Decimal(value)):
        return number_text(_shortest(value))
    return json_text(value)


def _one_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return _one_text(value).encode()


def _convert_boolean(values: Sequence[Any], _: Column) -> Converted:
    return _checked(values, bool, pl.Boolean(), lambda _: "is not true or false")


def _checked(values: Sequence[Any], kind: type, dtype: pl.DataType, why: Callable[[Any], str]) -> Converted:
    if _kinds(values) <= {kind}:
        return Converted(pl.Series(values, dtype=dtype))
    bad = {i: why(value) for i, value in enumerate(values) if value is not None and type(value) is not kind}
    good = [None if i in bad else value for i, value in enumerate(values)]
    return Converted(pl.Series(good, dtype=dtype), bad=bad)


def _convert_integer(values: Sequence[Any], _: Column) -> Converted:
    coerced: dict[str, int] = {}
    bad: dict[int, str] = {}
    if not _kinds(values) <= {int}:
        values = list(values)
        for i, value in enumerate(values):
            if value is None or type(value) is int:
                continue
            if isinstance(value, float | Decimal) and _is_sane(value) and value == int(value):
                values[i] = int(_shortest(value))  # as it is written: 1e23 is not the float next to it
                coerced["whole number written as integer"] = (
                    coerced.get("whole number written as integer", 0) + 1
                )
            else:
                values[i] = None
                bad[i] = TOO_LARGE if isinstance(value, Decimal) and not _is_sane(value) else NOT_WHOLE
    if all(value is None or -INT64_MAX - 1 <= value <= INT64_MAX for value in values):
        return Converted(pl.Series(values, dtype=pl.Int64), coerced, bad)
    return Converted(_decimals([None if v is None else Decimal(v) for v in values], 0), coerced, bad)


def _convert_number(values: Sequence[Any], _: Column) -> Converted:
    kinds = _kinds(values)
    if kinds <= {float}:
        return Converted(pl.Series(values, dtype=pl.Float64))
    bad: dict[int, str] = {}
    if not kinds <= {float, int, Decimal}:
        bad = {
            i: "is not a number"
            for i, v in enumerate(values)
            if type(v) not in (float, int, Decimal, type(None))
        }
    bad |= {i: TOO_LARGE for i, v in enumerate(values) if isinstance(v, Decimal) and not _is_sane(v)}
    values = [None if i in bad else value for i, value in enumerate(values)]
    if all(_fits_float(value) for value in values):
        floats = [None if value is None else float(value) for value in values]
        return Converted(pl.Series(floats, dtype=pl.Float64), bad=bad)
    return Converted(_decimals([None if value is None else _shortest(value) for value in values], 0), bad=bad)


def _shortest(value: float | Decimal) -> Decimal:
    """The decimal that people would write for a number: not the 50 digits that some taps print for 17.17."""
    if isinstance(value, float) or (isinstance(value, Decimal) and is_float_exact(value)):
        return Decimal(repr(float(value)))
    return Decimal(value)


def _fits_float(value: Any) -> bool:  # noqa: ANN401 - None, int, float or Decimal
    if isinstance(value, Decimal):
        return is_float_exact(value)
    return not isinstance(value, int) or -EXACT_INT <= value <= EXACT_INT or is_float_exact(Decimal(value))


def _convert_decimal(values: Sequence[Any], column: Column) -> Converted:
    numbers: list[Decimal | None] = []
    bad: dict[int, str] = {}
    for i, value in enumerate(values):
        number = _to_decimal(value)
        if number is None and value is not None:
            bad[i] = "is not a decimal number"
        elif number is not None and column.is_whole and number != number.to_integral_value():
            bad[i], number = NOT_WHOLE, None
        numbers.append(number)
    return Converted(_decimals(numbers, column.scale), bad=bad)


def _is_sane(value: float | Decimal) -> bool:
    return isinstance(value, float) or abs(value.adjusted()) <= MAX_EXPONENT


def _to_decimal(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        if isinstance(value, str) and (len(value) >= MAX_NUMBER or not _NUMBER.fullmatch(value)):
            return None
        number = Decimal(repr(value) if isinstance(value, float) else value)
        if isinstance(value, Decimal) and _is_sane(value) and len(_figures(value)) > MAX_DIGITS:
            number = _shortest(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and _is_sane(number) else None


def _decimals(values: Sequence[Decimal | None], scale: int) -> pl.Series:
    """A decimal column of `scale`, or of the least larger exact one; strings where 38 digits do not do."""
    digits, needed = 0, scale
    for value in values:
        if value:
            whole = value.adjusted() + 1
            digits, needed = max(digits, whole), max(needed, len(_figures(value)) - whole)
    if digits + needed <= MAX_DIGITS:
        step = Decimal(1).scaleb(-needed)
        fitted = [None if value is None else value.quantize(step, context=_roomy) for value in values]
        return pl.Series(fitted, dtype=pl.Decimal(MAX_DIGITS, needed))
    return pl.Series([None if value is None else number_text(value) for value in values], dtype=pl.String)


def _texts(values: Sequence[Any]) -> pa.Array:
    """Strings for Arrow, not by `pa.array`: that imports pandas where it is installed, for a second."""
    return pl.Series(values, dtype=pl.String).to_arrow().cast(pa.string())


def _convert_timestamp(values: Sequence[Any], column: Column) -> Converted:
    if _kinds(values) <= {str}:
        return convert_timestamps(_texts(values), column.zone)
    return parse_timestamps(values, column.zone)


def _convert_date(values: Sequence[Any], _: Column) -> Converted:
    return convert_dates(_texts(values)) if _kinds(values) <= {str} else parse_dates(values)


_CONVERTERS: dict[Kind, Callable[[Sequence[Any], Column], Converted]] = {
    Kind.STRING: _convert_string,
    Kind.INTEGER: _convert_integer,
    Kind.NUMBER: _convert_number,
    Kind.DECIMAL: _convert_decimal,
    Kind.BOOLEAN: _convert_boolean,
    Kind.TIMESTAMP: _convert_timestamp,
    Kind.DATE: _convert_date,
    Kind.JSON: _convert_json,
}

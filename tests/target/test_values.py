"""One column's JSON values: exact, coerced where nothing is lost, or refused with a reason."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lake_parquet.widen import JSON, MAX_DIGITS
from target_lake_parquet.columns import Column, Kind
from target_lake_parquet.dates import AT_MIDNIGHT, MIDNIGHT, Converted
from target_lake_parquet.values import MAX_EXPONENT, NO_LIST, convert, json_text, parse_number

TIMESTAMP = pl.Datetime("us", "UTC")
_decoder = msgspec.json.Decoder(float_hook=parse_number)


def converted(kind: Kind, *texts: str, scale: int = 0) -> Converted:
    """Converts values given as JSON text, as `decode` reads them."""
    found = convert(Column("x", ("x",), kind, scale), [_decoder.decode(text) for text in texts])
    found.series = found.series if kind is not Kind.JSON else as_text(found.series)
    return found


def as_text(series: pl.Series) -> pl.Series:
    """JSON text as a file holds it; on the way there it is told from plain strings by its type."""
    assert series.dtype == JSON
    return series.cast(pl.String)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = moment("2024-01-02T12:00:00")
DAY = date(2024, 1, 2)
NO_MOMENT = "is not a date-time (ISO 8601, years 1 to 9999 in UTC)"
WHOLE, TEXT = "whole number written as integer", "written as JSON text"

TAKEN: list[tuple[Kind, str, Any]] = [
    (Kind.INTEGER, "7", 7),
    (Kind.INTEGER, "-0", 0),
    (Kind.INTEGER, "9223372036854775807", 2**63 - 1),
    (Kind.INTEGER, "-9223372036854775808", -(2**63)),
    (Kind.INTEGER, "9223372036854775808", Decimal(2**63)),
    (Kind.INTEGER, "18446744073709551616", Decimal(2**64)),
    (Kind.INTEGER, "1e3", 1000),
    (Kind.INTEGER, "7.0", 7),
    (Kind.INTEGER, "9007199254740993.0", 2**53 + 1),
    (Kind.INTEGER, "1e20", Decimal(10**20)),
    (Kind.INTEGER, "1e23", Decimal(10**23)),
    (Kind.INTEGER, "9.2233720361e18", 9223372036100000000),
    (Kind.INTEGER, "9" * 39, "9" * 39),
    (Kind.NUMBER, "0.1", 0.1),
    (Kind.NUMBER, "7", 7.0),
    (Kind.NUMBER, "-0.0", -0.0),
    (Kind.NUMBER, "17.1700000000000017053025658242404460906982421875", 17.17),
    (Kind.NUMBER, "0.33333333333333333333", Decimal("0.33333333333333333333")),
    (Kind.NUMBER, "9007199254740993", Decimal(2**53 + 1)),
    # floats, but as text they are others: 5.597369065914163e+16, 1234567890123456.2
    (Kind.NUMBER, "55973690659141632", Decimal(55973690659141632)),
    (Kind.NUMBER, "55973690659141632.0", Decimal(55973690659141632)),
    (Kind.NUMBER, "1234567890123456.25", Decimal("1234567890123456.25")),
    (Kind.NUMBER, "5.597369065914163e16", 5.597369065914163e16),
    (Kind.NUMBER, "1" + "0" * 40, 1e40),
    (
        Kind.NUMBER,
        "12345678901234567890123456789012345678",
        Decimal(12345678901234567890123456789012345678),
    ),
    (Kind.NUMBER, "1e400", "1E+400"),
    (Kind.NUMBER, "1e-400", "1E-400"),
    (Kind.NUMBER, "5e-324", 5e-324),
    (Kind.NUMBER, "1.7976931348623157e308", 1.7976931348623157e308),
    (Kind.DECIMAL, "1.23", Decimal("1.23")),
    (Kind.DECIMAL, '"1.23"', Decimal("1.23")),
    (Kind.DECIMAL, '"-0.00"', Decimal("0.00")),
    (Kind.DECIMAL, "7", Decimal(7)),
    (Kind.DECIMAL, "0.12345678901234567890", Decimal("0.1234567890123456789")),
    (Kind.DECIMAL, '"1e3"', Decimal(1000)),
    (Kind.DECIMAL, '" 1.5 "', Decimal("1.5")),
    (Kind.BOOLEAN, "true", True),
    (Kind.BOOLEAN, "false", False),
    (Kind.STRING, '"a\\u0000b"', "a\0b"),
    (Kind.STRING, '"😀"', "😀"),
    (Kind.STRING, '""', ""),
    (Kind.STRING, "2024", "2024"),
    (Kind.STRING, "1.50", "1.5"),
    (Kind.STRING, "true", "true"),
    (Kind.STRING, '{"b":[1,null],"a":"x"}', '{"b":[1,null],"a":"x"}'),
    (Kind.JSON, '"x"', '"x"'),
    (Kind.JSON, "[1, 2.0, null]", "[1,2.0,null]"),
    (Kind.JSON, "123456789012345678901234567890", "123456789012345678901234567890"),
    (Kind.JSON, "[0.12345678901234567890]", "[0.12345678901234567890]"),
    (Kind.JSON, "false", "false"),
    (Kind.DATE, '"2024-01-02"', DAY),
    (Kind.DATE, '"2024-01-02T00:00:00Z"', DAY),
    (Kind.DATE, '"2024-01-02 00:00:00.000"', DAY),
    (Kind.DATE, '"2024-01-01T23:00:00-01:00"', DAY),
    (Kind.DATE, '"0001-01-01"', date(1, 1, 1)),
    (Kind.DATE, '"9999-12-31"', date(9999, 12, 31)),
]


@pytest.mark.parametrize(("kind", "text", "value"), TAKEN, ids=lambda part: repr(part)[:40])
def test_a_value_is_taken_as_it_is_or_as_its_equal(kind: Kind, text: str, value: Any) -> None:
    found = converted(kind, text, "null")
    assert found.bad == {}
    assert found.series.to_list() == [value, None]
    assert type(found.series[0]) is type(value)
    assert repr(found.series[0]) == repr(value) or isinstance(value, Decimal)


REFUSED: list[tuple[Kind, list[str], str]] = [
    (Kind.INTEGER, ["7.5", '"7"', "true", "[]", "{}", "1e-1"], "is not a whole number"),
    (Kind.NUMBER, ['"7"', "true", "[]", "{}"], "is not a number"),
    (Kind.NUMBER, ["1e1001", "-1e999999999", "1e-1001"], "has too large an exponent"),
    (
        Kind.DECIMAL,
        [
            *['"x"', '"1_000"', '"\u0661"', '"0x1"', '""', '"NaN"', '"Infinity"', '"1e2000"', "true", "[]"],
            '"1.' + "1" * 1000 + '"',
        ],
        "is not a decimal number",
    ),
    (Kind.BOOLEAN, ["0", "1", '"true"', "[]"], "is not true or false"),
    (
        Kind.TIMESTAMP,
        ["0", "1704196800", "true", '""', '"x"', '"0000000000004651"'],
        NO_MOMENT,
    ),
    (Kind.TIMESTAMP, ['"2024-13-01T00:00:00Z"', '"2024-02-30T00:00:00Z"'], NO_MOMENT),
    (Kind.TIMESTAMP, ['"2024-01-01T25:00:00Z"', '"2024-01-01T00:61:00Z"'], NO_MOMENT),
    (Kind.TIMESTAMP, ['"2024-01-01T24:00:00Z"', '"2016-12-31T23:59:60Z"'], NO_MOMENT),
    (Kind.TIMESTAMP, ['"0000-01-01T00:00:00Z"', '"10000-01-01T00:00:00Z"'], NO_MOMENT),
    (
        Kind.TIMESTAMP,
        ['"0001-01-01T00:00:00+01:00"', '"9999-12-31T23:59:59-01:00"'],
        NO_MOMENT,
    ),
    (
        Kind.TIMESTAMP,
        ['"2024-01-01T00:00:00+25:00"', '"2024-01-01T00:00:00 CET"'],
        NO_MOMENT,
    ),
    (
        Kind.DATE,
        ['"2024-01-02T00:00:01Z"', '"2024-02-30"', '"2024-W01-1"', '"02/01/2024"', "5", '""'],
        "is not a date (YYYY-MM-DD)",
    ),
]


@pytest.mark.parametrize(("kind", "texts", "why"), REFUSED)
def test_what_would_lose_or_cannot_be_is_refused_and_the_others_stay(
    kind: Kind, texts: list[str], why: str
) -> None:
    good = {
        Kind.INTEGER: "1", Kind.NUMBER: "1.5", Kind.DECIMAL: "1", Kind.BOOLEAN: "true",
        Kind.TIMESTAMP: '"2024-01-02T12:00:00Z"', Kind.DATE: '"2024-01-02"',
    }[kind]  # fmt: skip
    found = converted(kind, good, *texts, good)
    assert found.bad == dict.fromkeys(range(1, len(texts) + 1), why)
    assert found.series.is_null().to_list() == [False, *[True] * len(texts), False]
    assert found.series.dtype == converted(kind, good).series.dtype


def test_coerced_values_are_counted() -> None:
    assert converted(Kind.INTEGER, "1", "2.0", "3.0", "null").coerced == {WHOLE: 2}
    assert converted(Kind.STRING, '"a"', "1", "true", "null").coerced == {TEXT: 2}
    assert converted(Kind.STRING, '"a"', "null").coerced == {}
    noon, day = '"2024-01-02T12:00:00Z"', '"2024-01-02"'
    assert converted(Kind.TIMESTAMP, noon, day, day, "null").coerced == {MIDNIGHT: 2}
    assert converted(Kind.DATE, day, '"2024-01-02T00:00:00Z"', "null").coerced == {AT_MIDNIGHT: 1}
    lists = Column("c", ("c",), Kind.JSON, is_string_list=True)
    assert convert(lists, [["a"], "{1,2}", None, 7]).coerced == {NO_LIST: 2}
    assert converted(Kind.JSON, '"a"', "7").coerced == {}


DATES: list[tuple[str, datetime]] = [
    ("2024-01-02T12:00:00Z", NOON),
    ("2024-01-02T12:00:00z", NOON),
    ("2024-01-02t12:00:00Z", NOON),
    ("2024-01-02 12:00:00Z", NOON),
    ("2024-01-02  12:00:00", NOON),
    (" 2024-01-02T12:00:00Z ", NOON),
    ("2024-01-02T12:00:00", NOON),
    ("2024-01-02T12:00", NOON),
    ("2024-01-02T12:00:00 UTC", NOON),
    ("2024-01-02T12:00:00+00:00", NOON),
    ("2024-01-02T12:00:00-00:00", NOON),
    ("2024-01-02T17:30:00+05:30", NOON),
    ("2024-01-02T17:30:00+0530", NOON),
    ("2024-01-02T14:00:00+02", NOON),
    ("2024-01-02T00:00:00-12:00", NOON),
    ("2024-01-02 12:00:00 +00:00", NOON),
    ("2024-01-02T12:00:00.1Z", NOON + timedelta(microseconds=100_000)),
    ("2024-01-02T12:00:00,5Z", NOON + timedelta(microseconds=500_000)),
    ("2024-01-02T12:00:00.123456Z", NOON + timedelta(microseconds=123_456)),
    ("2024-01-02T12:00:00.123456789Z", NOON + timedelta(microseconds=123_456)),
    ("2024-01-02T12:00:00.000000999+00:00", NOON),
    ("2024-01-02", moment("2024-01-02T00:00:00")),
    ("2024-02-29T00:00:00Z", moment("2024-02-29T00:00:00")),
    ("1969-12-31T23:59:59.999999Z", moment("1969-12-31T23:59:59.999999")),
    ("1582-10-15T00:00:00Z", moment("1582-10-15T00:00:00")),
    ("0001-01-01T00:00:00Z", moment("0001-01-01T00:00:00")),
    ("9999-12-31T23:59:59.999999Z", moment("9999-12-31T23:59:59.999999")),
]


@pytest.mark.parametrize(("text", "value"), DATES)
def test_a_date_time_of_any_writing_is_read_as_utc(text: str, value: datetime) -> None:
    """Alone, and beside the common writing, which is parsed as a whole column."""
    for others in ([], ['"2024-01-02T12:00:00Z"'] * 3, ['"2024-01-02T12:00:00.5+00:00"'], ["null"]):
        found = converted(Kind.TIMESTAMP, msgspec.json.encode(text).decode(), *others)
        assert found.bad == {}
        assert found.series.dtype == TIMESTAMP
        assert found.series[0] == value


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2024-01-02T12:00:00", "2024-01-02T11:00:00"),
        ("2024-07-02 12:00:00.5", "2024-07-02T10:00:00.500000"),
        ("2024-07-02", "2024-07-01T22:00:00"),
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00"),  # twice there: the first
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00"),  # not there: as before the gap
        ("2024-07-02T12:00:00Z", "2024-07-02T12:00:00"),
        ("2024-07-02T12:00:00+05:00", "2024-07-02T07:00:00"),
    ],
)
def test_a_date_time_without_an_offset_is_of_the_zone_that_is_set(local: str, utc: str) -> None:
    column = Column("x", ("x",), Kind.TIMESTAMP, zone="Europe/Berlin")
    naive = not local.endswith(("Z", "+05:00"))
    for others, more in (
        ([], 0),
        (["2024-01-01T00:00:00"], 1),
        (["2024-01-01 00:00"], 1),
        (["2024-01-01T00:00:00Z"], 0),
    ):
        found = convert(column, [local, None, *others])
        count = naive + more
        coerced = {"without an offset taken as Europe/Berlin": count} if count else {}
        coerced |= {MIDNIGHT: 1} if local == "2024-07-02" else {}
        assert (found.series[0], found.series[1]) == (moment(utc), None)
        assert (found.coerced, found.bad) == (coerced, {})


def test_a_local_time_out_of_utcs_years_is_refused() -> None:
    for zone, text in (("Asia/Tokyo", "0001-01-01T00:00:00"), ("America/New_York", "9999-12-31T23:00:00")):
        column = Column("x", ("x",), Kind.TIMESTAMP, zone=zone)
        found = convert(column, ["2024-01-01", text])
        assert (found.bad, found.series[1]) == ({1: NO_MOMENT}, None)


offsets = st.sampled_from(["Z", "", "+00:00", "-03:30", "+1400", "+05"])
fractions = st.from_regex(r"(\.[0-9]{1,9})?", fullmatch=True)
blocks = st.lists(
    st.tuples(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), fractions, offsets),  # noqa: DTZ001
    min_size=1,
    max_size=4,
)


@given(blocks)
def test_a_block_of_date_times_equals_each_of_them_alone(block: list[tuple[datetime, str, str]]) -> None:
    texts = [
        f'"{one.replace(microsecond=0).isoformat()}{fraction}{offset}"' for one, fraction, offset in block
    ]
    together = converted(Kind.TIMESTAMP, *texts)
    assert together.bad == {}
    assert together.series.to_list() == [converted(Kind.TIMESTAMP, text).series[0] for text in texts]


# Numbers: whatever text goes in, the same number comes out.

digits = st.from_regex(r"-?(0|[1-9][0-9]{0,45})", fullmatch=True)
numbers = st.one_of(
    digits,
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})\.[0-9]{1,45}", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,20})?[eE][+-]?[0-9]{1,3}", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
).filter(lambda text: abs(Decimal(text).adjusted()) <= MAX_EXPONENT)


def as_decimal(value: object) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))


def said(text: str) -> set[Decimal]:
    """What a text says: its number, or the shortest text of a fraction that a tap printed at length."""
    exact = Decimal(text)
    is_printed_at_length = len(text) > MAX_DIGITS and "." in text and Decimal(float(text)) == exact
    return {exact, Decimal(repr(float(text)))} if is_printed_at_length else {exact}


@given(st.lists(numbers, min_size=1, max_size=4))
@example(["0.1", "0.1000000000000000055511151231257827021181583404541015625"])
@example(["1e308", "1e-308"])
@example(["9007199254740993", "0.5"])
@example(["-0.0", "9007199254740993"])
@example(["55973690659141632", "1234567890123456.25"])
def test_a_number_column_holds_exactly_what_was_written(texts: list[str]) -> None:
    for kind in (Kind.NUMBER, Kind.DECIMAL):
        found = converted(kind, *texts)
        assert found.bad == {}
        for text, value in zip(texts, found.series.to_list(), strict=True):
            assert as_decimal(value) in said(text)


@given(st.lists(digits, min_size=1, max_size=4))
def test_an_integer_column_holds_exactly_what_was_written(texts: list[str]) -> None:
    found = converted(Kind.INTEGER, *texts)
    assert [int(Decimal(str(value))) for value in found.series.to_list()] == [int(text) for text in texts]


@given(st.lists(numbers, min_size=1, max_size=4))
def test_numbers_in_json_text_keep_their_value(texts: list[str]) -> None:
    found = converted(Kind.JSON, *(f'{{"n": {text}}}' for text in texts))
    for text, value in zip(texts, found.series.to_list(), strict=True):
        assert Decimal(value.removeprefix('{"n":').removesuffix("}")) == Decimal(text)


@pytest.mark.parametrize("kind", [Kind.INTEGER, Kind.NUMBER, Kind.DECIMAL])
def test_a_huge_exponent_is_refused(kind: Kind) -> None:
    """Its digits are not written out: a gigabyte of zeros each."""
    found = converted(kind, "1e999999999", "1e-999999999", "0e999999999")
    assert {0, 1} <= found.bad.keys()


@pytest.mark.parametrize(
    ("kind", "scale", "texts", "dtype"),
    [
        (Kind.INTEGER, 0, ["1"], pl.Int64),
        (Kind.INTEGER, 0, ["1", "9223372036854775808"], pl.Decimal(38, 0)),
        (Kind.INTEGER, 0, ["1", "9" * 39], pl.String),
        (Kind.INTEGER, 0, ["null"], pl.Int64),
        (Kind.NUMBER, 0, ["1", "0.5"], pl.Float64),
        (Kind.NUMBER, 0, ["0.5", "0.12345678901234567890"], pl.Decimal(38, 19)),
        (Kind.NUMBER, 0, ["null"], pl.Float64),
        (Kind.DECIMAL, 2, ["1", "0.5"], pl.Decimal(38, 2)),
        (Kind.DECIMAL, 2, ["1", "0.125"], pl.Decimal(38, 3)),
        (Kind.DECIMAL, 2, ["1" * 37, "0.1"], pl.String),
        (Kind.DECIMAL, 9, ["null"], pl.Decimal(38, 9)),
        (Kind.TIMESTAMP, 0, ["null"], TIMESTAMP),
        (Kind.DATE, 0, ["null"], pl.Date),
        (Kind.BOOLEAN, 0, ["null"], pl.Boolean),
        (Kind.STRING, 0, ["null"], pl.String),
    ],
)
def test_a_column_has_its_type_or_the_least_wider_one_that_is_exact(
    kind: Kind, scale: int, texts: list[str], dtype: Any
) -> None:
    assert converted(kind, *texts, scale=scale).series.dtype == dtype


def test_json_text_is_compact_and_keeps_the_order() -> None:
    assert json_text({"b": 1, "a": [None, "ü"]}) == '{"b":1,"a":[null,"ü"]}'

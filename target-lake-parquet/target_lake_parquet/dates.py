"""Texts of date-times and dates in, timestamps in UTC and dates out. Pure.

A column whose texts are all of a common writing is read by Arrow's parser, which takes nothing that
`parse_timestamp` refuses once lengths and years are checked; any other is read text by text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lake_parquet.widen import TIMESTAMP

NO_TIMESTAMP = "is not a date-time (ISO 8601, years 1 to 9999 in UTC)"
NO_DATE = "is not a date (YYYY-MM-DD)"
MIDNIGHT, AT_MIDNIGHT = "without a time taken as midnight", "with the time midnight taken as a date"

_ZONED, _NAIVE = pa.timestamp("us", "UTC"), pa.timestamp("us")
_FULL, _FULL_ZONED, _DAY = len("2024-01-01T00:00:00"), len("2024-01-01T00:00:00Z"), len("2024-01-01")
"""Shorter texts might lack minutes or seconds, and Arrow takes a bare hour, which is no date-time here."""
_PAST_MICROS = r"(\.\d{6})\d+"
_EPOCH, _MICRO = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FIRST = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH) // _MICRO
_LAST = (datetime(9998, 12, 31, tzinfo=UTC) - _EPOCH) // _MICRO
"""Arrow knows years 0 and 10000: what is near them is read text by text."""
_MIN, _MAX = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Converted:
    """A column's values, those that were coerced (how -> count), and those that cannot be (index -> why)."""

    series: pl.Series
    coerced: dict[str, int] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)


def convert_timestamps(texts: pa.Array, zone: str | None = None) -> Converted:
    """Turns strings into timestamps; those without an offset are of `zone` (None: UTC)."""
    lengths = pc.min_max(pc.binary_length(texts))
    shortest = lengths["min"].as_py() or 0
    if shortest >= _FULL:
        if lengths["max"].as_py() > len("2024-01-01T00:00:00.000000"):
            texts = (
                pc.replace_substring_regex(texts, _PAST_MICROS, r"\1") if _has_past_micros(texts) else texts
            )
        moments = _cast(texts, _ZONED) if shortest >= _FULL_ZONED else None
        if moments is not None and _is_far_from_ends(moments):
            return Converted(pl.Series(moments))
        moments = _cast(texts, _NAIVE)
        if moments is not None and _is_far_from_ends(moments):
            return _located(pl.Series(moments), zone)
    return parse_timestamps(texts.to_pylist(), zone)


def parse_timestamps(values: Sequence[Any], zone: str | None = None) -> Converted:
    """Turns any JSON values into timestamps, one by one."""
    parsed = [parse_timestamp(value) if isinstance(value, str) else None for value in values]
    bad = {i: NO_TIMESTAMP for i, value in enumerate(values) if value is not None and parsed[i] is None}
    naive = pl.Series([one if one and not one.tzinfo else None for one in parsed], dtype=pl.Datetime("us"))
    aware = pl.Series([one if one and one.tzinfo else None for one in parsed], dtype=TIMESTAMP)
    located = _located(naive, zone)
    beyond = ((located.series < _MIN) | (located.series > _MAX)).fill_null(value=False)
    bad |= dict.fromkeys(beyond.arg_true().to_list(), NO_TIMESTAMP)
    series = aware.zip_with(aware.is_not_null() | beyond, located.series)
    days = sum(
        moment is not None and not _has_clock(value) for value, moment in zip(values, parsed, strict=True)
    )
    return Converted(series, located.coerced | ({MIDNIGHT: days} if days else {}), bad)


def _located(local: pl.Series, zone: str | None) -> Converted:
    """Takes local times as those of `zone`: the first of two, and in a gap with the offset from before it."""
    if zone is None:
        return Converted(local.dt.replace_time_zone("UTC"))
    known = _in_zone(local, zone)
    gaps = known.is_null() & local.is_not_null()
    if gaps.any():  # no zone ever skipped more than a day
        day = timedelta(days=1)
        known = known.zip_with(~gaps, _in_zone(local - day, zone) + day)
    count = len(local) - local.null_count()
    return Converted(known, {f"without an offset taken as {zone}": count} if count else {})


def _in_zone(local: pl.Series, zone: str) -> pl.Series:
    moments = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return moments.dt.convert_time_zone("UTC")


def is_zone(name: str) -> bool:
    """Tells whether `name` is a time zone of the IANA database."""
    try:
        _in_zone(pl.Series([datetime(2024, 1, 1)], dtype=pl.Datetime("us")), name)  # noqa: DTZ001 - local
    except pl.exceptions.PolarsError:
        return False
    return True


def _cast(texts: pa.Array, dtype: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(texts, dtype)
    except pa.ArrowInvalid:
        return None


def _has_past_micros(texts: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, _PAST_MICROS)).as_py())


def _is_far_from_ends(moments: pa.Array) -> bool:
    first, last = pc.min_max(moments.view(pa.int64())).as_py().values()  # nulls do not count
    return first is None or (first >= _FIRST and last <= _LAST)


def convert_dates(texts: pa.Array) -> Converted:
    """Turns strings into dates."""
    lengths = pc.min_max(pc.binary_length(texts))
    if (lengths["min"].as_py() or 0) == _DAY == lengths["max"].as_py():
        days = _cast(texts, pa.date32())
        if days is not None and (pl.Series(days) >= date.min).all():
            return Converted(pl.Series(days))
    return parse_dates(texts.to_pylist())


def parse_dates(values: Sequence[Any]) -> Converted:
    """Turns any JSON values into dates, one by one."""
    parsed = [parse_date(value) if isinstance(value, str) else None for value in values]
    bad = {i: NO_DATE for i, value in enumerate(values) if value is not None and parsed[i] is None}
    moments = sum(day is not None and _has_clock(value) for value, day in zip(values, parsed, strict=True))
    return Converted(pl.Series(parsed, dtype=pl.Date()), {AT_MIDNIGHT: moments} if moments else {}, bad)


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ]+(?P<clock>(?:[01]\d|2[0-3]):\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d+))?)?\s*"
    r"(?:(?P<utc>[Zz]|UTC)|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?",
    re.ASCII,
)


def parse_timestamp(text: str) -> datetime | None:
    """Reads a date-time of any common ISO 8601 writing; None where it is none.

    The result is in UTC, in the years 1 to 9999, or without a zone where the text has none. A missing time is
    midnight, digits past the microsecond are cut off.
    """
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        return None
    clock = match["clock"] or "00:00:00"
    micros = (match["fraction"] or "")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{clock}").replace(microsecond=int(micros))
        if match["sign"]:
            minutes = int(match["hours"]) * 60 + int(match["minutes"] or 0)
            offset = timedelta(minutes=minutes if match["sign"] == "+" else -minutes)
            return moment.replace(tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if match["utc"] else moment


def _has_clock(text: str) -> bool:
    """Tells whether a date or date-time that was read says a time of day."""
    if len(text) == _DAY or (text[10] in "Tt " and text[13:14] == ":"):
        return len(text) > _DAY
    match = _TIMESTAMP.fullmatch(text.strip())
    return match is not None and match["clock"] is not None


def parse_date(text: str) -> date | None:
    """Reads a date; a date-time only where it is midnight UTC, since its time would be lost."""
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else _midnight(text)
    except ValueError:
        return None


def _midnight(text: str) -> date | None:
    moment = parse_timestamp(text)
    if moment is None or (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
        return None
    return moment.date()

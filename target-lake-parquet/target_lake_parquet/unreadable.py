"""A RECORD line that a strict parser refuses in, the field and the reason out, if they can be told. Pure.

Only words about the bytes come out, never the bytes: they may be personal data. Python's own parser is more
lenient than the standard, so where it reads on, what it read shows which value is to blame.
"""

import json
from collections.abc import Iterator
from typing import Any

from target_lake_parquet.caps import LONG_NUMBER, MAX_NUMBER, TooDeepError, is_utf8
from target_lake_parquet.two_names import EnvelopeError
from target_lake_parquet.values import parse_number

RECORD = "record"
"""Stands for the field where it cannot be told."""


class _Culprit(str):
    """Stands for a value that only the lenient parser takes, or that is too much; says why."""

    __slots__ = ()


def explain(line: bytes, error: Exception) -> tuple[str, str]:
    """The field of a RECORD line that makes it unreadable, and why; `error` is what was said of the line."""
    if isinstance(error, TooDeepError):
        return error.near or RECORD, str(error)
    if isinstance(error, EnvelopeError):
        return RECORD, str(error)
    reader = json.JSONDecoder(
        parse_constant=lambda _: _Culprit("holds NaN or Infinity, which JSON does not know"),
        parse_float=_number,
        parse_int=_number,
    )
    try:
        message = reader.decode(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return RECORD, f"is not readable JSON ({error})"
    record = message.get(RECORD) if isinstance(message, dict) else None
    for path, value in _culprits(record, ()):
        odd = "holds half a surrogate pair" if is_utf8(line) else "holds bytes that are not UTF-8"
        field = ".".join(path).encode("utf-8", "backslashreplace").decode()  # a name may be the culprit
        return field or RECORD, str(value) if isinstance(value, _Culprit) else odd
    return RECORD, f"is not readable JSON ({error})"


def _number(text: str) -> _Culprit | None:
    if len(text) >= MAX_NUMBER:
        return _Culprit(LONG_NUMBER)
    try:
        parse_number(text)
    except ValueError:
        return _Culprit("holds a number with too large an exponent")
    return None


def _culprits(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ANN401 - any JSON value
    """The places of what the strict reading does not take."""
    if isinstance(value, dict):
        for name, below in value.items():
            if not _is_text(name):
                yield (*path, name), name
            yield from _culprits(below, (*path, name))
    elif isinstance(value, list):
        for element in value:
            yield from _culprits(element, path)
    elif isinstance(value, str) and (isinstance(value, _Culprit) or not _is_text(value)):
        yield path, value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

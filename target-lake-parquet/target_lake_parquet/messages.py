"""Bytes from a tap in, Singer messages out: runs of RECORD lines stay bytes, all else is parsed.

The words are those of the Singer specification; message types are read whatever their case, as it says.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

from lake_parquet.errors import LakeError

MAX_ROWS = 10_000
"""Records handed on at once: enough to make the handing on cheap."""


class BadLine(LakeError):  # noqa: N818 - named after what it is about
    """A line is no Singer message."""


@dataclass(slots=True)
class Rows:
    """RECORD lines of one stream, one after the other: their line numbers and `record` objects."""

    stream: str
    lines: list[int] = field(default_factory=list)
    records: list[msgspec.Raw] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SchemaMessage:
    """A SCHEMA line."""

    line: int
    stream: str
    schema: dict[str, Any]
    key_properties: tuple[str, ...]
    bookmark_properties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateMessage:
    """A STATE line; `raw` is its payload as it was received."""

    line: int
    raw: bytes
    value: Any


@dataclass(frozen=True, slots=True)
class ActivateVersion:
    """An ACTIVATE_VERSION line."""

    line: int
    stream: str
    version: int


@dataclass(frozen=True, slots=True)
class CutLine:
    """The input ended inside a line: whoever wrote it died."""

    line: int


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A RECORD line that is no strict JSON (it holds NaN, say), though its stream can be made out."""

    line: int
    stream: str
    reason: str


Message = Rows | SchemaMessage | StateMessage | ActivateVersion | CutLine | UnreadableRecord


_ABSENT = msgspec.Raw()


class _Envelope(msgspec.Struct):
    type: str
    stream: str | None = None
    record: msgspec.Raw = _ABSENT
    schema: Any = None
    value: msgspec.Raw = _ABSENT
    version: Any = None
    key_properties: Any = None
    bookmark_properties: Any = None


_envelopes = msgspec.json.Decoder(_Envelope)


def read_messages(source: BinaryIO, max_line_bytes: int) -> Iterator[Message]:
    """Reads Singer messages to the end of `source`.

    Raises:
        BadLine: a line is no message; it names the line and what to do.
    """
    rows: Rows | None = None
    cut: int | None = None
    for number, line in _lines(source, max_line_bytes):
        envelope = _envelope(number, line)
        if envelope is None:
            cut = number
            break
        if isinstance(envelope, UnreadableRecord):
            yield envelope
            continue
        kind = envelope.type.upper()
        if kind == "RECORD" and envelope.stream is not None and len(envelope.record):
            if rows is None or rows.stream != envelope.stream or len(rows.lines) >= MAX_ROWS:
                if rows is not None:
                    yield rows
                rows = Rows(envelope.stream)
            rows.lines.append(number)
            rows.records.append(envelope.record)
            continue
        if rows is not None:
            yield rows
            rows = None
        yield _control(kind, number, envelope)
    if rows is not None:
        yield rows
    if cut is not None:
        yield CutLine(cut)


def _lines(source: BinaryIO, max_line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, and their numbers; a line that is too long is never held whole."""
    for number, line in enumerate(iter(lambda: source.readline(max_line_bytes + 1), b""), start=1):
        if len(line) > max_line_bytes:
            limit = max_line_bytes // 2**20
            raise BadLine(
                f"line {number} is longer than {limit} MiB: set max_line_mb higher if the tap means it"
            )
        if not line.isspace():
            yield number, line


def _envelope(number: int, line: bytes) -> _Envelope | UnreadableRecord | None:
    """A line's message, or None where the input ends inside the line."""
    try:
        return _envelopes.decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        if not line.endswith(b"\n"):
            return None
        unreadable = _unreadable(number, line, str(error))
        if unreadable is not None:
            return unreadable
        raise BadLine(
            f"line {number} is no Singer message ({error}): look at what the tap prints there"
        ) from None


def _unreadable(number: int, line: bytes, reason: str) -> UnreadableRecord | None:
    """Makes out whose record a line is that only a lenient reader takes: one stream fails, not the run."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_record = isinstance(message, dict) and str(message.get("type")).upper() == "RECORD"
    if not is_record or not isinstance(message.get("stream"), str):
        return None
    return UnreadableRecord(number, message["stream"], reason)


def _control(kind: str, line: int, envelope: _Envelope) -> Message:
    if kind == "STATE" and len(envelope.value):
        raw = bytes(envelope.value)
        try:
            return StateMessage(line, raw, msgspec.json.decode(raw))
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise BadLine(f"line {line} holds a STATE that is not readable JSON ({error})") from None
    if kind == "SCHEMA" and envelope.stream is not None and isinstance(envelope.schema, dict):
        keys, bookmarks = _names(envelope.key_properties), _names(envelope.bookmark_properties)
        return SchemaMessage(line, envelope.stream, envelope.schema, keys, bookmarks)
    if kind == "ACTIVATE_VERSION" and envelope.stream is not None and isinstance(envelope.version, int):
        return ActivateVersion(line, envelope.stream, envelope.version)
    if kind == "BATCH":
        raise BadLine(
            f"line {line}, stream {envelope.stream!r}: BATCH messages are not read by this version: "
            "remove batch_config from the tap's settings"
        )
    if kind in ("RECORD", "STATE", "SCHEMA", "ACTIVATE_VERSION"):
        raise BadLine(f"line {line} is a {kind} message that lacks what the Singer specification asks of one")
    raise BadLine(
        f"line {line} has the unknown message type {envelope.type[:40]!r}: "
        "remove what prints it between tap and target"
    )


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()

"""Bytes from a tap in, Singer messages out: runs of RECORD lines stay bytes, all else is parsed.

The words are those of the Singer specification; message types are read whatever their case, as it says.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
import polars as pl

from lake_parquet.errors import LakeError
from target_lake_parquet.caps import check_caps
from target_lake_parquet.heads import RECORD, by_stream, count_lines, end_of_run, is_one_run, stream_of
from target_lake_parquet.two_names import EnvelopeError, TwoNamesError, check_names
from target_lake_parquet.whole_lines import LongLine, cuts, whole_lines

CHUNK_BYTES = 2**22 + 2**16
"""The input is read in pieces of this size: a block's and a little more, so that most need not be joined."""

MAX_DEPTH = 100
"""Lines whose JSON nests deeper are refused unless the setting says otherwise."""

BY_MAP = "by its stream map"
"""Words in the reasons of records that a stream map cannot take: it is what is to be mended, then."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_MEMBER = re.compile(rb'\s*[{,]\s*"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*+)"\s*(?=,)')
"""A text at the beginning of a message: its type, say."""

SHORT_RUN = 16
"""Fewer RECORD lines of one stream in a row are gathered by stream: some taps read several at once."""

SHORT_LINE, MIXED_BYTES = 64, 2**20
"""Lines shorter than this are gathered by stream in pieces: one that is no RECORD takes memory of its own."""


class BadLine(LakeError):  # noqa: N818 - named after what it is about
    """A line is no Singer message."""


@dataclass(frozen=True, slots=True)
class Rows:
    """RECORD lines of one stream, with no other message than RECORDs between them: bytes as they came.

    `numbers` are their lines in the input, where those of other streams stand between them.
    """

    stream: str
    block: bytes
    first_line: int
    count: int
    numbers: pl.Series | None = None

    @property
    def lines(self) -> pl.Series:
        """The line of each record in the input."""
        if self.numbers is not None:
            return self.numbers
        return pl.int_range(self.first_line, self.first_line + self.count, dtype=pl.Int64, eager=True)


@dataclass(frozen=True, slots=True)
class SchemaMessage:
    """A SCHEMA line."""

    line: int
    stream: str
    schema: dict[str, Any]
    key_properties: tuple[str, ...]
    bookmark_properties: tuple[str, ...]
    tap_stream: str | None = None
    """The tap's own name of the stream, where a stream map gave it another: STATE knows it by that."""


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
class BatchMessage:
    """A BATCH line: the files that hold records, and how they are written."""

    line: int
    stream: str
    format: str
    compression: str | None
    manifest: tuple[str, ...]
    version: int | None = None


@dataclass(frozen=True, slots=True)
class CutLine:
    """The input ended inside a line: whoever wrote it died."""

    line: int


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A line that cannot be what its type says, though its stream can be made out: it fails that stream."""

    line: int
    stream: str
    reason: str


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that a stream map could not be applied to, or a BATCH file's text that is none.

    `text` is what may be kept of it.
    """

    line: int
    stream: str
    field: str
    reason: str
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that the Singer specification does not know."""

    line: int
    type: str


Message = (
    Rows
    | SchemaMessage
    | StateMessage
    | ActivateVersion
    | BatchMessage
    | CutLine
    | BadMessage
    | RefusedRecord
    | UnknownMessage
)


_ABSENT = msgspec.Raw()


_PARTS = {
    "RECORD": ("stream", "record"),
    "STATE": ("value",),
    "SCHEMA": ("stream", "schema"),
    "ACTIVATE_VERSION": ("stream", "version"),
    "BATCH": ("stream", "encoding", "manifest"),
}
"""What the Singer specification, and the SDK's for BATCH, ask of each message."""


class Envelope(msgspec.Struct):
    """A message in parts; what is large, or of the user, stays bytes."""

    type: str
    stream: str | None = None
    record: msgspec.Raw = _ABSENT
    schema: Any = None
    value: msgspec.Raw = _ABSENT
    version: Any = None
    key_properties: Any = None
    bookmark_properties: Any = None
    encoding: Any = None
    manifest: Any = None


_envelopes = msgspec.json.Decoder(Envelope)


def read_messages(source: BinaryIO, max_line_bytes: int, max_depth: int = MAX_DEPTH) -> Iterator[Message]:
    """Reads Singer messages to the end of `source`.

    Raises:
        BadLine: a line is no message; it names the line and what to do.
    """
    number = 1
    # what is there is read at once: a slow tap's messages do not wait for the chunk to fill
    read = getattr(source, "read1", source.read)
    chunks = iter(lambda: read(min(CHUNK_BYTES, max_line_bytes)), b"")
    try:
        for whole in whole_lines(chunks, max_line_bytes):
            text = whole.removeprefix(BYTE_ORDER_MARK) if number == 1 else whole
            if text.endswith(b"\n"):
                number += yield from _messages(text, number, max_depth)
            elif text and not text.isspace():
                yield _message(number, text, max_depth)
    except LongLine as error:
        raise BadLine(f"line {number} is {error}") from None


def _messages(chunk: bytes, number: int, max_depth: int) -> Generator[Message, None, int]:
    """The messages in whole lines; RECORD lines are cut out by stream, not parsed. Returns how many lines."""
    lines = count_lines(chunk)
    if is_one_run(chunk, lines):
        yield Rows(stream_of(chunk), chunk, number, lines)
        return lines
    at, size = 0, len(chunk)
    while at < size:
        if not RECORD.match(chunk, at):
            end = chunk.index(b"\n", at) + 1
            line = chunk[at:end]
            if not line.isspace():
                yield _message(number, line, max_depth)
            at, number = end, number + 1
            continue
        end = end_of_run(chunk, at)
        count = count_lines(chunk[at:end])
        if count < SHORT_RUN and end < size:
            # where lines are short few of them are RECORDs
            step = MIXED_BYTES if size < SHORT_LINE * lines else size
            for start, until in cuts(chunk, step, at):
                part = chunk[start:until]
                yield from _mixed(part, number, max_depth)
                number += 0 if until == size else count_lines(part)
            break
        yield Rows(stream_of(chunk, at), chunk[at:end], number, count)
        at, number = end, number + count
    return lines


def _mixed(lines: bytes, number: int, max_depth: int) -> Iterator[Message]:
    """The messages in lines of several kinds, the RECORDs of each stream together."""
    for stream, block, numbers in by_stream(lines, number):
        if stream is not None:
            yield Rows(stream, block, numbers[0], len(numbers), numbers)
        elif not block.isspace():
            yield _message(numbers[0], block, max_depth)


def _message(number: int, line: bytes, max_depth: int) -> Message:
    """The message in one line; the input's last line may lack its end."""
    try:
        check_caps(line, max_depth)
        envelope = _envelopes.decode(line)
        check_names(line, envelope.value if len(envelope.value) else envelope.record)
    except TwoNamesError as error:
        return _double(number, line, envelope, error)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return _unreadable(number, line, str(error))
    kind = envelope.type.upper()
    if not kind:
        raise _no_message(number, "its type is empty")
    if kind == "RECORD" and envelope.stream:
        return Rows(envelope.stream, line if line.endswith(b"\n") else line + b"\n", number, 1)
    try:
        return _control(kind, number, envelope)
    except ValueError as error:
        if envelope.stream:
            return BadMessage(number, envelope.stream, f"the {kind} message {error}")
        raise _no_message(number, f"the {kind} message {error}") from None


def record_of(line: bytes, max_depth: int = MAX_DEPTH) -> msgspec.Raw:
    """The `record` of a RECORD line.

    Raises:
        ValueError: the line is no JSON, or too deep; the message says why, and shows no value.
    """
    try:
        check_caps(line, max_depth)
        envelope = _envelopes.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
    check_names(line, envelope.record)
    if not len(envelope.record):
        raise EnvelopeError("lacks its record")
    return envelope.record


def _double(number: int, line: bytes, envelope: Envelope, error: TwoNamesError) -> Message:
    """What becomes of a message with two names: a bad record, or one that fails the stream it names first."""
    if not error.stream:
        raise _no_message(number, f"it {error}")
    if envelope.type.upper() == "RECORD":
        return Rows(error.stream, line if line.endswith(b"\n") else line + b"\n", number, 1)
    return BadMessage(number, error.stream, f"the message {error}: mend the tap, or leave the stream out")


def _unreadable(number: int, line: bytes, reason: str) -> Message:
    """Makes out whose line it is that is not readable: then one stream fails, not the run."""
    if not line.endswith(b"\n"):
        return CutLine(number)
    head: dict[bytes, bytes] = {}
    at = 0
    while (member := _MEMBER.match(line, at)) and member[1] not in head:
        head[member[1]] = member[2]
        at = member.end()
    kind, stream = head.get(b"type", b"").upper(), _text(head.get(b"stream", b""))
    if stream and kind == b"RECORD":
        return Rows(stream, line, number, 1)  # whoever decodes it will say what is the matter with it
    if stream and kind in (b"SCHEMA", b"ACTIVATE_VERSION", b"BATCH"):
        reason = f"the {kind.decode()} message is not readable ({reason}): look at what the tap prints there"
        return BadMessage(number, stream, reason)
    is_marked = line.startswith(BYTE_ORDER_MARK)
    raise _no_message(number, "a byte order mark begins it" if is_marked else reason)


def _text(inner: bytes) -> str:
    """What a JSON string says, from between its quotes; nothing where it is none."""
    if b"\\" not in inner:
        return inner.decode(errors="replace")
    try:
        return msgspec.json.decode(b'"' + inner + b'"', type=str)
    except msgspec.MsgspecError:
        return ""


def _no_message(number: int, reason: str) -> BadLine:
    return BadLine(f"line {number} is no Singer message ({reason}): look at what the tap prints there")


def _control(kind: str, line: int, envelope: Envelope) -> Message:
    """A message other than RECORD; raises ValueError where it lacks what its type asks for."""
    if kind == "STATE" and len(envelope.value):
        raw = bytes(envelope.value)
        try:
            return StateMessage(line, raw, msgspec.json.decode(raw))
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise BadLine(f"line {line} holds a STATE that is not readable JSON ({error})") from None
    if kind == "SCHEMA" and envelope.stream and isinstance(envelope.schema, dict):
        keys = _names("key_properties", envelope.key_properties)
        bookmarks = _names("bookmark_properties", envelope.bookmark_properties)
        return SchemaMessage(line, envelope.stream, envelope.schema, keys, bookmarks)
    if kind == "ACTIVATE_VERSION" and envelope.stream and type(envelope.version) is int:
        return ActivateVersion(line, envelope.stream, envelope.version)
    if kind == "BATCH" and envelope.stream and (batch := _batch(line, envelope.stream, envelope)):
        return batch
    if kind in _PARTS:
        parts = _PARTS[kind]
        missing = [part for part in parts if getattr(envelope, part) in (None, "", _ABSENT)]
        odd = f"lacks {' and '.join(missing)}" if missing else f"has {' or '.join(parts[1:])} of a wrong kind"
        raise ValueError(f"{odd}: mend the tap, or leave the stream out")
    return UnknownMessage(line, envelope.type[:40])


def _batch(line: int, stream: str, envelope: Envelope) -> BatchMessage | None:
    encoding, manifest = envelope.encoding, envelope.manifest
    if not isinstance(encoding, dict) or not isinstance(manifest, list):
        return None
    form, compression = encoding.get("format"), encoding.get("compression")
    if not isinstance(form, str) or not isinstance(compression, str | None):
        return None
    entries = tuple(entry for entry in manifest if isinstance(entry, str))
    if len(entries) < len(manifest):
        return None
    version = envelope.version if type(envelope.version) is int else None
    return BatchMessage(line, stream, form, compression, entries, version)


def _names(field: str, value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"has {field} that are no list of names: the tap must send one")
    return tuple(names)

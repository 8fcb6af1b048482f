"""A BATCH message in, the records of its files out, as RECORD lines: from there on they are as any others.

JSON Lines, plain or gzip, and Parquet. What a file may cost is limited before it is spent: the length of a
line, the bytes after decompression, and how many of them come out of one.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, BinaryIO

import msgspec

from lake_parquet.foreign import ForeignParquetError, json_rows
from target_lake_parquet.batch_files import SHOWN, BatchError, local_path, open_below
from target_lake_parquet.lines import Lines
from target_lake_parquet.messages import (
    BYTE_ORDER_MARK,
    BadMessage,
    BatchMessage,
    Message,
    RefusedRecord,
    Rows,
    StateMessage,
)
from target_lake_parquet.settings import Settings
from target_lake_parquet.unreadable import explain
from target_lake_parquet.whole_lines import LongLine, whole_lines

PIECE_BYTES = 2**20
"""Files are read in pieces of this size."""

HARMLESS_BYTES = 64 * 2**20
MAX_RATIO = 500
"""A file that grows by more than this is a bomb, once it is past `HARMLESS_BYTES`. Deflate reaches 1,030."""

GZIP_MAGIC = b"\x1f\x8b"

_UNREADABLE = (EOFError, zlib.error, OSError, ForeignParquetError, BatchError)
_any = msgspec.json.Decoder(msgspec.Raw)


def unpack(messages: Iterable[Message], settings: Settings, lines: Lines) -> Iterator[Message]:
    """Lets the records of each BATCH message follow it, and numbers what comes later anew."""
    for message in messages:
        if isinstance(message, BatchMessage):
            yield message
            try:
                yield from _read(message, settings, lines)
            except BatchError as error:
                yield BadMessage(message.line, message.stream, str(error))
        elif isinstance(message, Rows) and lines.inserted:
            numbers = None if message.numbers is None else message.numbers + lines.inserted
            yield replace(message, first_line=lines.of_input(message.first_line), numbers=numbers)
        elif isinstance(message, StateMessage):
            yield replace(message, line=lines.of_input(message.line))
        else:
            yield message


def _read(message: BatchMessage, settings: Settings, lines: Lines) -> Iterator[Rows | RefusedRecord]:
    """Reads the files of a BATCH message, in the order of its manifest.

    Raises:
        BatchError: a file may not be read, or cannot be: the message is not whole.
    """
    if not settings.batch_roots:
        raise BatchError(
            "BATCH messages name files, and none may be read: list the folders they may come from in "
            "batch_roots, or remove batch_config from the tap's settings"
        )
    if message.format not in ("jsonl", "parquet"):
        raise BatchError(f"BATCH files of format {message.format[:40]!r} are not read: jsonl or parquet")
    if message.format == "jsonl" and message.compression not in (None, "none", "gzip"):
        raise BatchError(f"BATCH files compressed by {message.compression[:40]!r} are not read: gzip or none")
    envelope: dict[str, Any] = {"type": "RECORD", "stream": message.stream}
    if message.version is not None:
        envelope |= {"version": message.version}
    head = msgspec.json.encode(envelope)[:-1] + b',"record":'
    for entry in message.manifest:
        name = PurePath(local_path(entry)).name
        with open_below(settings.batch_roots, entry) as file:
            lines.open_file(message.line, name, "line" if message.format == "jsonl" else "row")
            try:
                for texts in _records(message, file, settings):
                    yield from _as_rows(message.stream, head, texts, lines)
            except _UNREADABLE as error:
                why = "its compressed data ends too early" if isinstance(error, EOFError) else error
                raise BatchError(f"BATCH file {name[:SHOWN]!r} cannot be read: {why}") from None


def _records(message: BatchMessage, file: BinaryIO, settings: Settings) -> Iterator[list[bytes]]:
    """The JSON texts of a file's records, in pieces."""
    if message.format == "parquet":
        return json_rows(file, settings.max_batch_bytes, settings.max_line_bytes)
    pieces = _decompressed(file, message.compression, settings.max_batch_bytes)
    return _split(pieces, settings.max_line_bytes)


def _decompressed(file: BinaryIO, compression: str | None, max_bytes: int) -> Iterator[bytes]:
    """The bytes of a file, unpacked; taps of the SDK pack also where they say that they do not."""
    begin = file.peek(len(GZIP_MAGIC)) if isinstance(file, io.BufferedReader) else b""
    is_packed = begin.startswith(GZIP_MAGIC)
    is_text = begin.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{")
    if compression == "gzip" and begin and not is_packed and not is_text:
        raise BatchError("its message says gzip, and it is neither that nor JSON Lines: mend the tap")
    source = gzip.GzipFile(fileobj=file) if is_packed else file
    total = 0
    while piece := source.read(PIECE_BYTES):
        if total == 0 and piece.startswith(GZIP_MAGIC):
            raise BatchError("it is compressed twice")
        is_first, total = total == 0, total + len(piece)
        if total > max_bytes:
            limit = max_bytes // 2**20
            raise BatchError(f"it holds more than {limit} MiB: set max_batch_mb higher if the tap means it")
        if total > HARMLESS_BYTES and total > MAX_RATIO * file.tell():
            raise BatchError(f"it grows more than {MAX_RATIO} times as it is unpacked, as bombs do")
        yield piece.removeprefix(BYTE_ORDER_MARK) if is_first else piece


def _split(pieces: Iterator[bytes], max_line_bytes: int) -> Iterator[list[bytes]]:
    """The lines of a file, without their ends."""
    try:
        for whole in whole_lines(pieces, max_line_bytes):
            yield whole.removesuffix(b"\n").split(b"\n")
    except LongLine as error:
        raise BatchError(f"it has a line {error}") from None


def _as_rows(
    stream: str, head: bytes, texts: Sequence[bytes], lines: Lines
) -> Iterator[Rows | RefusedRecord]:
    """Records as RECORD lines; a text that is not just one JSON value could say more, so it is refused."""
    number = first = lines.take(len(texts))
    if not any(map(bytes.strip, texts)):
        return  # millions of blank lines cost nothing
    good: list[bytes] = []
    for number, text in enumerate(texts, first):
        error = _what_is_wrong(text)
        if error is None:
            good.append(text)
            continue
        if good:
            yield _rows(stream, head, good, number - len(good))
            good = []
        if text and not text.isspace():
            yield RefusedRecord(number, stream, *explain(head + text + b"}", error), text)
    if good:
        yield _rows(stream, head, good, number + 1 - len(good))


def _what_is_wrong(text: bytes) -> Exception | None:
    try:
        _any.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return error
    return None


def _rows(stream: str, head: bytes, texts: Sequence[bytes], first: int) -> Rows:
    end = b"}\n"
    return Rows(stream, head + (end + head).join(texts) + end, first, len(texts))

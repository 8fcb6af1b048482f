"""Records in, lines on stdout: the only place that writes there.

The SDK builds a message object, conforms types and flushes, once a record. Here the API's types are trusted
(they are checked against the schema in tests), the frame around a record is built once a page, and a page is
one write.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.helpers._state import StateWriter
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

Row = dict[str, Any]


class LineWriter(MsgSpecWriter):
    """Writes Singer messages; runs of records take a short way."""

    def write_records(
        self,
        stream: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        version: int | None,
        extracted: datetime,
    ) -> None:
        """Write one RECORD line a row and hand them on at once."""
        frame = (
            {"time_extracted": extracted}
            if version is None
            else {"version": version, "time_extracted": extracted}
        )
        head = b'{"type":"RECORD","stream":' + msgspec.json.encode(stream) + b',"record":'
        tail = b"," + encoder.encode(frame)[1:] + b"\n"
        encode = encoder.encode
        sys.stdout.buffer.write(b"".join([head + encode(row) + tail for row in rows]))
        sys.stdout.flush()


class StateLines(StateWriter):
    """Writes a STATE when it says something: not the one just read back, and none at all from stub data."""

    def __init__(self, writer: GenericSingerWriter[Any, Any]) -> None:
        super().__init__(writer)
        self.silent = False

    def write_state(self, state: Any) -> None:  # noqa: ANN401 - the SDK's own type is private
        """Write the state unless it is the last one written, or this run writes none."""
        if not self.silent:
            super().write_state(state)

    def assume_written(self, state: Any) -> None:  # noqa: ANN401
        """Take this state as known to the reader, so that it is not repeated."""
        self._last_emitted_state = copy.deepcopy(state)

    def write_again(self, state: Any) -> None:  # noqa: ANN401
        """Write the state even if it was the last one written: it closes a stream."""
        self._last_emitted_state = None
        self.write_state(state)

"""Bookmarks held until the rows before them are durable. Only this room writes stdout."""

import os
import sys
from collections.abc import Container, Mapping
from typing import Any

import msgspec

from lake_parquet.errors import LakeError
from target_lake_parquet.messages import StateMessage
from target_lake_parquet.proof import bookmark_key, bookmark_of

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class States:
    """The STATE messages of a run."""

    def __init__(self) -> None:
        """Begins with none."""
        self.last: StateMessage | None = None
        self._printed: bytes | None = None
        self._openings: dict[str, Any] = {}

    def received(self, message: StateMessage) -> None:
        """Keeps a STATE; it is printed when its time has come."""
        self.last = message

    def begin(self, stream: str) -> None:
        """Remembers the STATE that a stream began with, at its first SCHEMA."""
        self._openings.setdefault(stream, self.last.value if self.last else None)

    @property
    def streams(self) -> Container[str]:
        """The streams that have begun, by the tap's own names."""
        return self._openings

    def opening(self, stream: str) -> Any:  # noqa: ANN401 - a bookmark is any JSON value
        """The bookmark a stream began with, or None where the tap did not say."""
        return bookmark_of(self._openings.get(stream), stream, self._openings)

    def bookmark(self, stream: str) -> Any:  # noqa: ANN401 - a bookmark is any JSON value
        """A stream's bookmark in the last STATE, or None."""
        return bookmark_of(self.last.value if self.last else None, stream, self._openings)

    def covered(self, stream: str) -> int | None:
        """The input line of the last STATE, if that holds a stream's bookmark: it covers what is before."""
        return self.last.line if self.last and self.bookmark(stream) is not None else None

    @property
    def has_bookmarks(self) -> bool:
        """Tells whether the last STATE can be parted by stream; else it waits for the end of the run."""
        value = self.last.value if self.last else None
        return isinstance(value, dict) and isinstance(value.get("bookmarks"), dict)

    def payload(self, unpublished: Mapping[str, Any]) -> bytes | None:
        """The STATE that may be printed when all streams but `unpublished` are in the lake.

        As received, but that an unpublished stream's bookmark is the one given for it, or left out where that
        is None. A payload without `bookmarks` cannot be parted: it waits until everything is published.
        """
        if self.last is None or not unpublished:
            return self.last.raw if self.last else None
        if not self.has_bookmarks:
            return None
        members = _members.decode(self.last.raw)  # what is kept stays as it came, to the last digit
        kept: dict[str, Any] = _members.decode(members["bookmarks"])
        for stream, bookmark in unpublished.items():
            key = bookmark_key(kept, stream, self._openings)
            if key is not None:
                del kept[key]
            if bookmark is not None:
                kept[key or stream] = bookmark
        return msgspec.json.encode({**members, "bookmarks": kept})

    def hand_on(self, unpublished: Mapping[str, Any]) -> None:
        """Prints the `payload`, unless that was printed last; one put together anew must say something else.

        Raises:
            StateLostError: stdout is closed or full.
        """
        payload = self.payload(unpublished)
        if payload is None:
            return
        is_raw = self.last is not None and payload == self.last.raw
        if payload == self._printed or (not is_raw and self._says_the_same(payload)):
            return
        print_state(payload)
        self._printed = payload

    def _says_the_same(self, payload: bytes) -> bool:
        printed = self._printed
        return printed is not None and msgspec.json.decode(payload) == msgspec.json.decode(printed)


class StateLostError(LakeError):
    """Nobody could be told how far the lake is."""


def print_state(payload: bytes) -> None:
    """Prints a STATE payload on a line of its own.

    Raises:
        StateLostError: stdout is closed or full.
    """
    if sys.stdout is None:
        raise _lost("standard output is closed")
    try:
        sys.stdout.buffer.write(payload + b"\n")
        sys.stdout.buffer.flush()
    except OSError as error:
        # what stdout still holds would be written again, and fail again, when Python ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise _lost(error.strerror or str(error)) from error


def _lost(why: str) -> StateLostError:
    return StateLostError(
        f"the state could not be printed ({why}): what was published stays, "
        "the bookmark was not handed on; the next run reads the same again"
    )

"""The lines of a bulk result in; out come whole objects, in the shape that a page of the API has them.

A line is one object; a child names its parent in `__parentId` and may stand anywhere after it. No parent is
whole before the last line was read, so lines wait: in memory while they are few, else in temporary files,
spread by the parent's id so that each file can be put together by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, Self

import msgspec

from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_shopify.bulk_query import Nested

PART_BYTES = 32 << 20
"""Lines that are put together at once."""
MOST_PARTS = 512
BUFFER_BYTES = 16 << 20
"""Lines that wait in memory before they are written to their files."""
LAST_PAGE = {"hasNextPage": False, "endCursor": None}
PARENT = "__parentId"
PLACE = "_place"
"""Where a line stood that was put together before its parent was: siblings keep their order."""

decode = msgspec.json.Decoder(Row).decode
encode = msgspec.json.encode


def objects(lines: Iterable[bytes], nested: Sequence[Nested], size: int, what: str) -> Iterator[Row]:
    """Yield the objects at the root, each with everything below it.

    Args:
        lines: the lines of the result.
        nested: the connections below the root.
        size: how many bytes the lines have in all, or a guess.
        what: names the result in errors.

    Raises:
        ApiError: A line is not JSON, or a child's parent is not there.
    """
    try:
        if not nested:
            yield from map(decode, filter(None, lines))
            return
        with ExitStack() as stack:
            outer = stack.enter_context(Join([one for one in nested if one.parent is None], size, what))
            if inner := [one for one in nested if one.parent is not None]:
                _join_below(lines, stack.enter_context(Join(inner, size, what)), outer)
            else:
                for line in filter(None, lines):
                    outer.add(line)
            yield from outer.objects()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(f"{what}: a line of the bulk result is not an object in JSON.") from error


def _join_below(lines: Iterable[bytes], inner: Join, outer: Join) -> None:
    """Put grandchildren into their parents, and these with all other lines into the outer join."""
    parents = {str(one.parent) for one in inner.nested}
    has_children = _head_decoder(parents)
    for at, line in enumerate(filter(None, lines)):
        head = has_children(line)
        if any(getattr(head, marker) is not None for marker in parents):
            inner.add(b'{"%b":%d,%b' % (PLACE.encode(), at, line.lstrip()[1:]))
        elif inner.holds_child(line):
            inner.add(line)
        else:
            outer.add(line)
    for row in inner.objects():
        outer.add(encode(row))


def _head_decoder(markers: Iterable[str]) -> Callable[[bytes], Any]:
    """Return what reads of a line only what decides where it goes: two ids, and markers."""
    fields: list[tuple[str, Any, Any]] = [(marker, str | None, None) for marker in sorted(markers)]
    head = msgspec.defstruct(
        "Head", [("id", str | None, None), ("parent", str | None, None), *fields], rename={"parent": PARENT}
    )
    return msgspec.json.Decoder(head).decode


class Join:
    """Lines of parents and of their children; a line is a child's if it holds the marker of `nested`."""

    def __init__(self, nested: Sequence[Nested], size: int, what: str) -> None:
        self.nested = nested
        self.what = what
        self._markers = [one.marker for one in nested]
        self._head = _head_decoder(self._markers)
        self._parts = [Part() for _ in range(min(max(1, size // PART_BYTES), MOST_PARTS))]
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            part.close()

    def holds_child(self, line: bytes) -> bool:
        """Tell whether a line is a child's."""
        return self._marker(self._head(line)) is not None

    def add(self, line: bytes) -> None:
        """Take in a line."""
        if len(self._parts) == 1:
            self._parts[0].lines.append(line)
            return
        head = self._head(line)
        parent = head.id if self._marker(head) is None else head.parent
        self._parts[hash(parent) % len(self._parts)].lines.append(line)
        self._waiting += len(line)
        if self._waiting > BUFFER_BYTES:
            for part in self._parts:
                part.spill()
            self._waiting = 0

    def objects(self) -> Iterator[Row]:
        """Yield every parent with its children, and forget the lines."""
        for part in self._parts:
            yield from self._joined(part.taken())

    def _marker(self, head: Any) -> str | None:  # noqa: ANN401 - a struct made for these markers
        for marker in self._markers:
            if getattr(head, marker) is not None:
                return marker
        return None

    def _joined(self, lines: Iterable[bytes]) -> Iterator[Row]:
        """Yield the parents among some lines with their children, each decoded when its turn comes."""
        parents: dict[str, bytes] = {}
        repeated: set[str] = set()
        children: dict[str, dict[str, list[bytes]]] = {marker: {} for marker in self._markers}
        for line in lines:
            head = self._head(line)
            if (marker := self._marker(head)) is not None:
                children[marker].setdefault(head.parent, []).append(line)
                continue
            if head.id in parents:
                repeated.add(head.id)
            parents[head.id] = line
        columns = [(one.column, one.marker, children[one.marker]) for one in self.nested]
        for gid, line in parents.items():
            row = decode(line)
            for column, marker, of_parent in columns:
                rows = []
                for child in of_parent.pop(gid, ()):
                    rows.append(one := decode(child))
                    del one[marker], one[PARENT]
                rows.sort(key=lambda one: one.pop(PLACE, 0))
                if gid in repeated:  # it was listed twice, and so were its children
                    rows = list({one.get("id") or encode(one): one for one in rows}.values())
                row[column] = {"nodes": rows, "pageInfo": LAST_PAGE}
            yield row
        if lost := sum(len(some) for of_parent in children.values() for some in of_parent.values()):
            raise ApiError(
                f"{self.what}: {lost} lines of the bulk result belong to objects that are not in it."
            )


class Part:
    """Some of the lines: those in a file that goes with the process, and those that came since."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._file: IO[bytes] | None = None

    def spill(self) -> None:
        """Move the lines to the file."""
        if not self.lines:
            return
        if self._file is None:
            # Without a name: nothing is left behind, whatever happens.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._file.write(b"\n".join([*self.lines, b""]))
        self.lines = []

    def taken(self) -> Iterator[bytes]:
        """Yield the lines, and give up what holds them."""
        if self._file is not None:
            self._file.seek(0)
            yield from self._file
        lines, self.lines = self.lines, []
        yield from lines
        self.close()

    def close(self) -> None:
        """Give up the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

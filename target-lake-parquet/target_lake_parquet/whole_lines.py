"""Bytes in, as they were read or as a block holds them, runs of whole lines out: none is looked at. Pure."""

from collections.abc import Iterable, Iterator


class LongLine(ValueError):  # noqa: N818 - named after what it is about
    """A line is longer than the setting allows; the message goes on after "is"."""


def whole_lines(chunks: Iterable[bytes], max_line_bytes: int) -> Iterator[bytes]:
    """Joins chunks of text to runs of whole lines; only the very last line may lack its end.

    Raises:
        LongLine: the line after what was yielded is longer than `max_line_bytes`.
    """
    rest: list[bytes] = []  # of a line whose end is still to come: joined once, however long it is
    length = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            # only a chunk's first line can be longer than a chunk
            _check_length(length + chunk.index(b"\n") + 1, max_line_bytes)
            rest.append(chunk[:end])
            yield b"".join(rest)
            rest, length = [chunk[end:]], len(chunk) - end
        else:
            rest.append(chunk)
            length += len(chunk)
        _check_length(length, max_line_bytes)
    if length:
        yield b"".join(rest)


def _check_length(length: int, max_line_bytes: int) -> None:
    if length > max_line_bytes:
        limit = max_line_bytes // 2**20
        raise LongLine(f"longer than {limit} MiB: set max_line_mb higher if the tap means it")


def cuts(block: bytes, size: int, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Where pieces of whole lines, each about `size` bytes, start and end in a block or a part of it."""
    end = len(block) if end is None else end
    while start < end:
        until = block.find(b"\n", min(start + size, end) - 1, end) + 1 or end
        yield start, until
        start = until


def pieces(block: bytes, size: int) -> Iterator[bytes]:
    """Cuts a block into pieces of whole lines, each about `size` bytes."""
    return (block[start:end] for start, end in cuts(block, size))

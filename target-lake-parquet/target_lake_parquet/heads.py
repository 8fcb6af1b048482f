"""Whole lines in, RECORD lines by stream out, told apart by how they begin: not one is parsed. Pure.

Nearly every tap begins a RECORD line as `RECORD` says. Lines that begin otherwise are not looked at here.
"""

import functools
import re
from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

HEAD = re.compile(rb'\{"type": ?"RECORD", ?"stream": ?"((?:[^"\\])++)", ?')
RECORD = re.compile(HEAD.pattern + rb'"record": ?\{')

_END = ord("\n")
_WORD = 64
"""Bytes that are asked at once where lines end: as many as a word has bits."""
_FEW_BYTES = 2**15


def count_lines(chunk: bytes) -> int:
    """The line ends in a chunk."""
    if len(chunk) < _FEW_BYTES:
        return chunk.count(b"\n")
    return int(_is_end(chunk).sum())  # many bytes at a time: a fifth of what `bytes.count` takes


def stream_of(chunk: bytes, at: int = 0) -> str:
    """The stream of the RECORD line that begins at `at`."""
    head = HEAD.match(chunk, at)
    return head[1].decode(errors="replace") if head else ""


def is_one_run(chunk: bytes, lines: int) -> bool:
    """Tells whether all of so many lines are RECORDs of one stream, which begin alike."""
    begin = RECORD.match(chunk)
    if begin is None or not (lines == 1 or chunk.startswith(begin[0], chunk.index(b"\n") + 1)):
        return False
    return chunk.count(b"\n" + begin[0]) + 1 == lines


def end_of_run(chunk: bytes, at: int) -> int:
    """Where the lines end that begin as the RECORD line at `at` does."""
    begin = RECORD.match(chunk, at)
    other = _other_than(begin[0]).search(chunk, at) if begin else None
    return other.end() if other else len(chunk)


@functools.cache
def _other_than(prefix: bytes) -> re.Pattern[bytes]:
    """Finds the line end before the first line that begins otherwise."""
    return re.compile(rb"\n(?!" + re.escape(prefix) + rb")")


def by_stream(chunk: bytes, number: int) -> Iterator[tuple[str | None, bytes, pl.Series]]:
    """Gathers the lines of a chunk: the RECORDs of each stream up to the next line that is none, and so on.

    Yields a stream, its lines, and their numbers; of each other line None, it, and its number. Empty lines
    are left out.
    """
    lines = _lines_of(chunk)
    streams, groups = _groups_of(lines)
    grouped = groups.to_arrow()
    places, bounds = grouped.flatten(), grouped.offsets
    taken, numbers = lines.take(places), pl.Series(places) + number
    text = taken.buffers()[2]
    firsts, starts = bounds.to_pylist(), _offsets_of(taken).take(bounds).to_pylist()
    for at, stream in enumerate(streams):
        block = text.slice(starts[at], starts[at + 1] - starts[at]).to_pybytes()
        yield stream, block, numbers.slice(firsts[at], firsts[at + 1] - firsts[at])


def _groups_of(lines: pa.LargeBinaryArray) -> tuple[Sequence[str | None], pl.Series]:
    """The streams, and which lines are of each.

    A line that is no RECORD begins a stretch, and is a group of its own: no RECORD passes it.
    """
    frame = _heads_of(lines)
    groups = frame.group_by("head", maintain_order=True).agg("place")
    streams = [stream_of(head) if HEAD.fullmatch(head) else None for head in groups["head"]]
    if None not in streams and len({*streams}) == len(streams):
        return streams, groups["place"]
    # by name, for a stream's lines may begin in several ways, and their order decides
    found = (
        groups.with_columns(pl.Series("stream", streams, dtype=pl.String))
        .explode("place")
        .sort("place")
        .with_columns(stretch=pl.col("stream").is_null().cum_sum())
        .group_by("stretch", "stream", maintain_order=True)
        .agg("place")
    )
    return found["stream"].to_list(), found["place"]


def _lines_of(chunk: bytes) -> pa.LargeBinaryArray:
    """The lines of a chunk, with their ends; not copied."""
    ends = _ends_of(chunk)
    offsets = pl.concat([pl.Series([0], dtype=pl.Int64), ends]).to_arrow().buffers()[1]
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, offsets, pa.py_buffer(chunk)]
    )


def _ends_of(chunk: bytes) -> pl.Series:
    """Where each line of a chunk ends, looked for 64 bytes at a time: most of them hold no end."""
    bits = _is_end(chunk).to_arrow().buffers()[1]
    whole = len(chunk) // _WORD
    words = pl.Series(pa.Array.from_buffers(pa.uint64(), whole, [None, bits]))
    places = (words != 0).arg_true()
    words, places = words.gather(places), places.cast(pl.Int64) * _WORD
    last = [at + 1 for at in range(whole * _WORD, len(chunk)) if chunk[at] == _END]
    found = [pl.Series(last, dtype=pl.Int64)]
    while len(words):  # as often as most ends that stand in one word
        found.append(places + words.bitwise_trailing_zeros() + 1)
        words &= words - 1
        are_left = words != 0
        words, places = words.filter(are_left), places.filter(are_left)
    return pl.concat(found).sort()


def _heads_of(lines: pa.LargeBinaryArray) -> pl.DataFrame:
    """What stands before "record" in each line, as `head`, nothing where that is nowhere; and its `place`.

    Without the lines that are empty.
    """
    lengths = pc.find_substring(lines, b'"record"')
    frame = pl.DataFrame({"line": pl.Series(lines), "length": pl.Series(lengths)})
    head = pl.col("line").bin.slice(0, pl.col("length").clip(lower_bound=0))
    heads = frame.select(head=head, place=pl.int_range(pl.len()))
    if pc.min(pc.binary_length(lines)).as_py() > len(b"\r\n"):  # none is: to look at each costs as much again
        return heads
    is_text = pl.col("line").bin.slice(0, 3).is_in([b"\n", b"\r\n"]).not_()
    return heads.filter(frame.select(is_text).to_series())


def _offsets_of(lines: pa.LargeBinaryArray) -> pa.Int64Array:
    """Where each line begins, and the last one ends; not copied."""
    return pa.Array.from_buffers(pa.int64(), len(lines) + 1, [None, lines.buffers()[1]])


def _is_end(chunk: bytes) -> pl.Series:
    """Tells of each byte whether it ends a line."""
    return pl.Series(pa.Array.from_buffers(pa.uint8(), len(chunk), [None, pa.py_buffer(chunk)])) == _END

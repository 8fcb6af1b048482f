"""Whole lines in, RECORD lines by stream out, told apart by how they begin: not one is parsed. Pure.

Nearly every tap begins a RECORD line as `RECORD` says. Lines that begin otherwise are not looked at here.
"""

import functools
import re
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

HEAD = re.compile(rb'\{"type": ?"RECORD", ?"stream": ?"((?:[^"\\])++)", ?')
RECORD = re.compile(HEAD.pattern + rb'"record": ?\{')

_END = ord("\n")
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

    Yields a stream, its lines, and their numbers; of each other line None, it, and its number.
    """
    lines = _lines_of(chunk)
    groups = _groups_of(_heads_of(lines))
    places = groups["place"].explode()
    taken = lines.take(places.to_arrow())
    ends = pl.Series(pc.binary_length(taken)).cum_sum()
    numbers = places + number
    text = taken.buffers()[2]
    first = start = 0
    for stream, count in groups.select("stream", pl.col("place").list.len()).iter_rows():
        end = ends[first + count - 1]
        block = text.slice(start, end - start).to_pybytes()
        yield stream, block, numbers.slice(first, count)
        first, start = first + count, end


def _groups_of(heads: pl.Series) -> pl.DataFrame:
    """Which lines belong together, and the stream they are of: `stretch`, `stream`, `place`.

    A line that is no RECORD begins a stretch, and is a group of its own: no RECORD passes it.
    """
    frame = heads.to_frame("head").with_columns(place=pl.int_range(pl.len()))
    groups = frame.group_by("head", maintain_order=True).agg("place")
    streams = [stream_of(head) if HEAD.fullmatch(head) else None for head in groups["head"]]
    if None not in streams and len({*streams}) == len(streams):
        return groups.select(pl.lit(0).alias("stretch"), pl.Series("stream", streams), "place")
    # by name, for a stream's lines may begin in several ways, and their order decides
    return (
        frame.with_columns(
            stream=pl.col("head").replace_strict(groups["head"], pl.Series(streams, dtype=pl.String))
        )
        .with_columns(stretch=pl.col("stream").is_null().cum_sum())
        .group_by("stretch", "stream", maintain_order=True)
        .agg("place")
    )


def _lines_of(chunk: bytes) -> pa.LargeBinaryArray:
    """The lines of a chunk, with their ends; not copied."""
    ends = _is_end(chunk).arg_true().cast(pl.Int64) + 1
    offsets = pl.concat([pl.Series([0], dtype=pl.Int64), ends]).to_arrow().buffers()[1]
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, offsets, pa.py_buffer(chunk)]
    )


def _heads_of(lines: pa.LargeBinaryArray) -> pl.Series:
    """What stands before "record" in each line; nothing where that is nowhere."""
    lengths = pl.Series(pc.find_substring(lines, b'"record"')).clip(lower_bound=0)
    return pl.Series(lines).to_frame("line").select(pl.col("line").bin.slice(0, lengths)).to_series()


def _is_end(chunk: bytes) -> pl.Series:
    """Tells of each byte whether it ends a line."""
    return pl.Series(pa.Array.from_buffers(pa.uint8(), len(chunk), [None, pa.py_buffer(chunk)])) == _END

"""RECORD lines of a stream in, typed frames out: the fast way where it is sure, else the exact one. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from lake_parquet.merge import DELETED_AT
from target_lake_parquet.columns import Column, Kind, Table
from target_lake_parquet.decode import BadRecord, Decoded, decode
from target_lake_parquet.fast import decode_fast, plan_of
from target_lake_parquet.messages import Rows, record_of
from target_lake_parquet.metadata import read_envelopes

if TYPE_CHECKING:
    from target_lake_parquet.validation import Validator  # only who validates loads its library

PARTS = 16
"""A block that the fast way refuses is cut into so many parts: one odd record must not slow the others."""

_DELETED = f'"{DELETED_AT}"'.encode()


class BlockDecoder:
    """Decodes the records of one stream, under one SCHEMA."""

    def __init__(
        self, table: Table, validator: "Validator | None" = None, *, reads_envelopes: bool = False
    ) -> None:
        """Plans both ways for `table`; either can validate records first, and read their envelopes too."""
        self.table = table
        self._validator = validator
        self._reads_envelopes = reads_envelopes
        self._fast = plan_of(table, reads_envelopes=reads_envelopes)
        self._declares_deletes = any(column.path == (DELETED_AT,) for column in table.columns)

    @cached_property
    def _with_deletes(self) -> "BlockDecoder":
        """Decodes blocks with the mark of deleted rows, which many taps do not declare in their SCHEMA."""
        mark = Column(DELETED_AT, (DELETED_AT,), Kind.TIMESTAMP)
        table = replace(self.table, columns=(*self.table.columns, mark))
        return BlockDecoder(table, self._validator, reads_envelopes=self._reads_envelopes)

    def decode(self, rows: Sequence[Rows]) -> Iterator[Decoded]:
        """Decodes runs of RECORD lines, in order; several frames a table may come of them."""
        block = b"".join(run.block for run in rows)
        if not self._declares_deletes and _DELETED in block:
            yield from self._with_deletes.decode(rows)
            return
        lines = _line_numbers(rows)
        decoded = self._try_fast(block, lines)
        if decoded is not None:
            yield decoded
            return
        if self._fast is None:
            yield self._decode_exact(block, lines)
            return
        refused = 0
        parts = list(_parts(block, lines))
        for part, numbers in parts:
            decoded = self._try_fast(part, numbers)
            refused += decoded is None
            yield decoded if decoded is not None else self._decode_exact(part, numbers)
        if refused == len(parts):
            self._fast = None  # this stream's records are never what its schema says: no use trying

    def _try_fast(self, block: bytes, lines: pl.Series) -> Decoded | None:
        decoded = decode_fast(self._fast, block, lines) if self._fast is not None else None
        return decoded and self._validated(decoded, block, lines)

    def _decode_exact(self, block: bytes, lines: pl.Series) -> Decoded:
        decoded = decode_exact(self.table, block, lines)
        if self._reads_envelopes:
            decoded.envelopes = read_envelopes(block)
        return self._validated(decoded, block, lines)

    def _validated(self, decoded: Decoded, block: bytes, lines: pl.Series) -> Decoded:
        if self._validator is not None:
            decoded.bad.extend(self._validator.check(block, lines.to_list()))
        return decoded


def decode_exact(table: Table, block: bytes, lines: pl.Series) -> Decoded:
    """Decodes a block record by record: whatever a line holds, it becomes rows or a bad record."""
    records: list[msgspec.Raw] = []
    unreadable: list[BadRecord] = []
    numbers = lines.to_list()
    for number, line in zip(numbers, block.split(b"\n"), strict=False):
        try:
            records.append(record_of(line))
        except ValueError as error:
            unreadable.append(BadRecord(number, "record", f"is not readable JSON ({error})"))
            records.append(msgspec.Raw(b"{}"))
    decoded = decode(table, numbers, records)
    decoded.bad = [*unreadable, *decoded.bad]
    return decoded


def _line_numbers(rows: Sequence[Rows]) -> pl.Series:
    """The line number of each record."""
    starts = pl.DataFrame({"first": [run.first_line for run in rows], "count": [run.count for run in rows]})
    ranges = pl.int_ranges("first", pl.col("first") + pl.col("count"))
    return starts.select(ranges.explode()).to_series()


def _parts(block: bytes, lines: pl.Series) -> Iterator[tuple[bytes, pl.Series]]:
    """Cuts a block into parts of whole lines, about equal in size."""
    at = first = 0
    step = len(block) // PARTS + 1
    while at < len(block):
        end = block.find(b"\n", min(at + step, len(block) - 1)) + 1
        count = block.count(b"\n", at, end)
        yield block[at:end], lines.slice(first, count)
        at, first = end, first + count

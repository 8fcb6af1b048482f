"""RECORD envelopes in, the SDK's columns that tell how a row came out. Pure: the times are handed in."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from lake_parquet.merge import DELETED_AT
from lake_parquet.widen import TIMESTAMP
from target_lake_parquet.dates import convert_timestamps

NAMES = (
    "_sdc_extracted_at",
    "_sdc_received_at",
    "_sdc_batched_at",
    DELETED_AT,
    "_sdc_sequence",
    "_sdc_table_version",
    "_sdc_sync_started_at",
)
"""The columns, in the SDK's order."""
OWN = tuple(name for name in NAMES if name != DELETED_AT)
"""Those that only the target fills; whether a row is deleted only its record says."""
EXTRACTED, VERSION = "extracted", "version"
INT64 = range(-(2**63), 2**63)


class _Envelope(msgspec.Struct):
    time_extracted: Any = None
    version: Any = None


_envelopes = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True)
class Moments:
    """When the first record of a block was read, when the block was full, and when the run began."""

    received: datetime
    batched: datetime
    started: datetime


def read_envelopes(block: bytes) -> pl.DataFrame:
    """What RECORD lines say beside their record: when it was read, and of which version of its stream."""
    envelopes = list(_read(block))
    times = [one.time_extracted if isinstance(one.time_extracted, str) else None for one in envelopes]
    versions = [one.version if _is_int64(one.version) else None for one in envelopes]
    return envelopes_of(
        pl.Series(times, dtype=pl.String).to_arrow().cast(pa.string()), pl.Series(versions, dtype=pl.Int64)
    )


def version_of_last(block: bytes) -> int | None:
    """The stream version in the last of a block's RECORD lines, where it has one."""
    line = block[block.rfind(b"\n", 0, len(block) - 1) + 1 :]
    version = next(_read(line)).version
    return version if _is_int64(version) else None


def envelopes_of(times: pa.Array, versions: pl.Series) -> pl.DataFrame:
    """The same of whole columns. What is no time is null: no row is lost for it."""
    extracted = convert_timestamps(times).series
    return pl.DataFrame([extracted.alias(EXTRACTED), versions.alias(VERSION)])


def with_metadata(
    frame: pl.DataFrame, envelopes: pl.DataFrame | None, moments: Moments, keys: Container[str] = ()
) -> pl.DataFrame:
    """Adds the columns to a stream's rows; a column of the tap's by such a name gives way, if it is no key.

    A row whose envelope names no time counts as extracted when it was received.
    """
    rows = frame.height
    unknown = pl.DataFrame({EXTRACTED: pl.Series([None] * rows, dtype=TIMESTAMP), VERSION: [None] * rows})
    told = unknown if envelopes is None else envelopes
    received, batched = (pl.lit(moment, TIMESTAMP) for moment in (moments.received, moments.batched))
    values: dict[str, pl.Expr | pl.Series] = {
        "_sdc_extracted_at": told[EXTRACTED].fill_null(moments.received),
        "_sdc_received_at": received,
        "_sdc_batched_at": batched,
        DELETED_AT: pl.col(DELETED_AT) if DELETED_AT in frame.columns else pl.lit(None, TIMESTAMP),
        "_sdc_sequence": pl.lit(_milliseconds(moments.received), pl.Int64),
        "_sdc_table_version": told[VERSION].cast(pl.Int64),
        "_sdc_sync_started_at": pl.lit(_milliseconds(moments.started), pl.Int64),
    }
    values = {name: value for name, value in values.items() if name not in keys}
    others = [name for name in frame.columns if name not in values]
    return frame.select(*others, **values)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _read(block: bytes) -> Iterator[_Envelope]:
    for line in block.removesuffix(b"\n").split(b"\n") if block else ():
        try:
            yield _envelopes.decode(line)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            yield _Envelope()


def _is_int64(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in INT64

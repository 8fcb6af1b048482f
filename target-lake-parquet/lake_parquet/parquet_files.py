"""Rows in, one Parquet file out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa

from lake_parquet.errors import LakeError
from lake_parquet.evolution import arrow_schema
from lake_parquet.widen import written

Compression = Literal["zstd", "snappy", "gzip", "lz4", "uncompressed"]


@dataclass(frozen=True, slots=True)
class ParquetOptions:
    """How files are written. `row_group_rows` None leaves the size to the writer."""

    compression: Compression = "zstd"
    compression_level: int | None = None
    row_group_rows: int | None = None


def write_parquet(
    rows: pl.LazyFrame,
    path: Path,
    options: ParquetOptions,
    metadata: Mapping[str, str] | None = None,
    schema: pa.Schema | None = None,
) -> None:
    """Encodes rows into a file, `metadata` into its footer; `schema` brings the columns' field ids.

    Raises:
        LakeError: the disk is full, or fails.
    """
    try:
        written(rows).sink_parquet(
            path,
            compression=options.compression,
            compression_level=options.compression_level,
            row_group_size=options.row_group_rows,
            metadata=dict(metadata or {}),
            arrow_schema=schema or arrow_schema(rows.collect_schema()),
        )
    except OSError as error:
        raise LakeError(f"{path.name} cannot be written ({error}): the latest snapshot stays") from error

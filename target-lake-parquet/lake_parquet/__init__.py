"""The lake: the one place that writes, names and reads Parquet snapshots."""

from lake_parquet.lake import Lake

__all__ = ["Lake"]

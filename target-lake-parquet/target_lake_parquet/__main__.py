"""Runs the target: `python -m target_lake_parquet`."""

from target_lake_parquet.target import TargetLakeParquet

TargetLakeParquet.cli()

"""Runs the lake command: `python -m lake_parquet`."""

from lake_parquet.cli import main

main()

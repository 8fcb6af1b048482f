"""RECORD lines from stdin through dlt into Parquet files, child tables included. Runs in dlt's environment.

python benchmarks/dlt_load.py folder < orders.jsonl
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import orjson


def records() -> Iterator[dict[str, Any]]:
    """The records of stdin."""
    for line in sys.stdin.buffer:
        message = orjson.loads(line)
        if message["type"] == "RECORD":
            yield message["record"]


def main(folder: str) -> None:
    """Loads them with dlt's own defaults."""
    lake = Path(folder).resolve()
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(lake / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=lake.as_uri()),
        dataset_name="bench",
    )
    rows = dlt.resource(records(), name="rows", primary_key="id", write_disposition="replace")
    pipeline.run(rows, loader_file_format="parquet")


if __name__ == "__main__":
    main(sys.argv[1])

"""A plain target of the Meltano SDK that writes Parquet: what its loop over single records takes.

    python benchmarks/sdk_target.py --config config.json < orders.jsonl

A file a batch, nested values as they come, no keys. `validate_records` is the SDK's own setting.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from singer_sdk import BatchSink, Target
from singer_sdk import typing as th


class ParquetSink(BatchSink):
    """One stream."""

    max_size = 10_000

    def process_batch(self, context: dict[str, Any]) -> None:
        """Writes a batch's records into a file of its own."""
        table = pa.Table.from_pylist(context["records"])
        folder = Path(self.config["folder"])
        pq.write_table(
            table, folder / f"{self.stream_name}-{context['batch_id']}.parquet", compression="zstd"
        )


class TargetPlain(Target):
    """Singer in, Parquet files out."""

    name = "target-plain"
    config_jsonschema = th.PropertiesList(th.Property("folder", th.StringType, required=True)).to_dict()
    default_sink_class = ParquetSink


if __name__ == "__main__":
    TargetPlain.cli()

"""The raw limit: the same bytes to the same columns with no Singer duty: what a target is measured against.

    python benchmarks/raw_limit.py orders < orders.jsonl

Reads all bytes, keeps RECORD lines, reads them with an explicit schema in one call, flattens, parses dates,
writes one zstd Parquet file. No state, no merge, no durability, no memory bound.
"""

import io
import sys
import tempfile
from pathlib import Path

import polars as pl

MONEY = pl.Struct({"amount": pl.Float64, "currency_code": pl.String})
ADDRESS = pl.Struct(
    dict.fromkeys(("first_name", "last_name", "address1", "city", "zip", "country_code"), pl.String)
)
ITEM = pl.Struct(
    {
        "id": pl.Int64,
        "title": pl.String,
        "sku": pl.String,
        "quantity": pl.Int64,
        "price": MONEY,
        "taxable": pl.Boolean,
    }
)
SCHEMAS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "orders": {
        "id": pl.Int64,
        **dict.fromkeys(
            ("name", "email", "created_at", "updated_at", "processed_at", "financial_status"), pl.String
        ),
        **dict.fromkeys(("total_price", "subtotal_price", "total_tax"), MONEY),
        **dict.fromkeys(("billing_address", "shipping_address"), ADDRESS),
        "tags": pl.List(pl.String),
        "test": pl.Boolean,
        "line_items": pl.List(ITEM),
    },
    "narrow": {
        "id": pl.Int64,
        "name": pl.String,
        "amount": pl.Float64,
        "is_open": pl.Boolean,
        "updated_at": pl.String,
    },
}


def main(kind: str) -> None:
    """Reads stdin, writes one file into a temporary folder."""
    lines = b"".join(line for line in sys.stdin.buffer if line.startswith(b'{"type":"RECORD"'))
    record = pl.Struct(SCHEMAS[kind])
    schema = pl.Schema({"type": pl.String(), "stream": pl.String(), "record": record})
    frame = pl.read_ndjson(io.BytesIO(lines), schema=schema).select("record").unnest("record")
    structs = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]
    frame = frame.unnest(*structs, separator="__")
    moments = [name for name in frame.columns if name.endswith("_at")]
    frame = frame.with_columns(
        pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in moments
    )
    with tempfile.TemporaryDirectory() as folder:
        frame.write_parquet(Path(folder) / "out.parquet", compression="zstd")


if __name__ == "__main__":
    main(sys.argv[1])

"""The raw limit: the same bytes to the same columns with no Singer duty: what a target is measured against.

    python benchmarks/raw_limit.py orders folder < orders.jsonl

Blocks of 16 MiB: keeps RECORD lines, reads them with an explicit schema, flattens, parses dates; then writes
one zstd Parquet file. No state, no keys, no merge, no durability, no check of what it read; line items stay
nested. The frames wait in memory for one parallel write: writing block by block took less
memory, and more time.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

BLOCK_BYTES = 16 * 2**20
RECORD = b'{"type":"RECORD"'
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


def blocks() -> Iterator[bytes]:
    """Stdin in whole lines, about 16 MiB at a time."""
    rest = b""
    while chunk := sys.stdin.buffer.read(BLOCK_BYTES):
        chunk = rest + chunk
        end = chunk.rfind(b"\n") + 1
        rest = chunk[end:]
        yield chunk[:end]


def records(block: bytes) -> bytes:
    """Its RECORD lines; counting finds the blocks that hold nothing else, and spares them the split."""
    if block.startswith(RECORD) and block.count(b"\n" + RECORD) + 1 == block.count(b"\n"):
        return block
    return b"".join(line for line in block.splitlines(keepends=True) if line.startswith(RECORD))


def frame_of(kind: str, lines: bytes) -> pl.DataFrame:
    """The lines as flat, typed columns."""
    schema = pl.Schema({"record": pl.Struct(SCHEMAS[kind])})
    frame = pl.read_ndjson(io.BytesIO(lines), schema=schema).unnest("record")
    structs = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]
    frame = frame.unnest(*structs, separator="__")
    moments = [name for name in frame.columns if name.endswith("_at")]
    return frame.with_columns(
        pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in moments
    )


def main(kind: str, folder: str) -> None:
    """Reads stdin, writes one file into `folder`."""
    frame = pl.concat([frame_of(kind, records(block)) for block in blocks()])
    frame.write_parquet(Path(folder) / "out.parquet", compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A small tap of the SDK, for its BATCH messages: `python -m tests.target.batch_tap --config ...`."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk import typing as th

ROWS = 25
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int) -> dict[str, Any]:
    """One record, as the tap's source has it."""
    return {
        "id": number,
        "name": f'näme "{number}"\n',
        "price": Decimal(number) / 100,
        "updated_at": BEGIN + timedelta(minutes=number),
        "address": {"zip": f"{number:05}"},
        "items": [{"sku": f"sku-{number}-{nth}", "count": nth} for nth in range(number % 3)],
    }


class Orders(Stream):
    """Orders with an address and items."""

    name = "orders"
    primary_keys: ClassVar[list[str]] = ["id"]
    replication_key = "updated_at"
    is_sorted = True
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("name", th.StringType),
        th.Property("price", th.CustomType({"type": ["number", "null"], "multipleOf": 0.01})),
        th.Property("updated_at", th.DateTimeType),
        th.Property("address", th.ObjectType(th.Property("zip", th.StringType))),
        th.Property(
            "items",
            th.ArrayType(
                th.ObjectType(th.Property("sku", th.StringType), th.Property("count", th.IntegerType))
            ),
        ),
    ).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:  # noqa: ARG002 - the SDK's signature
        """All rows."""
        yield from map(row, range(ROWS))


class BatchTap(Tap):
    """The tap."""

    name = "tap-batch"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Stream]:
        """Its one stream."""
        return [Orders(self)]


if __name__ == "__main__":
    BatchTap.cli()

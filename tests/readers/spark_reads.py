"""Run by Spark's own Python: reads Parquet as it is told, and tells columns, types and rows.

Standard input: `{"name": code, ...}`; the code has `spark` and leaves a frame in `orders`. Standard output:
`{"name": {"types": [[column, type], ...], "rows": [{...}, ...]}, ...}`, or `{"name": {"error": ...}}`.
"""

import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import SparkSession  # type: ignore[import-not-found]


def plain(value: Any) -> Any:
    """A value as JSON holds it, without loss."""
    if isinstance(value, datetime):  # Spark hands over the session's time zone, which is UTC
        return value.replace(tzinfo=UTC).isoformat()
    return str(value) if isinstance(value, date | Decimal) else value


def read(spark: Any, code: str) -> dict[str, Any]:
    """What a piece of code reads."""
    names: dict[str, Any] = {"spark": spark}
    try:
        exec(code, names)  # noqa: S102 - the recipe as it stands
        frame = names["orders"]
        rows = [{name: plain(value) for name, value in row.asDict().items()} for row in frame.collect()]
    except Exception as error:  # noqa: BLE001 - whatever Spark makes of it is told
        return {"error": str(error).split("\n\n")[0]}
    return {"types": frame.dtypes, "rows": rows}


def main() -> None:
    """Reads all."""
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.driver.host", "127.0.0.1")
    spark = builder.config("spark.driver.memory", "1g").getOrCreate()
    told = {name: read(spark, code) for name, code in json.load(sys.stdin).items()}
    spark.stop()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()

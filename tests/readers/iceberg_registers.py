"""Run by the Python that has pyiceberg: registers files in turn, and tells what the table holds then.

Standard input: `{"code": ..., "files": [...]}`; the code defines `register`. Standard output: for each file
the table's columns with their ids, its files, and its rows, now and at each moment of its history.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog  # type: ignore[import-not-found]

TABLE = "lake.orders"


def main() -> None:
    """Registers all, in the folder in which it runs."""
    asked = json.load(sys.stdin)
    names: dict[str, Any] = {}
    exec(asked["code"], names)  # noqa: S102 - the recipe as it stands
    place = Path.cwd()
    catalog = SqlCatalog("lake", uri=f"sqlite:///{place}/catalog.db", warehouse=f"file://{place}/warehouse")
    catalog.create_namespace("lake")
    told: list[dict[str, Any]] = []
    for file in asked["files"]:
        try:
            names["register"](catalog, TABLE, file)
        except ValueError as error:
            told.append({"error": str(error)})
            continue
        table = catalog.load_table(TABLE)
        moments = [table.scan(snapshot_id=moment.snapshot_id) for moment in table.history()]
        told.append(
            {
                "ids": {field.name: field.field_id for field in table.schema().fields},
                "files": [task.file.file_path for task in table.scan().plan_files()],
                "rows": table.scan().to_arrow().to_pylist(),
                "history": [moment.to_arrow().to_pylist() for moment in moments],
            }
        )
    json.dump(told, sys.stdout, default=str)


if __name__ == "__main__":
    main()

"""Run by the Python that has pyiceberg: catches up by the docs' own code, and tells what the table holds.

Standard input: `{"code": ...}`. Standard output: the table's columns with their ids, its files, and its rows,
now and at each moment of its history; or the error.
"""

import json
import sys
from typing import Any


def main() -> None:
    """Catches up."""
    names: dict[str, Any] = {}
    try:
        exec(json.load(sys.stdin)["code"], names)  # noqa: S102 - the recipe as it stands
    except ValueError as error:
        json.dump({"error": str(error)}, sys.stdout)
        return
    table = names["catalog"].load_table("lake.orders")
    scan = table.scan(options={"include_empty_files": "true"})
    moments = [table.scan(snapshot_id=moment.snapshot_id) for moment in table.history()]
    told = {
        "ids": {field.name: field.field_id for field in table.schema().fields},
        "files": [task.file.file_path for task in scan.plan_files()],
        "rows": table.scan().to_arrow().to_pylist(),
        "history": [moment.to_arrow().to_pylist() for moment in moments],
    }
    json.dump(told, sys.stdout, default=str)


if __name__ == "__main__":
    main()

"""Iceberg takes snapshots as they stand, by the recipe in the docs: columns that came and widened among them.

pyiceberg stands in an environment of its own, `.iceberg`, which the first run makes.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lake_parquet import Lake
from tests.readers.environments import ROOT, environment
from tests.readers.home import LAKE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("iceberg")]

DATASET = "acme_shopify_orders"


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("iceberg")


def recipe() -> str:
    page = (ROOT / "docs" / "iceberg.md").read_text()
    block = page.partition("<!-- register -->")[2].partition("<!-- /register -->")[0]
    return block.partition("```python\n")[2].partition("```")[0]


def registered(python: Path, files: list[str], place: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [python, ROOT / "tests" / "readers" / "iceberg_registers.py"],
        input=json.dumps({"code": recipe(), "files": files}),
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the other Python tells them, in an order of their own."""
    return sorted(json.loads(json.dumps(rows, default=str)), key=lambda row: row["id"])


def test_each_snapshot_is_registered_unrewritten_and_found_by_its_ids(
    python: Path, home: Path, tmp_path: Path
) -> None:
    lake = Lake(home / LAKE)
    snapshots = lake.snapshots(DATASET)
    files = [str(home / LAKE / one.path) for one in snapshots]
    before = [Path(file).read_bytes() for file in files]

    told = registered(python, files, tmp_path)

    assert [one["files"] for one in told] == [[file] for file in files]
    assert [one["ids"] for one in told] == [one.info.field_ids for one in snapshots if one.info]
    assert told[-1]["ids"]["price"] > told[0]["ids"]["price"]
    rows = [plain(one.scan().collect().to_dicts()) for one in snapshots]
    assert [plain(one["rows"]) for one in told] == rows
    assert [plain(one["first"]) for one in told] == [rows[0]] * len(rows)
    assert [Path(file).read_bytes() for file in files] == before


def test_a_snapshot_that_was_passed_over_is_told_of(python: Path, home: Path, tmp_path: Path) -> None:
    newest = Lake(home / LAKE).snapshots(DATASET)[-1].path

    (told,) = registered(python, [str(home / LAKE / newest)], tmp_path)

    missed = f"lake.orders missed a snapshot before {home / LAKE / newest}: "
    assert told == {"error": missed + "drop it, and register all in turn"}

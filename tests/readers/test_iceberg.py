"""Iceberg takes snapshots as they stand, by the recipe in the docs: columns that came and widened among them.

pyiceberg stands in an environment of its own, `.iceberg`, which the first run makes.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lake_parquet import Lake
from tests.readers.environments import ROOT, environment
from tests.readers.home import LAKE, ORDERS_LATER, TEXT, messages, publish

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("iceberg")]

DATASET = "acme_shopify_orders"


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("iceberg")


@pytest.fixture(scope="module")
def grown(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the lake where a run more brought a column with a dot in its name."""
    folder = tmp_path_factory.mktemp("iceberg") / "home"
    shutil.copytree(home, folder)
    columns, evening = ORDERS_LATER | {"a.b": TEXT}, "2024-01-01T18:00:00+00:00"
    publish(folder, "acme", messages("orders", columns, [{"id": 4, "a.b": "x"}], evening))
    return folder / LAKE


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
    python: Path, grown: Path, tmp_path: Path
) -> None:
    snapshots = Lake(grown).snapshots(DATASET)
    files = [str(grown / one.path) for one in snapshots]
    before = [Path(file).read_bytes() for file in files]

    *told, again = registered(python, [*files, files[-1]], tmp_path)

    assert [one["files"] for one in told] == [[file] for file in files]
    assert [one["ids"] for one in told] == [one.info.field_ids for one in snapshots if one.info]
    assert told[-1]["ids"]["price"] > told[0]["ids"]["price"]
    assert "a.b" in told[-1]["ids"].keys() - told[0]["ids"].keys()
    rows = [plain(one.scan().collect().to_dicts()) for one in snapshots]
    assert [plain(one["rows"]) for one in told] == rows
    older = [each for earlier in rows[1:] for each in ([], earlier)]
    assert [plain(one) for one in told[-1]["history"]] == [rows[0], *older]
    assert again == told[-1]
    assert [Path(file).read_bytes() for file in files] == before


def test_a_snapshot_that_was_passed_over_is_told_of(python: Path, grown: Path, tmp_path: Path) -> None:
    newest = grown / Lake(grown).snapshots(DATASET)[-1].path

    (told,) = registered(python, [str(newest)], tmp_path)

    missed = f"lake.orders missed a snapshot before {newest}: "
    assert told == {"error": missed + "drop it, and register all in turn"}

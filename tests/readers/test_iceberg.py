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
EVENING = "2024-01-01T18:00:00+00:00"


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("iceberg")


@pytest.fixture
def data(home: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the lake."""
    shutil.copytree(home, tmp_path / "home")
    return tmp_path


def snapshots(data: Path) -> list[Path]:
    folder = data / "home" / LAKE
    return [folder / one.path for one in Lake(folder).snapshots(DATASET)]


def caught_up(python: Path, data: Path) -> dict[str, Any]:
    """What the table holds after both recipes ran, their paths being those of the copy."""
    page = (ROOT / "docs" / "iceberg.md").read_text()
    blocks = [page.partition(f"<!-- {name} -->")[2] for name in ("register", "catch up")]
    code = "".join(block.partition("```python\n")[2].partition("```")[0] for block in blocks)
    code = code.replace("/data/lake", str(data / "home" / LAKE)).replace("/data/", f"{data}/")
    done = subprocess.run(
        [python, ROOT / "tests" / "readers" / "iceberg_registers.py"],
        input=json.dumps({"code": code}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the other Python tells them, in an order of their own."""
    return sorted(json.loads(json.dumps(rows, default=str)), key=lambda row: row["id"])


def held(data: Path) -> list[list[dict[str, Any]]]:
    """The rows of each snapshot."""
    lake = Lake(data / "home" / LAKE)
    return [plain(one.scan().collect().to_dicts()) for one in lake.snapshots(DATASET)]


def ids(data: Path) -> dict[str, int]:
    """The field ids of the latest."""
    info = Lake(data / "home" / LAKE).latest_snapshot(DATASET).info
    assert info is not None
    return info.field_ids


def test_snapshots_are_registered_unrewritten_and_found_by_their_ids(python: Path, data: Path) -> None:
    """At first those that are there, then one more, with a dot in a column's name; then nothing new."""
    before = {file: file.read_bytes() for file in snapshots(data)}
    first = caught_up(python, data)
    columns = ORDERS_LATER | {"a.b": TEXT}
    publish(data / "home", "acme", messages("orders", columns, [{"id": 4, "a.b": "x"}], EVENING))
    second, third = caught_up(python, data), caught_up(python, data)

    assert (first["rows"] and plain(first["rows"]), first["files"]) == (held(data)[1], [str([*before][1])])
    assert second["files"] == [str(snapshots(data)[-1])]
    assert (second["ids"], second["ids"].keys() - first["ids"].keys()) == (ids(data), {"a.b"})
    rows = held(data)
    assert plain(second["rows"]) == rows[-1]
    assert [plain(one) for one in second["history"]] == [rows[0], [], rows[1], [], rows[2]]
    assert third == second
    assert {file: file.read_bytes() for file in before} == before


def test_a_snapshot_without_rows_is_registered_once(python: Path, data: Path) -> None:
    gone = [{"id": number, "_sdc_deleted_at": EVENING} for number in (1, 2, 3)]
    publish(data / "home", "acme", messages("orders", ORDERS_LATER, gone, EVENING))
    first, second = caught_up(python, data), caught_up(python, data)

    assert (first["rows"], held(data)[-1]) == ([], [])
    assert first["files"] == [str(snapshots(data)[-1])]
    assert second == first


def test_a_snapshot_that_was_passed_over_is_told_of(python: Path, data: Path) -> None:
    older, newest = snapshots(data)
    older.unlink()

    missed = f"lake.orders missed a snapshot before {newest}: drop it, and register all in turn"
    assert caught_up(python, data) == {"error": missed}

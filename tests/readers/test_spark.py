"""Spark reads the lake: the README's recipe, a dataset's folder, globs; values and types are what was loaded.

Spark stands in an environment of its own, `.spark`, which the first run makes; it needs Java.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.readers.environments import ROOT, environment
from tests.readers.home import ACME, BOLT, BOTH, LAKE, MORNING, NOON, messages, publish, recipe
from tests.target.messages import KEY

pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.xdist_group("spark")]

OLDEST_JAVA = 17

Read = Callable[[dict[str, str]], dict[str, Any]]


@pytest.fixture(scope="module")
def java() -> Path:
    """A Java that is new enough."""
    homes = [os.environ["JAVA_HOME"]] if os.environ.get("JAVA_HOME") else []
    found = [Path(home, "bin", "java") for home in homes]
    on_path = shutil.which("java")
    found += [Path(on_path)] if on_path else []
    for command in found:
        told = subprocess.run([command, "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', told)
        if version and int(version[1]) >= OLDEST_JAVA:
            return command.resolve()
    pytest.skip(f"Spark needs Java {OLDEST_JAVA} or newer (JAVA_HOME, or `java` on PATH): none was found")


@pytest.fixture(scope="module")
def python() -> Path:
    """Spark's."""
    return environment("spark")


@pytest.fixture(scope="module")
def place(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the lake, with datasets more."""
    folder = tmp_path_factory.mktemp("spark") / "home"
    shutil.copytree(home, folder)
    publish(folder, "all", messages("types", TYPES, VALUES, OF_ALL_AT.isoformat()))
    for columns, rows, moment in GROWN:
        publish(folder, "all", messages("grown", columns, rows, moment.isoformat()))
    return folder


@pytest.fixture(scope="module")
def read(java: Path, python: Path, place: Path) -> Read:
    """Reads by several pieces of code in one start of Spark."""

    def read(code: dict[str, str]) -> dict[str, Any]:
        done = subprocess.run(
            [python, ROOT / "tests" / "readers" / "spark_reads.py"],
            input=json.dumps(code),
            capture_output=True,
            text=True,
            check=False,
            cwd=place,
            env={**os.environ, "JAVA_HOME": str(java.parents[1]), "TZ": "UTC"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    return read


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as `spark_reads` tells them."""
    return json.loads(json.dumps(rows, default=_text))  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["_tenant"] or "", row["id"], row["updated_at"]))


# --- every type ---------------------------------------------------------------------------------

TYPES: dict[str, Any] = {
    "id": KEY,
    "big": {"type": ["null", "integer"], "maximum": 10**30},
    "float": {"type": ["null", "number"]},
    "exact": {"type": ["null", "string"], "format": "singer.decimal"},
    "flag": {"type": ["null", "boolean"]},
    "day": {"type": ["null", "string"], "format": "date"},
    "text": {"type": ["null", "string"]},
    "odd": {"type": ["null", "array"]},
    "inner": {"type": "object", "properties": {"deep": {"type": ["null", "integer"]}}},
    "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
}
VALUES: list[dict[str, Any]] = [
    {
        "id": 2**63 - 1,
        "big": 10**30,
        "float": 0.1,
        "exact": "12345678901234567890123456789.123456789",
        "flag": True,
        "day": "1500-02-28",
        "text": "né 😀\n",
        "odd": [1, {"a": "b"}],
        "inner": {"deep": -1},
        "lines": [{"sku": "x"}, {"sku": "y"}],
    },
    {"id": -(2**63), "day": "9999-12-31", "lines": []},
]
OF_ALL_AT = datetime(1700, 3, 1, 12, 0, 0, 123456, UTC)
OF_ALL = {"updated_at": OF_ALL_AT, "_tenant": "all"}
EXPECTED: list[dict[str, Any]] = [
    {
        "id": -(2**63), "big": None, "float": None, "exact": None, "flag": None, "day": date(9999, 12, 31),
        "text": None, "odd": None, "inner__deep": None, **OF_ALL,
    },
    {
        "id": 2**63 - 1, "big": Decimal(10**30), "float": 0.1, "flag": True, "day": date(1500, 2, 28),
        "exact": Decimal("12345678901234567890123456789.123456789"), "text": "né 😀\n",
        "odd": '[1,{"a":"b"}]', "inner__deep": -1, **OF_ALL,
    },
]  # fmt: skip
SPARK_TYPES = {
    "id": "bigint", "big": "decimal(38,0)", "float": "double", "exact": "decimal(38,9)", "flag": "boolean",
    "day": "date", "text": "string", "odd": "string", "inner__deep": "bigint", "updated_at": "timestamp",
    "_tenant": "string",
}  # fmt: skip
CHILDREN: list[dict[str, Any]] = [
    {"_parent_id": 2**63 - 1, "_position": 0, "sku": "x", "_tenant": "all"},
    {"_parent_id": 2**63 - 1, "_position": 1, "sku": "y", "_tenant": "all"},
]


GROWN: list[tuple[dict[str, Any], list[dict[str, Any]], datetime]] = [
    ({"id": KEY}, [{"id": 1}], MORNING),
    ({"id": KEY, "note": TYPES["text"]}, [{"id": 2, "note": "new"}], NOON),
]
HISTORY: list[dict[str, Any]] = [
    {"id": 1, "note": None, "updated_at": MORNING, "_tenant": "all"},
    {"id": 1, "note": None, "updated_at": MORNING, "_tenant": "all"},
    {"id": 2, "note": "new", "updated_at": NOON, "_tenant": "all"},
]


@pytest.fixture(scope="module")
def told(read: Read) -> dict[str, Any]:
    """What Spark read, all in one go: it takes ten seconds to start."""
    raw = LAKE / "raw"
    newest = f"max(glob.glob(folder + '/*.parquet')) for folder in glob.glob('{raw}/*_shopify_orders')"
    merged = "spark.read.option('mergeSchema', 'true')"
    return read(
        {
            "recipe": recipe("python", "spark.read"),
            "folder": f"orders = spark.read.parquet('{raw}/bolt_shopify_orders')",
            "glob": f"orders = spark.read.parquet('{raw}/*_shopify_customers/[0-9]*.parquet')",
            "widened": f"orders = {merged}.parquet('{raw}/acme_shopify_orders')",
            "all shops": f"import glob\norders = {merged}.parquet(*({newest}))",
            "history": f"orders = {merged}.parquet('{raw}/all_shopify_grown')",
            "types": f"orders = spark.read.parquet('{raw}/all_shopify_types')",
            "children": f"orders = spark.read.parquet('{raw}/all_shopify_types__lines')",
        }
    )


def test_the_recipe_reads_the_latest(told: dict[str, Any]) -> None:
    found = told["recipe"]
    assert by_id(found["rows"]) == by_id(plain(ACME))
    assert dict(found["types"]) == {
        "id": "bigint",
        "price": "double",
        "note": "string",
        "coupon": "string",
        "updated_at": "timestamp",
        "_tenant": "string",
    }


def test_a_folder_and_a_glob_are_read(told: dict[str, Any]) -> None:
    assert by_id(told["folder"]["rows"]) == plain(BOLT)
    assert dict(told["folder"]["types"]) == {
        "id": "bigint", "price": "double", "gift": "boolean", "updated_at": "timestamp", "_tenant": "string",
    }  # fmt: skip
    customer = {"id": "c-1", "price": "a word", "updated_at": MORNING, "_tenant": "bolt"}
    assert told["glob"]["rows"] == plain([customer])


def test_the_latest_of_all_shops_are_united(told: dict[str, Any]) -> None:
    assert by_id(told["all shops"]["rows"]) == by_id(plain(BOTH))


def test_a_folder_with_several_snapshots_holds_the_rows_of_each(told: dict[str, Any]) -> None:
    assert by_id(told["history"]["rows"]) == plain(HISTORY)


def test_a_folder_where_a_column_was_widened_is_refused_and_not_misread(told: dict[str, Any]) -> None:
    assert "price" in told["widened"]["error"]


def test_every_type_keeps_every_value(told: dict[str, Any]) -> None:
    found = told["types"]
    assert dict(found["types"]) == SPARK_TYPES
    assert sorted(found["rows"], key=lambda row: row["id"]) == plain(EXPECTED)


def test_a_child_dataset_is_read(told: dict[str, Any]) -> None:
    found = told["children"]
    assert dict(found["types"]) == {
        "_parent_id": "bigint", "_position": "bigint", "sku": "string", "_tenant": "string",
    }  # fmt: skip
    assert sorted(found["rows"], key=lambda row: row["_position"]) == CHILDREN

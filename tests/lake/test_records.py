"""`Lake.write_records`: rows of plain code become snapshots by the rules of the target."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake_parquet import Lake
from lake_parquet.errors import LakeError, UsageError
from lake_parquet.records import Held
from lake_parquet.widen import TIMESTAMP


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def rows(lake: Lake, dataset: str = "orders") -> list[dict[str, Any]]:
    return sorted(lake.latest(dataset).collect().to_dicts(), key=repr)


def test_rows_become_the_next_snapshot_and_the_run_is_recorded(lake: Lake, tmp_path: Path) -> None:
    first = lake.write_records("orders", [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}], keys=["id"])
    assert (first.status, first.row_count, first.rows_added, first.proof) == ("published", 2, 2, "proven")
    second = lake.write_records("orders", [{"id": 2, "v": "B"}, {"id": 3}], keys=["id"], load_method="upsert")
    assert (second.rows_added, second.rows_updated, second.rows_deleted) == (1, 1, 0)
    assert second.base == first.path
    assert rows(lake) == [{"id": 1, "v": "a"}, {"id": 2, "v": "B"}, {"id": 3, "v": None}]
    assert [(run.status, run.tap, run.datasets) for run in lake.runs()] == [
        ("ok", "write_records", [first]),
        ("ok", "write_records", [second]),
    ]
    assert list((tmp_path / "lake/.staging").glob("*-*")) == []


def test_append_only_adds_and_overwrite_replaces(lake: Lake) -> None:
    lake.write_records("log", [{"n": 1}])
    lake.write_records("log", [{"n": 1}], load_method="append-only")
    assert rows(lake, "log") == [{"n": 1}, {"n": 1}]
    assert lake.write_records("log", iter([{"n": 5}])).rows_deleted == 1
    assert rows(lake, "log") == [{"n": 5}]
    assert lake.write_records("log", [{"n": 5}]).status == "unchanged"


VALUES = [
    ([1, None, 2], [1, None, 2], pl.Int64()),
    ([1, 2.5], [1.0, 2.5], pl.Float64()),
    ([True, None], [True, None], pl.Boolean()),
    ([2**70], [Decimal(2**70)], pl.Decimal(38, 0)),
    ([Decimal("1.20"), 5], [Decimal("1.20"), Decimal("5.00")], pl.Decimal(38, 2)),
    ([date(2026, 1, 1)], [date(2026, 1, 1)], pl.Date()),
    ([datetime.fromisoformat("2026-01-01T05:00:00")], [datetime(2026, 1, 1, 5, tzinfo=UTC)], TIMESTAMP),
    ([time(1, 2)], ["01:02:00"], pl.String()),
    ([{"a": [1]}, None, [1, "x"]], ['{"a":[1]}', None, '[1,"x"]'], pl.String()),
    ([None], [None], pl.String()),
]


@pytest.mark.parametrize(("given", "expected", "dtype"), VALUES, ids=repr)
def test_a_value_lands_in_a_type_of_the_lake(
    lake: Lake, given: list[Any], expected: list[Any], dtype: pl.DataType
) -> None:
    lake.write_records("t", [{"n": n, "v": value} for n, value in enumerate(given)])
    column = lake.latest("t").collect().sort("n")["v"]
    assert (column.to_list(), column.dtype) == (expected, dtype)


FRAMES = [
    (pl.Series([1], dtype=pl.Int8), pl.Int64()),
    (pl.Series([1], dtype=pl.UInt64), pl.Decimal(38, 0)),
    (pl.Series([1.5], dtype=pl.Float32), pl.Float64()),
    (pl.Series([datetime(2026, 1, 1, tzinfo=UTC)], dtype=pl.Datetime("ns", "UTC")), TIMESTAMP),
    (pl.Series(["a"], dtype=pl.Categorical), pl.String()),
    (pl.Series([[1]]), pl.String()),
    (pl.Series([{"a": 1}]), pl.String()),
]


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize(("values", "dtype"), FRAMES, ids=lambda value: str(getattr(value, "dtype", value)))
def test_a_frame_lands_in_types_of_the_lake(
    lake: Lake, values: pl.Series, dtype: pl.DataType, *, is_lazy: bool
) -> None:
    frame = pl.DataFrame({"v": values})
    lake.write_records("t", frame.lazy() if is_lazy else frame)
    assert lake.latest("t").collect_schema() == {"v": dtype}
    info = lake.latest_snapshot("t").info
    assert info is not None
    assert info.json_columns == (("v",) if isinstance(values.dtype, pl.List | pl.Struct) else ())


def test_a_column_of_nulls_takes_its_type_when_values_come(lake: Lake) -> None:
    """Else it would be text for good: columns never get narrower."""
    lake.write_records("t", [{"id": 1, "n": 5}], keys=["id"], load_method="upsert")
    lake.write_records("t", [{"id": 2, "n": None}], keys=["id"], load_method="upsert")
    assert lake.latest("t").collect_schema()["n"] == pl.Int64()


WRONG = [
    ([{"v": 1}, {"v": "secret"}], {}, "column 'v' holds values that no one type fits (int, str)"),
    ([{"v": b"x"}], {}, "column 'v' is a Binary"),
    ([{"V": 1, "v": 2}], {}, "columns 'V' and 'v' are one to Spark and Athena"),
    ([{"a\nb": 1}], {}, "must not be empty nor hold control characters"),
    ([{"v": 1}], {"keys": ["id"]}, "the rows have no column 'id', which is a key"),
    ([], {}, "no rows, so no columns"),
]


@pytest.mark.parametrize(("given", "more", "message"), WRONG)
def test_what_cannot_be_a_dataset_is_wrong_usage_and_nothing_is_published(
    lake: Lake, given: list[Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        lake.write_records("t", given, **more)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert lake.datasets() == []
    assert [run.status for run in lake.runs()] == ["failed"]


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "", "a b", "con", "x" * 300, "_a"])
def test_a_name_that_is_no_folder_of_the_lake_is_refused(lake: Lake, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no dataset's name"):
        lake.write_records(name, [{"v": 1}])
    assert not (tmp_path / "lake").exists()


def test_rows_that_break_off_publish_nothing(lake: Lake) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield {"v": 1}
        raise RuntimeError("the source died")

    with pytest.raises(RuntimeError, match="the source died"):
        lake.write_records("t", broken())
    assert lake.datasets() == []
    (run,) = lake.runs()
    assert (run.status, run.error) == ("failed", "RuntimeError")


def test_rules_of_the_lake_hold_the_rows_and_say_so(lake: Lake) -> None:
    lake.write_records("t", [{"id": n} for n in range(10)], keys=["id"])
    with pytest.raises(Held, match=r"t was held: rows fell from 10 to 1, and max_row_drop is 0.5") as caught:
        lake.write_records("t", [{"id": 1}], keys=["id"], max_row_drop=0.5)
    assert (caught.value.summary.status, caught.value.summary.row_count) == ("held", 10)
    with pytest.raises(LakeError, match=r"the keys changed from \(id\) to \(\)"):
        lake.write_records("t", [{"id": 1}], load_method="append-only")
    assert len(rows(lake, "t")) == 10
    assert [run.status for run in lake.runs()] == ["ok", "incomplete", "incomplete"]

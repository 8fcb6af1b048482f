"""Two versions of a column: the type that holds both exactly, and what their values become."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from lake_parquet.widen import JSON, unite

TIMESTAMP = pl.Datetime("us", "UTC")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
BIG = 2**53 + 1
TENTH = Decimal("0.1")

Column = tuple[Any, list[Any]]

CASES: list[tuple[str, Column, Column, Any, list[Any]]] = [
    ("equal", (pl.Int64, [1]), (pl.Int64, [2]), pl.Int64, [1, 2]),
    ("int and float", (pl.Int64, [1]), (pl.Float64, [0.5]), pl.Float64, [1.0, 0.5]),
    (
        "int that a float cannot hold",
        (pl.Int64, [BIG]),
        (pl.Float64, [0.5]),
        pl.Decimal(38, 1),
        [Decimal(BIG), Decimal("0.5")],
    ),
    (
        "decimal without a point, and floats with one",
        (pl.Decimal(38, 0), [Decimal(10**20 + 1)]),
        (pl.Float64, [1.5, 2.5e-7, -1e5]),
        pl.Decimal(38, 8),
        [Decimal(10**20 + 1), Decimal("1.5"), Decimal("0.00000025"), Decimal(-100000)],
    ),
    (
        "int that a float cannot hold, and a float that no decimal holds",
        (pl.Int64, [BIG]),
        (pl.Float64, [1e-300]),
        pl.String,
        [str(BIG), "1E-300"],
    ),
    (
        "int that a float would write with other digits",
        (pl.Int64, [55973690659141632]),
        (pl.Float64, [0.5]),
        pl.Decimal(38, 1),
        [Decimal(55973690659141632), Decimal("0.5")],
    ),
    (
        "int past 2**53 that a float writes as it is",
        (pl.Int64, [10**17]),
        (pl.Float64, [0.5]),
        pl.Float64,
        [1e17, 0.5],
    ),
    (
        "greatest int and float",
        (pl.Int64, [2**63 - 1]),
        (pl.Float64, [0.5]),
        pl.Decimal(38, 1),
        [Decimal(2**63 - 1), Decimal("0.5")],
    ),
    (
        "int and decimal",
        (pl.Int64, [3]),
        (pl.Decimal(38, 1), [TENTH]),
        pl.Decimal(38, 1),
        [Decimal(3), TENTH],
    ),
    (
        "float and decimal",
        (pl.Float64, [0.1]),
        (pl.Decimal(38, 1), [TENTH]),
        pl.Decimal(38, 1),
        [TENTH, TENTH],
    ),
    (
        "floats and a long decimal",
        (pl.Float64, [1.5, 1e-7, -0.1]),
        (pl.Decimal(38, 25), [Decimal("0.1234567890123456789012345")]),
        pl.Decimal(38, 25),
        [Decimal("1.5"), Decimal("1e-7"), Decimal("-0.1"), Decimal("0.1234567890123456789012345")],
    ),
    (
        "float past a decimal",
        (pl.Float64, [1e300]),
        (pl.Decimal(38, 1), [TENTH]),
        pl.String,
        ["1E+300", "0.1"],
    ),
    (
        "two scales",
        (pl.Decimal(38, 2), [TENTH]),
        (pl.Decimal(38, 1), [TENTH]),
        pl.Decimal(38, 2),
        [TENTH, TENTH],
    ),
    (
        "a scale with no room",
        (pl.Decimal(38, 0), [Decimal(10**37)]),
        (pl.Decimal(38, 5), [TENTH]),
        pl.String,
        [str(10**37), "0.1"],
    ),
    (
        "date and timestamp",
        (pl.Date, [date(2026, 1, 1)]),
        (TIMESTAMP, [NOON]),
        TIMESTAMP,
        [NOON.replace(hour=0), NOON],
    ),
    ("bool and int", (pl.Boolean, [True]), (pl.Int64, [1]), pl.String, ["true", "1"]),
    (
        "timestamp and string",
        (TIMESTAMP, [FIRST]),
        (pl.String, ["x"]),
        pl.String,
        ["0001-01-01T00:00:00Z", "x"],
    ),
    ("date and int", (pl.Date, [date(2026, 1, 1)]), (pl.Int64, [1]), pl.String, ["2026-01-01", "1"]),
    (
        "string and JSON",
        (pl.String, ["x", 'a"\\\n', None]),
        (JSON, [b"5"]),
        JSON,
        [b'"x"', b'"a\\"\\\\\\n"', None, b"5"],
    ),
    ("int and JSON", (pl.Int64, [1]), (JSON, [b"[1]"]), JSON, [b"1", b"[1]"]),
    ("float and JSON", (pl.Float64, [0.1, 1e300]), (JSON, [b"[]"]), JSON, [b"0.1", b"1E+300", b"[]"]),
    ("decimal and JSON", (pl.Decimal(38, 1), [TENTH]), (JSON, [b"{}"]), JSON, [b"0.1", b"{}"]),
    ("bool and JSON", (pl.Boolean, [True, None]), (JSON, [b'"x"']), JSON, [b"true", None, b'"x"']),
    (
        "timestamp and JSON",
        (TIMESTAMP, [NOON]),
        (JSON, [b"1"]),
        JSON,
        [b'"2026-01-01T12:00:00Z"', b"1"],
    ),
    ("date and JSON", (pl.Date, [date(2026, 1, 1)]), (JSON, [b"1"]), JSON, [b'"2026-01-01"', b"1"]),
    ("string and JSON without a value", (pl.String, ["x"]), (JSON, [None]), pl.String, ["x", None]),
    ("int and JSON without a value", (pl.Int64, [1]), (JSON, [None]), pl.String, ["1", None]),
    ("nothing but nulls", (pl.Int64, [None]), (pl.String, [None]), pl.String, [None, None]),
]


@pytest.mark.parametrize(
    ("left", "right", "dtype", "values"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_column_widens_to_what_holds_every_value(
    left: Column, right: Column, dtype: Any, values: list[Any]
) -> None:
    for order in (1, -1):
        frames = [pl.LazyFrame({"a": pl.Series(own, dtype=kind)}) for kind, own in (left, right)[::order]]
        united, notes = unite(frames)
        found = pl.concat(united).collect()["a"]
        assert found.dtype == dtype
        assert found.to_list() == (values if order == 1 else values[len(left[1]) :] + values[: len(left[1])])
        assert bool(notes) == (left[0] != right[0])


def test_frames_get_each_others_columns_in_order_of_appearance() -> None:
    united, notes = unite([pl.LazyFrame({"a": [1], "b": ["x"]}), pl.LazyFrame({"c": [True], "a": [2]})])
    assert pl.concat(united).collect().to_dicts() == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": True},
    ]
    assert notes == []


def test_what_was_widened_is_noted_once() -> None:
    _, notes = unite([pl.LazyFrame({"a": [1]}), pl.LazyFrame({"a": [2]}), pl.LazyFrame({"a": ["x"]})])
    assert notes == ["column a widened from int64 to string"]

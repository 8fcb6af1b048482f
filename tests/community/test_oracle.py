"""The oracle sees what is wrong: were it blind, every other test here would pass."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.community.oracle import JsonText, Number, Row, cell, comparable, in_order


@pytest.mark.parametrize(
    ("value", "kind", "right", "wrong"),
    [
        (Decimal("7.0"), "int64", 7, 8),
        (Decimal("0.1"), "float64", 0.1, 0.10000000149011612),
        ("12.30", "decimal", Decimal("12.30"), Decimal("12.31")),
        (Decimal("1234567890123456789012345678.0123456789"), "number", None, 1.2345678901234567e27),
        (Decimal("17.1700000000000017053025658242404460906982421875"), "number", 17.17, 17.18),
        (True, "bool", True, False),
        (2024, "string", "2024", '"2024"'),
        (True, "string", "true", "1"),
        ("1.50", "string", "1.50", "1.5"),
        (Decimal("1.50"), "string", "1.5", "1.51"),
        ("{1,2}", "json", '"{1,2}"', "{1,2}"),
        ({"a": [1, None]}, "json", '{"a":[1,null]}', '{"a": [true, null]}'),
        ({"a": 1}, "json", '{ "a" : 1.0 }', "{'a': 1}"),
        ([], "json", "[]", None),
        ("2024-01-02", "timestamp", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2)),  # noqa: DTZ001  # is it
        ("2024-01-02 03:04:05.123456789+02", "timestamp", datetime(2024, 1, 2, 1, 4, 5, 123456, UTC), None),
        ("2024-01-02T00:00:00Z", "date", date(2024, 1, 2), date(2024, 1, 1)),
    ],
)
def test_a_cell_equals_what_is_right_and_nothing_else(value: Any, kind: str, right: Any, wrong: Any) -> None:
    expected = cell(value, kind)
    assert right is None or expected == right
    assert expected != wrong


def test_a_null_stays_null_in_every_kind() -> None:
    kinds = ["int64", "decimal:2", "number", "string", "json", "timestamp", "date"]
    assert {kind: cell(None, kind) for kind in kinds} == dict.fromkeys(kinds)


def test_types_left_open_are_open_for_their_family_only() -> None:
    found = {"a": "decimal:9", "b": "float64", "c": "date", "d": "float64"}
    expected = {"a": "decimal", "b": "decimal", "c": "number", "d": "number"}
    assert comparable(found, expected) == {"a": "decimal", "b": "float64", "c": "date", "d": "number"}


def test_rows_are_matched_whatever_their_order_and_each_readers_types() -> None:
    expected: list[Row] = [
        {"n": Number(Decimal(10)), "j": JsonText([1])},
        {"n": Number(Decimal("9.5")), "j": None},
    ]
    assert in_order(expected) == in_order([{"n": 9.5, "j": None}, {"n": 10.0, "j": "[ 1 ]"}])

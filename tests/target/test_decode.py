"""A block of records in, typed frames out: the stream's and each child's."""

from typing import Any

import msgspec
import polars as pl
import pytest

from lake_parquet.staging import ROW
from target_lake_parquet.columns import Plan, table_of
from target_lake_parquet.decode import BadRecord, Decoded, decode

S, I = {"type": "string"}, {"type": "integer"}  # noqa: E741 - short on purpose
TAGS = {"type": "array", "items": {"type": "object", "properties": {"t": S}}}
LINES = {"type": "array", "items": {"type": "object", "properties": {"sku": S, "tags": TAGS}}}
ORDER = {"id": I, "who": {"type": ["object", "null"], "properties": {"name": S}}, "lines": LINES}


def decoded(
    properties: dict[str, Any], *records: str, keys: tuple[str, ...] = ("id",), **plan: Any
) -> Decoded:
    table = table_of({"properties": properties}, keys, Plan(**plan))
    return decode(table, range(10, 10 + len(records)), [msgspec.Raw(text.encode()) for text in records])


def rows(found: Decoded, suffix: str = "") -> list[dict[str, Any]]:
    return [{name: v for name, v in row.items() if name != ROW} for row in found.frames[suffix].to_dicts()]


def test_objects_become_columns_and_arrays_of_objects_tables() -> None:
    found = decoded(
        ORDER,
        '{"id": 1, "who": {"name": "a"},'
        ' "lines": [{"sku": "x", "tags": [{"t": "p"}, {"t": "q"}]}, {"sku": "y"}]}',
        '{"id": 2, "who": null}',
        '{"id": 3, "lines": [{"sku": null, "tags": []}]}',
    )
    assert (found.bad, found.undeclared, found.coerced) == ([], {}, {})
    assert rows(found) == [
        {"id": 1, "who__name": "a"},
        {"id": 2, "who__name": None},
        {"id": 3, "who__name": None},
    ]
    assert rows(found, "lines") == [
        {"_parent_id": 1, "_position": 0, "sku": "x"},
        {"_parent_id": 1, "_position": 1, "sku": "y"},
        {"_parent_id": 3, "_position": 0, "sku": None},
    ]
    tag = {"_parent__parent_id": 1, "_parent__position": 0}
    assert rows(found, "lines__tags") == [
        {**tag, "_position": 0, "t": "p"},
        {**tag, "_position": 1, "t": "q"},
    ]
    assert [found.frames[suffix][ROW].to_list() for suffix in ("", "lines", "lines__tags")] == [
        [10, 11, 12],
        [10, 10, 12],
        [10, 10],
    ]


def test_no_records_still_have_columns() -> None:
    found = decoded(ORDER)
    assert {suffix: dict(frame.schema) for suffix, frame in found.frames.items()} == {
        "": {ROW: pl.Int64, "id": pl.Int64, "who__name": pl.String},
        "lines": {ROW: pl.Int64, "_parent_id": pl.Int64, "_position": pl.Int64, "sku": pl.String},
        "lines__tags": {
            ROW: pl.Int64,
            "_parent__parent_id": pl.Int64,
            "_parent__position": pl.Int64,
            "_position": pl.Int64,
            "t": pl.String,
        },
    }


def test_an_array_without_keys_to_hang_on_is_json_text() -> None:
    found = decoded(ORDER, '{"id": 1, "lines": [{"sku": "x"}]}', keys=())
    assert rows(found) == [{"id": 1, "who__name": None, "lines": b'[{"sku":"x"}]'}]


def test_a_null_element_keeps_its_place() -> None:
    found = decoded(ORDER, '{"id": 1, "lines": [null, {"sku": "x"}]}')
    assert [(row["_position"], row["sku"]) for row in rows(found, "lines")] == [(0, None), (1, "x")]


BAD: list[tuple[str, BadRecord]] = [
    ("[]", BadRecord(10, "record", "is not an object")),
    ('{"who": null}', BadRecord(10, "id", "is a key property and is missing")),
    ('{"id": "x"}', BadRecord(10, "id", "is not a whole number")),
    ('{"id": 1, "who": "x"}', BadRecord(10, "who", "is not an object")),
    ('{"id": 1, "lines": {}}', BadRecord(10, "lines", "is not an array")),
    ('{"id": 1, "lines": [1]}', BadRecord(10, "lines[0]", "is not an object")),
    ('{"id": 1, "lines": [{"tags": [{}, 5]}]}', BadRecord(10, "lines.tags[1]", "is not an object")),
]


@pytest.mark.parametrize(("text", "bad"), BAD)
def test_a_bad_record_is_named_by_line_and_field(text: str, bad: BadRecord) -> None:
    assert bad in decoded(ORDER, text, '{"id": 2}').bad


@pytest.mark.parametrize("text", ['{"id": 1,}', '{"id": 1}{}', '{"id": 1', "[" * 5000, ""])
def test_a_record_that_is_no_json_is_bad(text: str) -> None:
    (bad,) = decoded(ORDER, text).bad
    assert (bad.line, bad.field) == (10, "record")
    assert bad.reason.startswith("is not readable JSON")


def test_a_value_that_is_no_json_is_named_by_its_field() -> None:
    found = decoded(ORDER, '{"id": 1, "who": {"name": "\\ud800"}}', '{"id": 1, "lines": [{"sku": NaN}]}')
    assert found.bad == [
        BadRecord(10, "who.name", "holds half a surrogate pair"),
        BadRecord(11, "lines.sku", "holds NaN or Infinity, which JSON does not know"),
    ]


def test_a_null_key_is_a_key() -> None:
    found = decoded(ORDER, '{"id": null}')
    assert (found.bad, rows(found)) == ([], [{"id": None, "who__name": None}])


def test_the_last_of_doubled_fields_counts() -> None:
    assert rows(decoded({"id": I}, '{"id": 1, "id": 2}')) == [{"id": 2}]


def test_undeclared_fields_are_counted_where_they_stand() -> None:
    found = decoded(
        ORDER,
        '{"id": 1, "x": 1, "who": {"y": 1}, "lines": [{"z": 1}, {"z": 2}]}',
        '{"id": 2, "x": null}',
    )
    assert found.undeclared == {"x": 2, "who.y": 1, "lines.z": 2}


def test_coerced_values_are_counted_by_column() -> None:
    found = decoded(ORDER, '{"id": 1.0, "lines": [{"sku": 5}, {"sku": true}]}')
    assert found.coerced == {
        ("id", "whole number written as integer"): 1,
        ("lines.sku", "written as JSON text"): 2,
    }

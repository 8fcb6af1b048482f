"""A number has one text, and so has a moment: a key meets itself again after its column became a string."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from lake_parquet.widen import number_text
from tests.target.command import Place
from tests.target.messages import INTEGER, KEY, MOMENT, NUMBER, STRING, bookmark, record, schema

DECIMAL = {"type": ["null", "string"], "format": "singer.decimal"}
DAY = {"type": ["null", "string"], "format": "date"}


@pytest.mark.parametrize(
    ("kind", "key", "text"),
    [
        (NUMBER, 1, "1"), (NUMBER, 1.0, "1"), (NUMBER, 1.25, "1.25"), (NUMBER, 1e15, "1000000000000000"),
        (DECIMAL, "1", "1"), (DECIMAL, "17.50", "17.5"), (DECIMAL, "100", "100"), (INTEGER, 7, "7"),
        (MOMENT, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        (MOMENT, "2024-01-01T10:20:30.250Z", "2024-01-01T10:20:30.25Z"), (DAY, "2024-01-01", "2024-01-01"),
    ],
)  # fmt: skip
def test_a_row_replaces_the_one_of_its_key_after_the_key_became_a_string(
    place: Place, kind: dict[str, Any], key: Any, text: str
) -> None:
    for number, (column, value) in enumerate(((kind, key), (STRING, text)), 1):
        head = schema("s", {"id": column, "n": INTEGER}, bookmarks=["n"])
        place.good(head, record("s", id=value, n=number), bookmark("s", number, "n"))
    assert place.rows("s") == [{"id": text, "n": 2}]


def test_a_row_replaces_the_one_of_its_key_after_a_value_made_the_column_a_string(place: Place) -> None:
    head = schema("s", {"id": NUMBER, "n": INTEGER}, bookmarks=["n"])
    lines = '{"type":"RECORD","stream":"s","record":{"id":%s,"n":%d}}'
    first, second = ["1", "1.25", "9007199254740993"], ["1.0", "9007199254740993", "9" * 39]
    place.good(head, *(lines % (key, 1) for key in first), bookmark("s", 1, "n"))
    place.good(head, *(lines % (key, 2) for key in second), bookmark("s", 2, "n"))
    assert {row["id"]: row["n"] for row in place.rows("s")} == {
        "1": 2, "1.25": 1, "9007199254740993": 2, "9" * 39: 2,
    }  # fmt: skip


def test_children_follow_a_key_that_widened_without_them(place: Place) -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {"q": INTEGER}}}
    for number, (kind, key, more) in enumerate(
        ((KEY, 2, {"l": [{"q": 1}]}), (NUMBER, 2.0, {}), (STRING, "2", {"l": [{"q": 3}]})), 1
    ):
        columns = {"id": kind, "n": INTEGER, **({"l": items} if more else {})}
        head = schema("s", columns, bookmarks=["n"])
        place.good(head, record("s", id=key, n=number, **more), bookmark("s", number, "n"))
    assert place.frame("s").select("id", "n").rows() == [("2", 3)]
    assert place.frame("s__l").select("_parent_id", "q").rows() == [("2", 3)]


def test_rows_without_keys_that_are_read_again_are_dropped_after_a_column_became_a_string(
    place: Place,
) -> None:
    for number, (kind, value) in enumerate(((NUMBER, 1), (STRING, "1")), 1):
        head = schema("s", {"u": INTEGER, "v": kind}, keys=None, bookmarks=["u"])
        place.good(
            head, record("s", u=1, v=value), record("s", u=number + 1, v=None), bookmark("s", number, "u")
        )
    assert place.frame("s").sort("u").rows() == [(1, "1"), (2, None), (3, None)]


@pytest.mark.parametrize(
    ("writings", "text"),
    [
        (["1", "1.0", "1.000000000", "1E0", "10e-1"], "1"),
        (["100", "1E+2", "100.00"], "100"),
        (["0.5", ".50", "5e-1"], "0.5"),
        (["-0.25"], "-0.25"),
        (["1e37", "1" + "0" * 37], "1" + "0" * 37),
        (["1e38", "1" + "0" * 38], "1E+38"),
        (["1e-300"], "1E-300"),
        (["9" * 60], "9" * 60),
    ],
)
def test_a_number_has_one_text_however_it_is_written(writings: list[str], text: str) -> None:
    found = {number_text(Decimal(writing)) for writing in writings}
    assert {Decimal(one) for one in found} == {Decimal(text)}
    assert len(found) == 1
    if len(text) <= 38:
        assert found == {text}


def test_a_run_that_brings_the_same_numbers_again_changes_nothing(place: Place) -> None:
    """A decimal's zeros at its end came and went with the type of its column."""
    head = schema("s", {"id": KEY, "n": NUMBER}, bookmarks=["id"])
    wide = '{"type":"RECORD","stream":"s","record":{"id":2,"n":%s}}' % ("9" * 39)
    for lines in (
        [record("s", id=1, n=17.5), record("s", id=3, n=0.12345678)],
        [wide],
        [record("s", id=1, n=17.5)],
    ):
        place.good(head, *lines, bookmark("s", 3, "id"))
    assert (place.summary("s")["status"], place.summary("s")["rows_updated"]) == ("unchanged", 0)
    assert place.frame("s").sort("id")["n"].to_list() == ["17.5", "9" * 39, "0.12345678"]
    assert place.frame("s")["n"].dtype == pl.String


def test_a_column_that_is_wide_already_is_told_once(place: Place) -> None:
    head = schema("s", {"id": KEY, "n": NUMBER}, bookmarks=["id"])
    told = []
    for number, value in ((1, "0.5"), (2, "0.12345678901234567891"), (3, "0.25")):
        line = f'{{"type":"RECORD","stream":"s","record":{{"id":{number},"n":{value}}}}}'
        place.good(head, line, bookmark("s", number, "id"))
        told.append([note for note in place.summary("s")["notes"] if "widened" in note])
    assert told == [[], ["column n widened from float64 to decimal(38,20)"], []]

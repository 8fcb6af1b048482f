"""Fields that a record holds and its schema does not name: as columns, none of their values lost."""

import json
import re
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake_parquet.widen import JSON, unite
from target_lake_parquet.blocks import BlockDecoder, Rules, decode_exact
from target_lake_parquet.columns import Plan, table_of
from target_lake_parquet.decode import MAX_ADDED, Decoded
from target_lake_parquet.fast import decode_fast
from target_lake_parquet.messages import Rows
from tests.target.command import Place
from tests.target.messages import INTEGER, KEY, STRING, record, schema

LINES = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING}}}
HEAD = schema("s", {"id": KEY, "who": {"type": "object", "properties": {"name": STRING}}, "lines": LINES})


def rows_of(records: list[dict[str, Any]], first: int = 1) -> Rows:
    lines = [json.dumps({"type": "RECORD", "stream": "s", "record": one}) for one in records]
    return Rows("s", ("\n".join(lines) + "\n").encode(), first, len(records))


def decoder_of(properties: dict[str, Any]) -> BlockDecoder:
    return BlockDecoder(table_of({"properties": {"id": KEY, **properties}}, ["id"]), Rules(adding=Plan()))


def test_they_become_columns_of_the_types_their_values_have(place: Place) -> None:
    place.good(
        HEAD,
        record("s", id=1, whole=1, real=1, text="x", flag=True, anything=1, part={"a": 1}, list=[1], no=None),
        record("s", id=2, whole=2**63, real=0.5, text="2026-01-01", flag=None, anything="x"),
        record("s", id=3, who={"name": "n", "age": 7}, lines=[{"sku": "a", "qty": 2}, {"sku": "b"}]),
        undeclared_fields="add",
    )  # fmt: skip
    frame = place.frame("s").sort("id")
    assert dict(frame.schema) == {
        "id": pl.Int64, "who__name": pl.String, "anything": pl.String, "flag": pl.Boolean, "list": pl.String,
        "part": pl.String, "real": pl.Float64, "text": pl.String, "whole": pl.Decimal(38, 0),
        "who__age": pl.Int64,
    }  # fmt: skip
    assert frame.drop("id", "who__name").rows() == [
        ("1", True, "[1]", '{"a":1}', 1.0, "x", 1, None),
        ("x", None, None, None, 0.5, "2026-01-01", 2**63, None),
        (None, None, None, None, None, None, None, 7),
    ]
    assert [row["qty"] for row in place.rows("s__lines")] == [2, None]
    info = place.lake.latest_snapshot("s").info
    assert info is not None
    assert info.json_columns == ("list", "part")
    assert any(
        note.startswith("fields added that the schema does not name: anything (2), flag (1)")
        for note in place.summary("s")["notes"]
    )


def test_they_stay_when_a_later_run_has_none_and_widen_when_it_has_others(place: Place) -> None:
    head = schema("s", {"id": KEY}, bookmarks=["id"])
    for line in (
        record("s", id=1, new=5),
        record("s", id=2),
        record("s", id=3, new=0.5),
        record("s", id=4, new="x"),
    ):
        place.good(head, line, undeclared_fields="add", load_method="upsert")
    assert place.rows("s") == [
        {"id": 1, "new": "5"},
        {"id": 2, "new": None},
        {"id": 3, "new": "0.5"},
        {"id": 4, "new": "x"},
    ]


def test_a_field_the_schema_names_later_is_the_same_column(place: Place) -> None:
    place.good(
        schema("s", {"id": KEY}), record("s", id=1, new=5),
        schema("s", {"id": KEY, "new": INTEGER}), record("s", id=2, new=6),
        undeclared_fields="add",
    )  # fmt: skip
    assert place.rows("s") == [{"id": 1, "new": 5}, {"id": 2, "new": 6}]


def test_they_take_nobodys_name(place: Place) -> None:
    lines = [HEAD, record("s", id=1, ID=2, _tenant="x", who__name="y", lines=[{"sku": "a", "_position": 9}])]
    place.good(*lines, undeclared_fields="add", tenant_id="acme")
    (row,) = place.rows("acme_s")
    names = sorted(row)
    assert [re.sub("_[0-9a-f]{6}$", "_*", name) for name in names] == [
        "ID_*", "_tenant", "_tenant_*", "id", "who__name", "who__name_*",
    ]  # fmt: skip
    assert [row[name] for name in names] == [2, "acme", "x", 1, None, "y"]
    (line,) = place.rows("acme_s__lines")
    assert sorted(str(value) for value in line.values()) == ["0", "1", "9", "a", "acme"]


def test_the_fast_way_comes_back_when_they_are_known() -> None:
    decoder = decoder_of({"name": STRING, "lines": LINES})

    def records(size: int) -> Rows:
        lines = [{"sku": "a", "qty": 0.5}]
        return rows_of([{"id": i, "name": "x", "new": i, "no": None, "lines": lines} for i in range(size)])

    first = list(decoder.decode([records(100)]))
    block = records(50)
    assert decoder._plan is not None  # whether it goes fast shows nowhere else
    fast = decode_fast(decoder._plan, block.block, pl.Series(range(50), dtype=pl.Int64))
    assert fast is not None
    assert fast.undeclared == {}
    (again,) = decoder.decode([block])
    assert again.added == {"new": 50, "lines.qty": 50}
    assert dict(again.frames[""].schema) == dict(first[-1].frames[""].schema)
    assert again.frames["lines"]["qty"].to_list() == [0.5] * 50


def test_an_objects_keys_that_are_data_do_not_become_columns_without_end(place: Place) -> None:
    lines = [schema("s", {"id": KEY}), *(record("s", id=i, **{f"k{i}": i}) for i in range(MAX_ADDED + 1))]
    ended = place.run(*lines, undeclared_fields="add")
    assert ended.code == 1
    assert (
        f"line {MAX_ADDED + 2}: field 'k{MAX_ADDED}' is past the {MAX_ADDED} undeclared fields" in ended.err
    )
    place.good(*lines[:-1], undeclared_fields="add")
    assert place.frame("s").width == MAX_ADDED + 1


def united(decoded: list[Decoded], suffix: str = "") -> pl.DataFrame:
    frames, _ = unite([one.frames[suffix].lazy() for one in decoded])
    return pl.concat(frames).collect()


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
)  # fmt: skip
values = st.one_of(
    scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from("ab"), scalars, max_size=2)
)
homogeneous = st.sampled_from([scalars, st.integers(), st.booleans(), st.text(max_size=4), values])
blocks = homogeneous.flatmap(
    lambda one: st.lists(st.lists(one, min_size=1, max_size=4), min_size=1, max_size=4)
)


def digits(text: str | bytes) -> Any:
    """Read JSON with its numbers as they are written: two texts of one number are equal."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def same(stored: Any, dtype: pl.DataType, value: Any) -> bool:
    """Tells whether a cell says what was sent, by the documented rules."""
    if value is None or stored is None:
        return stored is value
    texts = {json.dumps(value), json.dumps(value, ensure_ascii=False, separators=(",", ":"))}
    if dtype == JSON:  # a number that stood beside strings before may have become one
        read = digits(stored)
        return bool(read == digits(json.dumps(value))) or (
            isinstance(read, str) and same(read, pl.String(), value)
        )
    if dtype == pl.String():
        if isinstance(value, str | bool):
            return stored in {value, *texts}
        return bool(stored in texts or float(stored) == float(value) == value or int(stored) == value)
    return bool(stored == value or float(stored) == value)


def assert_both_ways_agree(decoder: BlockDecoder, rows: Rows) -> None:
    lines = pl.Series(range(rows.count), dtype=pl.Int64)
    fast = decode_fast(decoder._plan, rows.block, lines) if decoder._plan else None
    if fast is not None and not fast.undeclared:
        exact = decode_exact(decoder.table, rows.block, lines, Rules(adding=Plan()))
        assert fast.frames.keys() == exact.frames.keys()
        for suffix, frame in exact.frames.items():
            assert_frame_equal(fast.frames[suffix], frame)


@pytest.mark.parametrize("neighbour", ["x", [1], {"a": 1}, None])
def test_a_numbers_text_does_not_depend_on_what_stands_beside_it(neighbour: Any) -> None:
    """It was `1` where its column widened from a number, and `1.0` where both came in one part of a block."""
    numbers = [1.0, 1e3, -0.0, 17.5, 5e-324, 1e300, 2**70, 7]
    texts: dict[bool, list[Any]] = {}
    for together in (True, False):
        decoder = decoder_of({"name": STRING})
        parts = [[*numbers, neighbour]] if together else [[*numbers], [neighbour]]
        decoded: list[Decoded] = []
        for part in parts:
            records = [{"id": i, "new": value} for i, value in enumerate(part)]
            decoded += decoder.decode([rows_of(records)])
        texts[together] = united(decoded)["new"].to_list()[: len(numbers)]
    assert texts[True] == texts[False]


@settings(deadline=None)
@given(blocks)
@example([[4.370340192461559e16, []]])
def test_no_value_of_an_undeclared_field_is_lost_whatever_its_blocks(found: list[list[Any]]) -> None:
    decoder = decoder_of({"name": STRING})
    decoded: list[Decoded] = []
    line = 1
    for block in found:
        records = [{"id": line + i, "new": value} for i, value in enumerate(block)]
        rows = rows_of(records, line)
        decoded += decoder.decode([rows])
        assert_both_ways_agree(decoder, rows)
        line += len(block)
    assert [bad for one in decoded for bad in one.bad] == []
    frame, sent = united(decoded), [value for block in found for value in block]
    if all(value is None for value in sent):
        assert "new" not in frame.columns
        return
    dtype = frame.schema["new"]
    wrong = [
        (stored, value)
        for stored, value in zip(frame["new"].to_list(), sent, strict=True)
        if not same(stored, dtype, value)
    ]
    assert wrong == []


@pytest.mark.parametrize("setting", ["warn", "add"])
def test_records_as_declared_are_the_same_either_way(place: Place, setting: str) -> None:
    place.good(HEAD, record("s", id=1, who={"name": "n"}, lines=[{"sku": "a"}]), undeclared_fields=setting)
    assert place.rows("s") == [{"id": 1, "who__name": "n"}]

"""A stream whose schema changes, in mid-run and from run to run: no row is lost, every value is there."""

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.target.command import Place
from tests.target.messages import INTEGER, KEY, MOMENT, NUMBER, STRING, bookmark, record, schema
from tests.target.orders import LINES

DAY = {"type": ["null", "string"], "format": "date"}
FLAG = {"type": ["null", "boolean"]}
MONEY = {"type": ["null", "number"], "multipleOf": 0.01}
ANYTHING: dict[str, Any] = {}
NOTHING = {"type": "null"}
OBJECT = {"type": "object", "properties": {"b": STRING}}
SCALARS = {"type": "array", "items": STRING}


def test_rows_before_a_new_schema_are_all_there(place: Place) -> None:
    """Automattic's target loses every row before such a change."""
    first = [record("s", id=i, n=i) for i in range(1000)]
    second = [record("s", id=i, n=i + 0.5, extra="x") for i in range(1000, 1100)]
    place.good(
        schema("s", {"id": KEY, "n": INTEGER}), *first,
        schema("s", {"id": KEY, "n": NUMBER, "extra": STRING}), *second,
    )  # fmt: skip
    assert place.frame("s").sort("id").rows() == [
        *((i, float(i), None) for i in range(1000)),
        *((i, i + 0.5, "x") for i in range(1000, 1100)),
    ]
    assert len(place.names("s")) == 1


RETYPES: list[tuple[str, Any, Any, Any, Any, dict[str, list[Any]], pl.DataType]] = [
    ("int, float", INTEGER, 1, NUMBER, 2.5, {"a": [1.0, 2.5]}, pl.Float64()),
    ("float, int", NUMBER, 2.5, INTEGER, 1, {"a": [2.5, 1.0]}, pl.Float64()),
    ("int, string", INTEGER, 1, STRING, "x", {"a": ["1", "x"]}, pl.String()),
    ("float, string", NUMBER, 1.5, STRING, "x", {"a": ["1.5", "x"]}, pl.String()),
    ("string, int", STRING, "x", INTEGER, 1, {"a": ["x", "1"]}, pl.String()),
    ("int, date", INTEGER, 1, DAY, "2026-01-02", {"a": ["1", "2026-01-02"]}, pl.String()),
    ("bool, int", FLAG, True, INTEGER, 1, {"a": ["true", "1"]}, pl.String()),
    ("date, time", DAY, "2026-01-02", MOMENT, "2026-01-02T12:00:00Z",
     {"a": [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 12, tzinfo=UTC)]},
     pl.Datetime("us", "UTC")),
    ("string, time", STRING, "x", MOMENT, "2026-01-02T12:00:00Z",
     {"a": ["x", "2026-01-02T12:00:00Z"]}, pl.String()),
    ("string, object", STRING, "x", OBJECT, {"b": "y"}, {"a": ["x", None], "a__b": [None, "y"]}, pl.String()),
    ("object, string", OBJECT, {"b": "y"}, STRING, "x", {"a__b": ["y", None], "a": [None, "x"]}, pl.String()),
    ("string, JSON text", STRING, "x", ANYTHING, {"b": 1}, {"a": ['"x"', '{"b":1}']}, pl.String()),
    ("JSON text, string", ANYTHING, "x", STRING, "x", {"a": ['"x"', '"x"']}, pl.String()),
    ("int, JSON text", INTEGER, 1, ANYTHING, "1", {"a": ["1", '"1"']}, pl.String()),
    ("nothing, string", NOTHING, None, STRING, "x", {"a": [None, "x"]}, pl.String()),
    ("nothing, date", NOTHING, None, DAY, "2026-01-02", {"a": [None, "2026-01-02"]}, pl.String()),
    ("vanished", DAY, "2026-01-02", None, None, {"a": [date(2026, 1, 2), None]}, pl.Date()),
    ("added", None, None, DAY, "2026-01-02", {"a": [None, date(2026, 1, 2)]}, pl.Date()),
]  # fmt: skip


@pytest.mark.parametrize("across_runs", [False, True], ids=["in mid-run", "from run to run"])
@pytest.mark.parametrize("case", RETYPES, ids=lambda case: case[0])
def test_a_column_that_changes_its_type_holds_every_value(
    place: Place,
    case: tuple[str, Any, Any, Any, Any, dict[str, list[Any]], pl.DataType],
    *,
    across_runs: bool,
) -> None:
    _, before, old, after, new, columns, dtype = case

    def lines(identity: int, type_of: Any, value: Any) -> list[str]:
        values = {} if type_of is None else {"a": value}
        properties = {"id": KEY} if type_of is None else {"id": KEY, "a": type_of}
        return [schema("s", properties), record("s", id=identity, **values)]

    if across_runs:
        place.good(*lines(1, before, old), load_method="upsert")
        place.good(*lines(2, after, new), load_method="upsert")
    else:
        place.good(*lines(1, before, old), *lines(2, after, new))
        assert len(place.names("s")) == 1
    frame = place.frame("s").sort("id")
    assert frame.to_dict(as_series=False) == {"id": [1, 2], **columns}
    assert {frame.schema[name] for name in columns} == {dtype}


def test_a_column_that_became_json_text_says_so_and_stays_it(place: Place) -> None:
    """`x` and `"x"` in one column could not be told apart."""
    for identity, (kind, value) in enumerate([(STRING, "x"), (ANYTHING, {"b": 1}), (STRING, "y")]):
        place.good(
            schema("s", {"id": KEY, "a": kind}), record("s", id=identity, a=value), load_method="upsert"
        )
        info = place.lake.latest_snapshot("s").info
        assert info is not None
        assert info.json_columns == (() if identity == 0 else ("a",))
        told = "column a widened from string to JSON text" in place.summary("s")["notes"]
        assert told == (identity == 1)  # it is news once
    assert place.frame("s")["a"].to_list() == ['"x"', '{"b":1}', '"y"']


def test_the_same_schema_between_records_and_amid_another_streams_changes_nothing(place: Place) -> None:
    one, other = schema("a", {"id": KEY, "n": INTEGER}), schema("b", {"id": KEY, "t": STRING})
    place.good(
        one, record("a", id=1, n=1), one, other, record("b", id=1, t="x"), record("a", id=2, n=2),
        one, record("b", id=2, t="y"), other, one, record("a", id=3, n=3),
    )  # fmt: skip
    assert place.rows("a") == [{"id": i, "n": i} for i in (1, 2, 3)]
    assert place.rows("b") == [{"id": 1, "t": "x"}, {"id": 2, "t": "y"}]
    assert place.summary("a")["notes"] == ["the stream gave no proof that it was read to its end"]


def test_rows_of_a_stream_whose_keys_change_are_kept_aside(place: Place) -> None:
    head = {"id": KEY, "other": INTEGER, "lines": LINES}
    place.good(schema("s", head), record("s", id=0, lines=[{"sku": "o"}]), bookmark("s", 1))
    ended = place.run(
        schema("s", head), record("s", id=1, other=1, lines=[{"sku": "a"}]),
        schema("s", head, ["other"]), record("s", id=2, other=1, lines=[{"sku": "b"}]),
        schema("t", {"id": KEY}), record("t", id=1), bookmark("s", 2),
    )  # fmt: skip
    assert ended.code == 1
    assert "line 3: the keys changed within the run from ['id'] to ['other']" in ended.err
    assert [row["id"] for row in place.rows("s")] == [0]
    assert [row["id"] for row in place.rows("t")] == [1]
    assert place.summary("s")["status"] == "held"
    kept = place.root / ".incomplete" / place.record()["run_id"]
    assert pl.read_parquet(kept / "s.parquet").sort("id").rows() == [(1, 1), (2, 1)]
    assert sorted(pl.read_parquet(kept / "s__lines.parquet")["sku"]) == ["a", "b"]


def test_keys_in_another_order_are_the_same_keys(place: Place) -> None:
    head = {"a": KEY, "b": KEY, "n": INTEGER}
    place.good(
        schema("s", head, ["a", "b"]), record("s", a=1, b=1, n=1), record("s", a=2, b=1, n=1),
        schema("s", {**head, "new": STRING}, ["b", "a"]), record("s", a=1, b=1, n=2),
        load_method="upsert",
    )  # fmt: skip
    place.good(schema("s", head, ["b", "a"]), record("s", a=2, b=1, n=3), load_method="upsert")
    assert sorted((row["a"], row["b"], row["n"]) for row in place.rows("s")) == [(1, 1, 2), (2, 1, 3)]


def test_child_datasets_come_go_and_change_in_mid_run(place: Place) -> None:
    wider = {"type": "array", "items": {"type": "object", "properties": {"sku": INTEGER, "new": STRING}}}
    place.good(
        schema("s", {"id": KEY}), record("s", id=1),
        schema("s", {"id": KEY, "lines": LINES}), record("s", id=2, lines=[{"sku": "a"}]),
        schema("s", {"id": KEY, "lines": wider}), record("s", id=3, lines=[{"sku": 7, "new": "n"}]),
        schema("s", {"id": KEY, "lines": SCALARS}), record("s", id=4, lines=["x"]),
        schema("s", {"id": KEY}), record("s", id=5),
    )  # fmt: skip
    assert place.rows("s") == [{"id": i, "lines": '["x"]' if i == 4 else None} for i in range(1, 6)]
    assert place.rows("s__lines") == [
        {"_parent_id": 2, "_position": 0, "sku": "a", "new": None},
        {"_parent_id": 3, "_position": 0, "sku": "7", "new": "n"},
    ]


def test_a_row_that_comes_again_under_a_schema_without_the_array_has_no_children_left(place: Place) -> None:
    place.good(
        schema("s", {"id": KEY, "lines": LINES}), record("s", id=1, lines=[{"sku": "a"}]),
        record("s", id=2, lines=[{"sku": "b"}]),
        schema("s", {"id": KEY, "n": INTEGER}), record("s", id=1, n=7),
    )  # fmt: skip
    assert place.rows("s") == [{"id": 1, "n": 7}, {"id": 2, "n": None}]
    assert [row["_parent_id"] for row in place.rows("s__lines")] == [2]


@pytest.mark.slow
def test_ten_thousand_columns_arrive_and_are_merged(place: Place) -> None:
    """Asking each frame for its schema once a column used to take longer than anyone waits."""
    head = schema("s", {"id": KEY, **{f"c{i}": INTEGER if i % 2 else STRING for i in range(10_000)}})
    place.good(head, record("s", id=1, c0="a", c9999=1), load_method="upsert")
    place.good(head, record("s", id=2, c0="b", c1=2), load_method="upsert")
    path = place.root / place.lake.latest_snapshot("s").path
    assert pl.read_parquet(path).shape == (2, 10_001)
    assert pq.read_table(path).shape == (2, 10_001)
    found = duckdb.read_parquet(str(path)).project("id, c0, c1, c9999").order("id").fetchall()
    assert found == [(1, "a", None, 1), (2, "b", 2, None)]


@pytest.mark.parametrize("first", [ANYTHING, STRING], ids=["JSON text", "string"])
def test_json_text_is_a_key_and_a_bookmark_like_any_other(place: Place, first: Any) -> None:
    for kind, key, value in ((first, "a", "x"), (ANYTHING, "a", "y"), (ANYTHING, 5, "z")):
        head = {"k": kind, "v": STRING, "lines": LINES}
        place.good(
            schema("s", head, ["k"]),
            record("s", k=key, v=value, lines=[{"sku": value}]),
            load_method="upsert",
        )
        head = {"at": kind, "v": ANYTHING}
        place.good(schema("t", head, [], ["at"]), record("t", at=key, v=["same"]), bookmark("t", "a"))
    assert place.rows("s") == [{"k": '"a"', "v": "y"}, {"k": "5", "v": "z"}]
    assert [(row["_parent_k"], row["sku"]) for row in place.rows("s__lines")] == [('"a"', "y"), ("5", "z")]
    assert [row["at"] for row in place.rows("t")] == ['"a"', "5"]

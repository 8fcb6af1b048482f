"""What several runs make of one dataset, and several SCHEMAs of one run: nothing lost, nobody stuck."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.target.command import Place, assert_clear
from tests.target.messages import INTEGER, KEY, MOMENT, STRING, activate, bookmark, record, schema

TIMED = schema("s", {"id": KEY, "at": INTEGER}, bookmarks=["at"])
ITEMS = {"type": "array", "items": {"type": "object", "properties": {"q": INTEGER}}}


def ids(place: Place, dataset: str = "s") -> list[Any]:
    return place.frame(dataset)["id"].to_list()


def test_a_new_version_with_the_same_rows_is_remembered(place: Place) -> None:
    """Else the next run of that version would find another one, and remove the rows before it."""
    one, two, three = (record("s", id=number, at=number) for number in (1, 2, 3))
    for version, lines in ((1, [one, two]), (2, [one, two]), (2, [three])):
        place.good(TIMED, *lines, activate("s", version), bookmark("s", 3, "at"))
    assert ids(place) == [1, 2, 3]


@pytest.mark.parametrize("later", [{"type": "number"}, STRING], ids=["decimal", "string"])
def test_a_child_s_keys_widen_with_its_stream_s(place: Place, later: dict[str, Any]) -> None:
    """The array is gone when the key gets another type: the children that are there still are its."""
    head = schema("s", {"id": KEY, "l": ITEMS}, bookmarks=["id"])
    place.good(head, record("s", id=1, l=[{"q": 1}]), bookmark("s", 1, "id"))
    wider = schema("s", {"id": later}, bookmarks=["id"])
    value = 12345678901234567890 if later is not STRING else "x"
    place.good(head, record("s", id=2, l=[{"q": 2}]), wider, record("s", id=value), bookmark("s", 2, "id"))
    place.good(head, record("s", id=2, l=[{"q": 3}]), bookmark("s", 2, "id"))
    texts = place.frame("s__l").select(pl.col("_parent_id").cast(pl.String), "q").rows()
    assert (sorted(place.frame("s")["id"].cast(pl.String)), texts) == (
        sorted(["1", "2", str(value)]), [("1", 1), ("2", 3)],
    )  # fmt: skip
    assert place.frame("s")["id"].dtype == place.frame("s__l")["_parent_id"].dtype


def test_bookmark_properties_that_come_with_a_second_schema_count(place: Place) -> None:
    plain = schema("s", {"id": KEY, "at": INTEGER})
    for number in (1, 2):
        place.good(plain, TIMED, record("s", id=number, at=number), bookmark("s", number, "at"))
    assert ids(place) == [1, 2]


@pytest.mark.parametrize(
    ("odd", "more"), [({"id": 2, "more": 1}, [2]), ({"id": 7.0}, [7]), ({"id": "x"}, [])]
)
def test_a_field_name_that_no_fast_way_can_look_for_fails_no_stream(
    place: Place, odd: dict[str, Any], more: list[int]
) -> None:
    lines = [
        schema("ok", {"id": KEY}), record("ok", id=1),
        schema("s", {"id": KEY, 'size 5"': INTEGER}), record("s", id=1), record("s", **odd),
    ]  # fmt: skip
    place.good(*lines, on_bad_record="quarantine")
    assert (ids(place, "ok"), ids(place)) == ([1], [1, *more])


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ({"source": 5}, "the SCHEMA's x-singerlake is no text in source: mend the tap"),
        (
            {"origin": 7, "account": []},
            "the SCHEMA's x-singerlake is no text in origin, account: mend the tap",
        ),
        (
            {"source": "a__b"},
            "the SCHEMA's x-singerlake has a source with '__', which parts a dataset from its child datasets",
        ),
    ],
)
def test_a_mark_that_is_none_of_ours_fails_its_stream(place: Place, mark: Any, reason: str) -> None:
    ended = place.run(schema("s", {"id": KEY}, mark=mark), record("s", id=1), TIMED.replace('"s"', '"t"'))
    assert (ended.code, place.datasets()) == (1, ["t"])
    assert_clear(ended.err)
    assert f"line 1: {reason}" in ended.err


def test_a_source_of_meltano_s_with_two_underscores_is_wrong_usage(place: Place) -> None:
    env = {"MELTANO_EXTRACT__LOAD_SCHEMA": "tap_shop__acme"}
    ended = place.run(TIMED, env=env)
    assert (ended.code, "use a single `_` in the extractor's `load_schema`" in ended.err) == (2, True)
    assert place.run(TIMED, env=env, source="shop").code == 0


def test_names_that_records_make_up_are_counted_up_to_a_thousand(place: Place) -> None:
    place.good(schema("s", {"id": KEY}), *(record("s", id=n, **{f"f{n:04}": 1}) for n in range(1500)))
    (note,) = [one for one in place.summary("s")["notes"] if one.startswith("fields left out")]
    assert (
        note
        == "fields left out that the schema does not name: "
        + ", ".join(f"f{n:04} (1)" for n in range(10))
        + ", and 990 more fields, and 500 more of other names"
    )


def test_a_string_without_end_in_a_deep_line_is_refused(place: Place) -> None:
    """Its time grew with the square of its length: 17 s for 80 kB."""
    deep = '{"type":"RECORD","stream":"s","record":{"id":' + "[" * 101 + '"' + '\\"' * 500_000
    ended = place.run(TIMED, record("s", id=1), deep, record("s", id=2))
    assert (ended.code, place.datasets()) == (1, [])
    assert "line 3: field 'id' is nested deeper than 100 levels" in ended.err


def test_moments_may_be_keys_of_children(place: Place) -> None:
    """A key of date-times, then of strings without the array, then of date-times again."""

    def head(kind: Any, **more: Any) -> str:
        return schema("s", {"id": kind, **more}, bookmarks=["id"])

    noon = "2026-01-01T12:00:00Z"
    place.good(head(MOMENT, l=ITEMS), record("s", id=noon, l=[{"q": 1}]), bookmark("s", 1, "id"))
    place.good(head(STRING), record("s", id="x"), bookmark("s", 1, "id"))
    place.good(head(MOMENT, l=ITEMS), record("s", id=noon, l=[{"q": 2}]), bookmark("s", 1, "id"))
    assert sorted(ids(place)) == ["2026-01-01T12:00:00Z", "x"]
    assert place.frame("s__l")["q"].to_list() == [2]


def test_numbers_of_one_column_are_decimals_where_38_digits_hold_them_however_blocks_are_cut(
    place: Place,
) -> None:
    head = schema("s", {"id": KEY, "n": {"type": "number"}})
    place.good(head, record("s", id=1, n=1.5), record("s", id=2, n=100000000000000000001))
    assert place.frame("s")["n"].to_list() == [Decimal("1.5"), Decimal(100000000000000000001)]


def test_rows_read_again_are_dropped_whatever_the_replication_key_s_column_is_called(place: Place) -> None:
    head = schema("s", {"U": INTEGER, "u": INTEGER}, keys=None, bookmarks=["u"])
    for _ in range(2):
        place.good(head, record("s", U=1, u=2), record("s", U=1, u=3), bookmark("s", 3, "u"))
    assert place.frame("s").rows() == [(1, 2), (1, 3)]


def test_fields_added_beside_the_mark_of_deleted_rows_are_known_to_later_schemas(place: Place) -> None:
    place.good(
        schema("s", {"id": KEY}), record("s", id=1, x=5, _sdc_deleted_at=None),
        schema("s", {"id": KEY, "b": INTEGER}), record("s", id=2, X=6),
        undeclared_fields="add",
    )  # fmt: skip
    names = place.frame("s").columns
    assert len({name.casefold() for name in names}) == len(names)
    assert place.frame("s").select("x", pl.col("^X_.*$")).rows() == [(5, None), (None, 6)]


def test_a_bad_record_of_a_stream_whose_name_is_escaped_is_its_stream_s_alone(place: Place) -> None:
    name = "\u00e9"
    lines = [schema("ok", {"id": KEY}), record("ok", id=1), schema(name, {"id": KEY}), record(name, id=1)]
    bad = '{"type": "RECORD", "stream": "\\u00e9", "record": {"id": NaN}}'
    place.good(*lines, bad, on_bad_record="quarantine", dataset_template="x{stream}")
    assert [len(place.frame(dataset)) for dataset in place.datasets()] == [1, 1]


def test_a_carriage_return_within_a_record_hides_no_undeclared_field(place: Place) -> None:
    hidden = '{"type": "RECORD", "stream": "s", "record": {"id": 1,\r"x": 2}}'
    ended = place.run(schema("s", {"id": KEY}), hidden, undeclared_fields="fail")
    assert (ended.code, place.datasets()) == (1, [])
    assert "line 2: field 'x' is not named by the schema" in ended.err


def test_many_coerced_records_are_stored_in_their_order(place: Place) -> None:
    rows = [record("s", id=n, n="x" * 400 if n % 20 else 5) for n in range(30_000)]
    place.good(schema("s", {"id": KEY, "n": STRING}), *rows, add_record_metadata=True)
    found = place.frame("s")
    assert found["id"].to_list() == list(range(30_000))
    assert found["n"].to_list() == ["x" * 400 if n % 20 else "5" for n in range(30_000)]
    assert place.summary("s")["notes"][0] == "1500 values of n written as JSON text"


def test_the_last_state_is_printed_as_it_came(place: Place) -> None:
    """Also where one that says the same, put together anew, was printed in mid-run."""
    last = '{"type": "STATE", "value": {"bookmarks": {},  "x": 1}}'
    ended = place.good(schema("s", {"id": KEY}), record("s", id=1), last, checkpoint_seconds=0)
    assert ended.out.splitlines()[-1] == '{"bookmarks": {},  "x": 1}'


@pytest.mark.parametrize("undeclared", ["warn", "add"])
def test_a_text_that_is_the_name_of_the_mark_of_deleted_rows_makes_no_column(
    place: Place, undeclared: str
) -> None:
    head = schema("s", {"id": KEY, "n": STRING})
    place.good(head, record("s", id=1, n="_sdc_deleted_at"), undeclared_fields=undeclared)
    assert place.rows("s") == [{"id": 1, "n": "_sdc_deleted_at"}]

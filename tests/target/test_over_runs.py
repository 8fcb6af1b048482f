"""What several runs make of one dataset, and several SCHEMAs of one run: nothing lost, nobody stuck."""

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
        ({"source": 5}, "the SCHEMA's x-singerlake has a source that is no text"),
        ({"origin": 7, "account": []}, "has a origin and a account that is no text"),
        ({"source": "a__b"}, "has a source with '__', which parts a dataset from its child datasets"),
    ],
)
def test_a_mark_that_is_none_of_ours_fails_its_stream(place: Place, mark: Any, reason: str) -> None:
    ended = place.run(schema("s", {"id": KEY}, mark=mark), record("s", id=1), TIMED.replace('"s"', '"t"'))
    assert (ended.code, place.datasets()) == (1, ["t"])
    assert_clear(ended.err)
    assert f"line 1: {reason}" in ended.err or reason in ended.err


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
        + ", and 500 more of other names"
    )


def test_a_string_without_end_in_a_deep_line_is_refused(place: Place) -> None:
    """It took time that grew with the square of its length: hours, for this one."""
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
    assert sorted(ids(place)) == ["2026-01-01T12:00:00.000000Z", "x"]
    assert place.frame("s__l")["q"].to_list() == [2]

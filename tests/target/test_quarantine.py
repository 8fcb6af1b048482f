"""`on_bad_record: quarantine`: the bad rows go aside, counted, and the rest is what it were without them."""

import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake_parquet.staging import ROW
from target_lake_parquet.blocks import BlockDecoder, Rules
from target_lake_parquet.columns import Plan, table_of
from target_lake_parquet.messages import Rows
from tests.target.command import Place, assert_clear
from tests.target.messages import EXACT_WAY, INTEGER, KEY, NUMBER, STRING, activate, bookmark, record, schema

ITEMS = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING, "n": INTEGER}}}
HEAD = schema("s", {"id": KEY, "n": INTEGER, "name": STRING, "items": ITEMS})
WIDE = schema("s", {"id": KEY, "n": INTEGER, "name": STRING, "items": ITEMS, **EXACT_WAY})


@pytest.mark.parametrize("head", [HEAD, WIDE], ids=["fast", "exact"])
def test_a_bad_record_goes_aside_with_its_child_rows_and_the_rest_is_published(
    place: Place, head: str
) -> None:
    lines = [
        head,
        record("s", id=1, n=1, items=[{"sku": "a"}]),
        record("s", id=2, n="canary", items=[{"sku": "b"}, {"sku": "c"}]),
        record("s", id=3, items=[{"sku": "d"}, {"n": "canary"}]),
        record("s", id=4, n=4, items=[{"sku": "e"}]),
        bookmark("s", 4),
    ]
    ended = place.good(*lines, on_bad_record="quarantine")
    assert place.frame("s")["id"].to_list() == [1, 4]
    assert place.frame("s__items")["sku"].to_list() == ["a", "e"]
    assert place.aside() == [
        {"line": 3, "field": "n", "reason": "is not a whole number", "message": lines[2]},
        {"line": 4, "field": "items.n", "reason": "is not a whole number", "message": lines[3]},
    ]
    summary = place.summary("s")
    assert (summary["status"], summary["rows_read"], summary["rows_quarantined"]) == ("published", 2, 2)
    path = f".quarantine/{place.record()['run_id']}/s.jsonl"
    note = f"2 bad records are in {path}, the first: line 3: field 'n' is not a whole number"
    assert note in summary["notes"]
    assert place.record()["status"] == "ok"
    (warning,) = (line for line in ended.err.splitlines() if note in line)
    assert " WARNING " in warning
    assert "2 quarantined" in warning
    assert "canary" not in ended.err
    assert json.loads(ended.out)["bookmarks"]["s"]["replication_key_value"] == 4


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        ('{"id": 2, "n": NaN}', "n", "holds NaN or Infinity, which JSON does not know"),
        ('{"id": 2, "name": "\udcff"}', "name", "holds bytes that are not UTF-8"),
        ('{"id": 2, "name": "\\ud800"}', "name", "holds half a surrogate pair"),
        ('{"name": "a"}', "id", "is a key property and is missing"),
        ('{"id": 2, "name": "a",}', "record", "is not readable JSON"),
        ('{"id": 2}}', "record", "is not readable JSON"),
        ('{"id": 2, "n": ' + "9" * 1000 + "}", "n", "holds a number of 1,000 digits or more"),
        (
            '{"id": 2, "items": [{"sku": ' + "[" * 200 + "]" * 200 + "}]}",
            "items",
            "is nested deeper than 100",
        ),
        ('{"id": 2, "other": 1}', "other", "is not named by the schema"),
        ('{"id": 2, "items": [{"other": 1}]}', "items.other", "is not named by the schema"),
        ("[]", "record", "is not an object"),
    ],
)
@pytest.mark.parametrize("head", [HEAD, WIDE], ids=["fast", "exact"])
def test_every_kind_of_bad_record_goes_aside(
    place: Place, head: str, bad: str, field: str, reason: str
) -> None:
    line = f'{{"type": "RECORD", "stream": "s", "record": {bad}}}'
    data = "\n".join([head, record("s", id=1), line, record("s", id=3), ""]).encode(errors="surrogateescape")
    config = place.configured(on_bad_record="quarantine", undeclared_fields="fail")
    ended = place.command("target-lake-parquet", "--config", config, stdin=data)
    assert ended.code == 0, ended.err
    assert place.frame("s")["id"].to_list() == [1, 3]
    (found,) = place.aside()
    assert (found["line"], found["field"]) == (3, field)
    assert found["reason"].startswith(reason)
    assert found["message"].encode() == line.encode(errors="surrogateescape").replace(b"\xff", b"\\xff")


def test_max_bad_records_is_the_most_that_a_stream_may_set_aside(place: Place) -> None:
    lines = [HEAD, record("s", id=1), record("s", id="a"), record("s", id="b"), record("s", id=2)]
    other = [schema("t", {"id": KEY}), record("t", id=1)]
    ended = place.run(*lines, *other, on_bad_record="quarantine", max_bad_records=1)
    assert ended.code == 1
    assert_clear(ended.err)
    assert "more bad records than max_bad_records, 1" in ended.err
    assert place.datasets() == ["t"]
    assert (place.summary("s")["status"], place.summary("s")["rows_quarantined"]) == ("failed", 2)
    place.good(*lines, on_bad_record="quarantine", max_bad_records=2)
    assert place.frame("s")["id"].to_list() == [1, 2]


def test_each_stream_may_have_its_own_rule(place: Place) -> None:
    lines = [line for name in "abc" for line in (schema(name, {"id": KEY}), record(name, id=1), record(name))]
    overrides = {"a": {"on_bad_record": "fail"}, "c": {"max_bad_records": 0}}
    ended = place.run(*lines, on_bad_record="quarantine", stream_overrides=overrides)
    assert (ended.code, place.datasets()) == (1, ["b"])
    assert "more bad records than max_bad_records, 0" in ended.err
    ended = place.run(*lines, source="x", stream_overrides={"a": {"on_bad_record": "quarantine"}})
    assert (ended.code, place.datasets()) == (1, ["b", "x_a"])


def test_a_stream_whose_records_are_all_bad_is_given_up(place: Place) -> None:
    place.good(HEAD, record("s", id=1), activate("s", 1))
    bad = [HEAD, activate("s", 2), record("s", id="a"), record("s", id="b"), activate("s", 2)]
    ended = place.run(*bad, on_bad_record="quarantine")
    assert ended.code == 1
    assert "not one of its records could be stored" in ended.err
    assert "the first: line 3: field 'id' is not a whole number" in ended.err
    assert len(place.aside()) == 2
    assert place.frame("s")["id"].to_list() == [1]


def test_a_bad_row_leaves_the_row_before_it_as_it_was(place: Place) -> None:
    head = schema("s", {"id": KEY, "at": INTEGER}, bookmarks=["at"])
    place.good(head, record("s", id=1, at=1), record("s", id=2, at=1), bookmark("s", 1))
    place.good(
        head, record("s", id=1, at=2), record("s", id=2, at="x"), bookmark("s", 2), on_bad_record="quarantine"
    )
    assert place.rows("s") == [{"id": 1, "at": 2}, {"id": 2, "at": 1}]


def test_a_name_from_the_tap_stays_within_the_quarantine(place: Place) -> None:
    name = "../../../escape"
    place.good(
        schema(name, {"id": KEY}), record(name, id=1), record(name, id="x"), on_bad_record="quarantine"
    )
    (path,) = (place.root / ".quarantine").rglob("*.jsonl")
    assert path.parent.parent == place.root / ".quarantine"
    assert [one.name for one in place.folder.iterdir() if one.is_dir()] == ["lake"]


def test_nothing_stands_in_quarantine_where_nothing_was_bad(place: Place) -> None:
    place.good(HEAD, record("s", id=1), on_bad_record="quarantine")
    assert not (place.root / ".quarantine").exists()


def test_the_good_rows_are_what_they_were_without_the_bad_ones() -> None:
    """A bad record's other values neither widen a column nor count as coerced or undeclared."""
    table = table_of({"properties": {"id": KEY, "n": NUMBER, "name": STRING, "items": ITEMS}}, ["id"])
    texts = [f'{{"id": {i}, "n": {i}.5, "name": "{"x" * 40}", "items": [{{"n": {i}}}]}}' for i in range(2000)]
    texts[7] = '{"id": "x", "n": 0.1234567890123456789}'
    texts[1500] = '{"id": 1, "n": [], "name": 5, "more": 1}'
    lines = [f'{{"type":"RECORD","stream":"s","record":{text}}}\n' for text in texts]
    decoder = BlockDecoder(table, Rules(sets_aside=True))
    found = list(decoder.decode([Rows("s", "".join(lines).encode(), 1, len(lines))]))
    aside = {number: text.decode() + "\n" for one in found for number, text in one.aside.items()}
    assert aside == {8: lines[7], 1501: lines[1500]}
    assert not any(one.coerced or one.undeclared for one in found)
    good = [
        Rows("s", line.encode(), number, 1) for number, line in enumerate(lines, 1) if number not in aside
    ]
    without = list(BlockDecoder(table).decode(good))
    for suffix in ("", "items"):
        mine = pl.concat([one.frames[suffix] for one in found])
        assert_frame_equal(mine, pl.concat([one.frames[suffix] for one in without]), check_exact=True)


def test_a_record_that_its_stream_map_refuses_is_named_and_not_kept(place: Place) -> None:
    """What the map masks would stand in it."""
    lines = [HEAD, record("s", id=1, name="a"), record("s", id=2, name=None), record("s", id=3, name="b")]
    maps = {"s": {"name": "name.upper()"}}
    place.good(*lines, stream_maps=maps, on_bad_record="quarantine")
    assert place.frame("s")["name"].to_list() == ["A", "B"]
    (found,) = place.aside()
    assert (found["line"], found["field"], found["message"]) == (3, "name", "")
    assert (place.summary("s")["rows_read"], place.summary("s")["rows_quarantined"]) == (2, 1)


ODD_VALUES = ["1", "2.5", "1e400", "1e2000", '"word"', "null", "[1]", '{"b": 1}', "true", "9" * 30, "NaN"]
SOME = st.tuples(
    st.sampled_from(["good", "good", "good", '"bad"', "7.5", "null"]),
    st.dictionaries(st.sampled_from(["x", "y", "items"]), st.sampled_from(ODD_VALUES), max_size=2),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(SOME, min_size=1, max_size=40), st.sampled_from([1, 100]))
@example([('"bad"', {"x": '"word"'}), ("good", {"x": "1e2000"}), *[("good", {"x": "1"})] * 8], 100)
def test_each_record_is_stored_or_set_aside_whatever_fields_are_added(
    some: list[tuple[str, dict[str, str]]], times: int
) -> None:
    """What an added column holds, and so which records are bad, depends on the others of the block."""
    texts = []
    for number, (key, more) in enumerate(some * (1 if times == 1 else 20)):
        fields = {"id": str(number) if key == "good" else key, **more}
        inside = ", ".join(f'"{name}": {value}' for name, value in fields.items())
        texts.append(f'{{"type": "RECORD", "stream": "s", "record": {{{inside}}}}}\n')
    plan = Plan()
    table = table_of({"properties": {"id": KEY, "items": ITEMS}}, ["id"], plan)
    decoder = BlockDecoder(table, Rules(sets_aside=True, adding=plan))
    stored: list[int] = []
    aside: list[int] = []
    for first in range(0, len(texts), 200):
        part = texts[first : first + 200]
        for decoded in decoder.decode([Rows("s", "".join(part).encode(), first + 1, len(part))]):
            stored += decoded.frames[""][ROW].to_list()
            aside += decoded.aside.keys()
            assert {one.line for one in decoded.bad} == decoded.aside.keys()
    assert sorted([*stored, *aside]) == list(range(1, len(texts) + 1))

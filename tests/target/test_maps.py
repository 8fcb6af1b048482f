"""Stream maps: the SDK's words, our promises. Bookmarks, proofs and line numbers stay the tap's."""

import hashlib
import json
from typing import Any

import pytest

from tests.target.command import Place, assert_clear
from tests.target.messages import (
    INTEGER,
    KEY,
    MOMENT,
    NUMBER,
    STRING,
    activate,
    bookmark,
    record,
    schema,
    state,
)

USERS = schema("users", {"id": KEY, "email": STRING, "spent": NUMBER, "at": INTEGER})
ANN = record("users", id=1, email="ann@x", spent=1.5, at=3)
BOB = record("users", id=2, email="bob@x", spent=20, at=4)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - what the map's function makes


def test_properties_are_masked_renamed_added_and_removed(place: Place) -> None:
    users = {
        "email": "md5(config['salt'] + email)",
        "spent": None,
        "at": "__NULL__",
        "total": "spent * 2",
        "domain": "email.split('@')[-1]",
        "rank": "int(id + 10)",
    }
    place.good(USERS, ANN, BOB, stream_maps={"users": users}, stream_map_config={"salt": "s"})
    assert place.rows("users") == [
        {"id": 1, "email": md5("sann@x"), "total": "3.0", "domain": "x", "rank": 11},
        {"id": 2, "email": md5("sbob@x"), "total": "40", "domain": "x", "rank": 12},
    ]


def test_else_null_leaves_what_is_named(place: Place) -> None:
    place.good(USERS, ANN, stream_maps={"users": {"id": "id", "email": "email", "__else__": None}})
    assert place.rows("users") == [{"id": 1, "email": "ann@x"}]


def test_streams_are_left_out_by_null_or_by_else(place: Place) -> None:
    lines = [USERS, ANN, schema("logs", {"id": KEY}), record("logs", id=1), activate("logs", 1)]
    place.good(*lines, stream_maps={"logs": None}, source="a")
    place.good(*lines, stream_maps={"users": {}, "__else__": "__NULL__"}, source="b")
    assert place.datasets() == ["a_users", "b_users"]


@pytest.mark.parametrize(
    ("users", "odd"),
    [({}, {}), ({"email": None}, {"email": "x"}), ({"__filter__": "True"}, {})],
    ids=["all kept", "nothing left", "a filter that keeps it"],
)
def test_a_record_that_comes_out_empty_is_no_filtered_one(place: Place, users: Any, odd: Any) -> None:
    """The SDK has one word for both: such records were lost, and their bookmark went on."""
    lines = [USERS, ANN, record("users", **odd), bookmark("users", 4, "at")]
    ended = place.run(*lines, stream_maps={"users": users})
    assert (ended.code, place.datasets()) == (1, [])
    assert "line 3: field 'id' is a key property and is missing" in ended.err
    keyless = [schema("logs", {"n": INTEGER}, keys=[]), record("logs", n=1), record("logs")]
    place.good(*keyless, stream_maps={"logs": {}})
    assert place.rows("logs") == [{"n": 1}, {"n": None}]


def test_filters_leave_out_rows_and_say_how_many(place: Place) -> None:
    place.good(USERS, ANN, BOB, ANN, BOB, stream_maps={"users": {"__filter__": "bool(spent > 10)"}})
    assert [row["id"] for row in place.rows("users")] == [2]
    assert "2 records left out by the stream map's filter" in place.summary("users")["notes"]


def test_an_alias_names_the_dataset_and_patterns_match_streams(place: Place) -> None:
    others = [schema("us_ers", {"id": KEY}), record("us_ers", id=5)]
    place.good(USERS, ANN, *others, stream_maps={"us*": {"__alias__": "__stream_name__ + '_v2'"}})
    assert place.datasets() == ["us_ers_v2", "users_v2"]
    assert place.summary("users_v2")["stream"] == "users_v2"


def test_a_stream_may_become_several(place: Place) -> None:
    maps = {
        "users": {"email": None},
        "mails": {"__source__": "users", "__else__": None, "email": "email", "__key_properties__": ["email"]},
        "keyless": {"__source__": "users", "__key_properties__": None, "at": None},
    }
    place.good(USERS, ANN, stream_maps=maps)
    assert place.rows("users") == [{"id": 1, "spent": 1.5, "at": 3}]
    assert place.rows("mails") == [{"email": "ann@x"}]
    assert place.rows("keyless") == [{"id": 1, "email": "ann@x", "spent": 1.5}]
    infos = {name: place.lake.latest_snapshot(name).info for name in ("users", "mails", "keyless")}
    assert {name: info and info.keys for name, info in infos.items()} == {
        "users": ("id",),
        "mails": ("email",),
        "keyless": (),
    }


def test_numbers_stay_exact_on_their_way_through_a_map(place: Place) -> None:
    head = schema("s", {"id": KEY, "d": {"type": "number", "multipleOf": 1e-20}, "i": {"type": "integer"}})
    row = (
        '{"type":"RECORD","stream":"s","record":'
        '{"id":1,"d":123456789.01234567890123456789,"i":9223372036854775807}}'
    )
    place.good(head, row, source="plain")
    place.good(head, row, stream_maps={"s": {"text": "str(d)"}}, source="mapped")
    (plain,), (mapped,) = place.rows("plain_s"), place.rows("mapped_s")
    assert mapped == {**plain, "text": "123456789.01234567890123456789"}


def test_arrays_of_a_mapped_stream_are_child_datasets(place: Place) -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING}}}
    lines = [schema("s", {"id": KEY, "items": items}), record("s", id=1, items=[{"sku": "a"}])]
    place.good(*lines, stream_maps={"s": {"__alias__": "t", "n": "'x'"}})
    assert place.rows("t__items") == [{"_parent_id": 1, "_position": 0, "sku": "a"}]


TWO = {"users": {"email": None}, "mails": {"__source__": "users", "n": "int(email)"}}


def test_a_bookmark_moves_only_when_every_stream_made_of_it_is_published(place: Place) -> None:
    head = schema("users", {"id": KEY, "email": STRING, "at": INTEGER}, bookmarks=["at"])
    place.good(head, record("users", id=0, email="0", at=1), bookmark("users", 1), stream_maps=TWO)
    ended = place.run(bookmark("users", 1), head, ANN, bookmark("users", 3), stream_maps=TWO)
    assert ended.code == 1
    assert "1 of 2 streams not published (mails)" in ended.err
    assert json.loads(ended.out) == json.loads(bookmark("users", 1))["value"]
    numbered = record("users", id=1, email="7", at=3)
    ended = place.good(bookmark("users", 1), head, numbered, bookmark("users", 3), stream_maps=TWO)
    assert json.loads(ended.out) == json.loads(bookmark("users", 3))["value"]
    assert [row["n"] for row in place.rows("mails")] == [0, 7]


def test_an_aliased_stream_is_held_and_proven_by_the_taps_name(place: Place) -> None:
    maps = {"users": {"__alias__": "people"}}
    done = state({"bookmarks": {"users": {"replication_key_value": 4}}})
    place.good(USERS, ANN, done, stream_maps=maps)
    assert place.summary("people")["proof"] == "proven"
    cut = state({"bookmarks": {"users": {"progress_markers": {"at": 1}}}})
    ended = place.run(USERS, BOB, cut, stream_maps=maps, load_method="overwrite")
    assert (ended.code, place.summary("people")["proof"]) == (1, "open")
    assert json.loads(ended.out) == {"bookmarks": {"users": {"replication_key_value": 4}}}


def test_activate_version_follows_to_every_mapped_stream(place: Place) -> None:
    maps = {"users": {"n": "'x'"}, "copy": {"__source__": "users"}}
    place.good(USERS, ANN, BOB, activate("users", 1), stream_maps=maps)
    place.good(USERS, activate("users", 2), BOB, activate("users", 2), stream_maps=maps, load_method="upsert")
    for name in ("users", "copy"):
        assert [row["id"] for row in place.rows(name)] == [2]
        assert place.summary(name)["proof"] == "proven"


def test_our_taps_mark_and_definitions_survive_a_map(place: Place) -> None:
    document = {
        "properties": {"id": KEY, "at": {"$ref": "#/definitions/moment"}},
        "definitions": {"moment": MOMENT},
        "x-singerlake": {"source": "shop", "origin": "stub", "closes_with": "ACTIVATE_VERSION"},
    }
    head = json.dumps({"type": "SCHEMA", "stream": "s", "schema": document, "key_properties": ["id"]})
    maps = {"s": {"__else__": None, "id": "id", "at": "at"}}
    place.good(head, record("s", id=1, at="2026-01-01T00:00:00Z"), activate("s", 1), stream_maps=maps)
    assert place.summary("shop_s")["source"] == "shop_stub"
    assert place.frame("shop_s").schema["at"].is_temporal()


def test_a_new_or_changed_filter_is_no_drop_in_rows_but_a_cut_read_still_is(place: Place) -> None:
    rows = [record("users", id=i, at=i) for i in range(100)]
    strict, stricter = ({"users": {"__filter__": f"bool(at < {limit})"}} for limit in (50, 10))
    place.good(USERS, *rows)
    place.good(USERS, *rows, stream_maps=strict)
    place.good(USERS, *rows, stream_maps=stricter)
    assert place.frame("users").height == 10
    assert place.run(USERS, *rows[:60], stream_maps=stricter).code == 1  # as many rows, of a shorter read
    place.good(USERS, *rows)
    assert place.frame("users").height == 100


def test_a_changed_schema_is_mapped_anew(place: Place) -> None:
    more = schema("users", {"id": KEY, "email": STRING, "phone": STRING})
    place.good(
        USERS, ANN, more, record("users", id=2, email="b", phone="5"), stream_maps={"users": {"email": None}}
    )
    assert [(row["id"], row["phone"]) for row in place.rows("users")] == [(1, None), (2, "5")]
    assert "email" not in place.frame("users").columns


def test_a_deleted_row_leaves_whatever_the_map_keeps(place: Place) -> None:
    for name, maps in (("kept", {"users": {"id": "id", "__else__": None}}), ("plain", {"users": {}})):
        head = schema("users", {"id": KEY, "email": STRING, "_sdc_deleted_at": MOMENT}, bookmarks=["id"])
        place.good(head, ANN, BOB, bookmark("users", 2), stream_maps=maps, source=name)
        gone = record("users", id=1, email="ann@x", _sdc_deleted_at="2026-01-01T00:00:00Z")
        place.good(head, gone, bookmark("users", 3), stream_maps=maps, source=name)
        assert [row["id"] for row in place.rows(f"{name}_users")] == [2]


def test_an_expression_that_fails_names_line_and_property_and_no_value(place: Place) -> None:
    ended = place.run(USERS, BOB, ANN, stream_maps={"users": {"n": "int(email)"}})
    assert ended.code == 1
    assert "line 2: field 'n' cannot be made by its stream map (ValueError)" in ended.err
    ended = place.run(USERS, BOB, ANN, stream_maps={"users": {"__filter__": "nothing > 1"}})
    assert "line 2: field '__filter__' cannot be made by its stream map (the record has no 'nothing')" in (
        ended.err
    )
    assert "ann@x" not in ended.err + json.dumps(place.record())
    assert place.datasets() == []


def test_line_numbers_stay_the_inputs_where_rows_are_left_out(place: Place) -> None:
    maps = {"users": {"__filter__": "bool(id > 1)", "copy": "at"}}
    ended = place.run(
        USERS, ANN, BOB, ANN, BOB, record("users", id=3, email="c", at="word"), stream_maps=maps
    )
    assert "line 6: field 'at' is not a whole number" in ended.err


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"users": {"email": "md5("}}, "users.email is no expression that can be read"),
        ({"users": {"__filter__": "a = 1"}}, "users.__filter__ is no expression"),
        ({"users": {"email": 5}}, "users.email must be an expression"),
        ({"users": "email"}, "users must be an object, or null"),
        ({"users": {"__else__": "x"}}, "users.__else__ can only be null"),
        ({"users": {"__alais__": "x"}}, "users.__alais__ is no word of stream maps"),
        ({"users": {"__key_properties__": "id"}}, "users.__key_properties__ must be a list"),
        ({"__elsy__": None}, "__elsy__ is no word for streams"),
    ],
)
def test_a_map_that_cannot_be_is_wrong_usage_before_any_message(
    place: Place, maps: dict[str, Any], words: str
) -> None:
    ended = place.run(stream_maps=maps)
    assert (ended.code, ended.out) == (2, "")
    assert_clear(ended.err)
    assert words in ended.err


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"users": {"id": None}}, "Removing key property 'id' is not permitted"),
        ({"users": {"__key_properties__": ["nope"]}}, "'nope' was not detected in schema"),
        ({"us*": {"__alias__": "one"}}, "make stream 'one' of 'users' and again of 'us_ers'"),
        ({"users": {"__alias__": "1 + 1"}}, "an __alias__ that is no name"),
    ],
)
def test_a_map_that_does_not_fit_the_schema_is_wrong_usage(
    place: Place, maps: dict[str, Any], words: str
) -> None:
    ended = place.run(USERS, ANN, schema("us_ers", {"id": KEY}), stream_maps=maps)
    assert (ended.code, ended.out) == (2, "")
    assert_clear(ended.err)
    assert words in ended.err
    assert place.datasets() == []


def test_a_map_of_a_stream_that_never_came_is_told(place: Place) -> None:
    ended = place.good(USERS, ANN, stream_maps={"usres": {"email": None}, "users": {}})
    assert "stream_maps name 'usres', and no such stream came" in ended.err


def test_streams_without_a_map_stay_bytes_and_bad_lines_of_mapped_ones_name_theirs(place: Place) -> None:
    nan = '{"type":"RECORD","stream":"users","record":{"id":NaN}}'
    other = [schema("o", {"id": KEY}), record("o", id=1)]
    ended = place.run(USERS, nan, *other, stream_maps={"users": {"__alias__": "people"}})
    assert ended.code == 1
    assert "line 2: field 'id' holds NaN or Infinity" in ended.err
    assert place.datasets() == ["o"]


def test_a_mapped_record_that_names_two_streams_is_bad(place: Place) -> None:
    two = record("users", id=1)[:-1] + ', "stream": "o"}'
    ended = place.run(USERS, two, stream_maps={"users": {"__alias__": "people"}})
    assert ended.code == 1
    assert "line 2: field 'record' names two types, or two streams" in ended.err
    assert place.datasets() == []


def test_faker_makes_the_same_values_of_the_same_seed(place: Place) -> None:
    maps = {"users": {"email": "fake.email()"}}
    for source in ("a", "b"):
        config = {"seed": 7, "locale": ["de_DE"]}
        place.good(USERS, ANN, BOB, stream_maps=maps, faker_config=config, source=source)
    assert place.rows("a_users") == place.rows("b_users")
    assert all("@" in row["email"] and "@x" not in row["email"] for row in place.rows("a_users"))


def test_about_lists_stream_maps(place: Place) -> None:
    about = json.loads(place.command("target-lake-parquet", "--about", "--format", "json").out)
    assert "stream-maps" in about["capabilities"]


def test_a_mid_run_state_waits_for_every_stream_made_of_a_bookmark(place: Place) -> None:
    head = schema("users", {"id": KEY, "email": STRING, "at": INTEGER}, bookmarks=["at"])
    first = record("users", id=0, email="0", at=1)
    place.good(head, first, bookmark("users", 1), stream_maps=TWO)
    lines = [
        *[bookmark("users", 1), head, record("users", id=1, email="5", at=2), bookmark("users", 2)],
        *[ANN, bookmark("users", 3), record("users", id=3, email="6", at=4), bookmark("users", 4)],
    ]
    ended = place.run(*lines, stream_maps=TWO, checkpoint_seconds=0)
    assert ended.code == 1
    printed = [json.loads(line) for line in ended.out.splitlines()]
    assert printed == [json.loads(bookmark("users", 2))["value"]]
    assert [row["id"] for row in place.rows("users")] == [0, 1, 3]
    place.good(head, stream_maps=TWO)  # what was kept of the other stream is published before anything else
    assert [row["n"] for row in place.rows("mails")] == [0, 5]


HEAD = schema("s", {"id": {"type": "integer"}})


def test_a_map_that_leaves_nothing_of_the_input_is_no_missing_input(place: Place) -> None:
    ended = place.good(HEAD, record("s", id=1), stream_maps={"s": None})
    assert "No message arrived" not in ended.err


def test_a_record_that_a_map_fails_on_is_to_be_mended_in_the_maps(place: Place) -> None:
    ended = place.run(HEAD, record("s", id=1), stream_maps={"s": {"id": "nowhere + 1"}})
    assert "mend it at the source or in stream_maps" in ended.err


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"locale": "xx_YY"}, "faker_config: locale is none that faker takes"),
        ({"seed": [1]}, "faker_config: seed is none that faker takes"),
        ({"sede": 1}, "faker_config: sede is no word of it: it takes seed and locale"),
    ],
)
def test_a_faker_config_that_is_wrong_is_wrong_usage(
    place: Place, config: dict[str, Any], message: str
) -> None:
    ended = place.run(HEAD, stream_maps={"s": {"id": "id"}}, faker_config=config)
    assert (ended.code, message in ended.err) == (2, True), ended.err

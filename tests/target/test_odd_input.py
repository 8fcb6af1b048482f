"""Input that crashed the target or went astray: each is told now, and the other streams go on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.target.command import BIN, ENV, Place, assert_clear
from tests.target.messages import INTEGER, KEY, STRING, bookmark, record, schema

DECIMAL = {"type": ["null", "string"], "format": "singer.decimal"}
GOOD = [schema("g", {"id": KEY}), record("g", id=1)]


def aside(place: Place) -> list[tuple[int, str, str]]:
    """Line, field and reason of what stands in quarantine."""
    return [(one["line"], one["field"], one["reason"]) for one in place.aside()]


@pytest.mark.parametrize(
    "number", ["1e-10000000", "-1e-99999999", "0e-99999999", '"1e-99999999"', "1E-999999999"]
)
@pytest.mark.parametrize("column", [DECIMAL, {"type": "number", "multipleOf": 0.01}], ids=["text", "number"])
def test_a_decimal_that_is_too_small_for_words_is_a_bad_record(
    place: Place, column: dict[str, Any], number: str
) -> None:
    """Pyarrow crashed at it, and the whole run with it."""
    odd = f'{{"type":"RECORD","stream":"s","record":{{"id":1,"d":{number}}}}}'
    lines = [*GOOD, schema("s", {"id": KEY, "d": column}), odd, record("s", id=2, d=None)]
    place.good(*lines, on_bad_record="quarantine")
    assert (place.rows("g"), place.rows("s")) == ([{"id": 1}], [{"id": 2, "d": None}])
    assert [(line, field) for line, field, _ in aside(place)] == [(4, "d")]


@pytest.mark.parametrize("depth", [99, 150, 260, 490])
def test_a_record_that_is_too_deep_to_be_validated_is_a_bad_one(place: Place, depth: int) -> None:
    """The validator's own limit ended the run with a traceback."""
    odd = '{"type":"RECORD","stream":"s","record":{"id":1,"d":' + "[" * depth + "]" * depth + "}}"
    lines = [*GOOD, schema("s", {"id": KEY, "d": STRING}), odd, record("s", id=2, d="x")]
    place.good(*lines, on_bad_record="quarantine", validate_records=True)
    assert (place.rows("g"), place.rows("s")) == ([{"id": 1}], [{"id": 2, "d": "x"}])
    assert [(line, field) for line, field, _ in aside(place)] == [(4, "d")]


@pytest.mark.parametrize(
    "column",
    [
        {"type": "object", "properties": {"at": STRING}},
        {"type": "array", "items": {"type": "object", "properties": {"at": STRING}}},
    ],
    ids=["object", "array"],
)
def test_a_field_that_has_the_name_of_the_deletion_mark_and_is_none_is_a_field(
    place: Place, column: dict[str, Any]
) -> None:
    """The mark's column was added to where it stands, and the run ended with a traceback."""
    value = {"at": "x"} if column["type"] == "object" else [{"at": "x"}]
    place.good(
        *GOOD, schema("s", {"id": KEY, "_sdc_deleted_at": column}), record("s", id=1, _sdc_deleted_at=value)
    )
    dataset, name = (
        ("s", "_sdc_deleted_at__at") if column["type"] == "object" else ("s___sdc_deleted_at", "at")
    )
    assert place.frame(dataset)[name].to_list() == ["x"]
    assert place.frame("s")["id"].to_list() == [1]


@pytest.mark.parametrize("properties", [None, 5, True, "x"])
def test_properties_that_are_none_fail_their_stream_alone(place: Place, properties: Any) -> None:
    head = {"type": "SCHEMA", "stream": "s", "schema": {"properties": properties}, "key_properties": []}
    ended = place.run(*GOOD, json.dumps(head), record("s", id=1), add_record_metadata=True)
    assert (ended.code, place.datasets()) == (1, ["g"])
    assert_clear(ended.err)
    assert "line 3: the SCHEMA has no properties" in ended.err


def test_a_field_that_a_schema_names_by_reference_keeps_its_name_beside_the_target_s_own(
    place: Place,
) -> None:
    head = {
        "type": "SCHEMA", "stream": "s", "key_properties": ["id"],
        "schema": {"allOf": [{"properties": {"id": KEY, "_sdc_sequence": INTEGER}}]},
    }  # fmt: skip
    place.good(json.dumps(head), record("s", id=1, _sdc_sequence=5), add_record_metadata=True)
    assert [name for name in place.frame("s").columns if "sequence" in name] == ["_sdc_sequence"]


@pytest.mark.parametrize(("line", "field"), [('{"type":"RECORD","stream":"g"}', "record")])
def test_a_record_message_without_its_record_is_a_bad_record(place: Place, line: str, field: str) -> None:
    place.good(*GOOD, line, record("g", id=2), on_bad_record="quarantine")
    assert (place.frame("g")["id"].to_list(), aside(place)) == ([1, 2], [(3, field, "lacks its record")])


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        ('{"type": "RECORD", "stream": "s", "record": {"id": 2}, "stream": "t"}', "s"),
        ('{"type": "record", "stream": "s", "record": {"id": 2}, "stream": "t"}', "s"),
        ('{ "type": "RECORD", "stream": "s", "record": {"id": 2}, "stream": "t"}', "s"),
        ('{"stream": "s", "type": "RECORD", "record": {"id": 2}, "stream": "t"}', "s"),
        ('{"record": {"id": 2}, "stream": "s", "type": "RECORD", "stream": "t"}', "s"),
        ('{"type": "STATE", "stream": "s", "record": {"id": 2}, "type": "RECORD"}', "s"),
        ('{"type": "RECORD", "stream": "t", "time_extracted": "x", "record": {"id": 2}, "stream": "s"}', "t"),
    ],
)
def test_a_record_that_names_two_streams_or_types_is_a_bad_one_of_the_stream_it_names_first(
    place: Place, line: str, stream: str
) -> None:
    lines = [line for name in "st" for line in (schema(name, {"id": KEY}), record(name, id=1))]
    place.good(*lines, line, on_bad_record="quarantine")
    assert [place.frame(name)["id"].to_list() for name in "st"] == [[1], [1]]
    assert aside(place) == [(5, "record", "names two types, or two streams")]
    assert place.summary(stream)["rows_quarantined"] == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "ACTIVATE_VERSION", "stream": "s", "version": 9, "stream": "t"}',
        '{"type": "SCHEMA", "stream": "s", "schema": {"properties": {"id": {}}}, "stream": "t"}',
    ],
)
def test_another_message_with_two_streams_fails_the_one_it_names_first(place: Place, line: str) -> None:
    lines = [line for name in "st" for line in (schema(name, {"id": KEY}), record(name, id=1))]
    ended = place.run(*lines, line)
    assert (ended.code, place.datasets()) == (1, ["t"])
    assert "line 5: the message names two types, or two streams: mend the tap" in ended.err


def test_the_same_name_twice_and_names_within_the_record_are_no_two_names(place: Place) -> None:
    twice = (
        '{"type": "RECORD", "stream": "g", "record": {"id": 2, "type": "x"}, "stream": "g", "type": "record"}'
    )
    inner = '{"stream": "g", "type": "RECORD", "record": {"id": 3, "type": "STATE", "stream": "t"}}'
    value = '{"type": "STATE", "value": {"bookmarks": {}, "type": "x", "stream": "y"}}'
    ended = place.good(*GOOD, twice, inner, value)
    assert place.frame("g")["id"].to_list() == [1, 2, 3]
    assert ended.out == '{"bookmarks": {}, "type": "x", "stream": "y"}\n'


def test_records_that_are_bad_only_where_others_are_left_out_go_aside_too(place: Place) -> None:
    """What an added column holds depends on who is there: what was refused the second time was nowhere."""
    odd = '{"type":"RECORD","stream":"s","record":{"id":1,"x":1e2000}}'
    rows = [record("s", id=number, x=1) for number in range(3, 300)]
    place.good(
        schema("s", {"id": KEY}), odd, record("s", id="bad", x="word"), *rows,
        undeclared_fields="add", on_bad_record="quarantine",
    )  # fmt: skip
    assert place.frame("s")["id"].to_list() == list(range(3, 300))
    assert aside(place) == [(2, "x", "has too large an exponent"), (3, "id", "is not a whole number")]


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[2:], stdin=open(sys.argv[1]), check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Prints the peak of a command in KiB. A small process asks: a child's peak begins at its parent's size."""


@pytest.mark.parametrize("line", ["", "\r", "  "], ids=["empty", "CRLF", "spaces"])
def test_blank_lines_take_no_memory(place: Place, line: str) -> None:
    """Each took a quarter of a kilobyte, a chunk of them a gigabyte."""
    source = place.folder / "blank"
    source.write_text("\n".join([*GOOD, *[line] * 5_000_000, ""]))
    target = [str(BIN / "target-lake-parquet"), "--config", place.configured()]
    command = [sys.executable, "-c", PEAK, str(source), *target]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=ENV)
    assert place.frame("g")["id"].to_list() == [1]
    assert int(found.stdout) < 400e6 / 1024


@pytest.mark.parametrize(
    ("closed", "says"), [("<&-", "standard input is closed"), (">&-", "standard output is closed")]
)
def test_an_end_that_the_shell_closed_is_told_in_a_line(place: Place, closed: str, says: str) -> None:
    lines = place.folder / "lines"
    lines.write_text("\n".join([*GOOD, bookmark("g", 1), ""]))
    command = f"'{BIN / 'target-lake-parquet'}' --config '{place.configured()}' < '{lines}' {closed}"
    ended = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, env=ENV)
    assert ended.returncode != 0
    assert_clear(ended.stderr)
    assert says in ended.stderr


def test_a_state_that_loses_one_bookmark_keeps_every_digit_of_the_others(place: Place) -> None:
    bad = [schema("s", {"id": KEY}), record("s", id="x")]
    value = '{"bookmarks":{"s":{"v":1},"g":{"v":1234567890.123456789012}},"x":0.10}'
    ended = place.run(*GOOD, *bad, '{"type":"STATE","value":' + value + "}")
    assert ended.code == 1
    assert ended.out == '{"bookmarks":{"g":{"v":1234567890.123456789012}},"x":0.10}\n'


def test_a_deletion_in_an_append_only_stream_is_a_row_of_its_own(place: Place) -> None:
    head = schema("s", {"id": KEY, "n": INTEGER}, bookmarks=["n"])
    moment = "2026-01-01T00:00:00Z"
    place.good(head, record("s", id=1, n=1), bookmark("s", 1, "n"), load_method="append-only")
    gone = record("s", id=1, n=2, _sdc_deleted_at=moment)
    place.good(head, gone, bookmark("s", 2, "n"), load_method="append-only")
    assert place.frame("s").select("id", "n").rows() == [(1, 1), (1, 2)]
    assert place.frame("s")["_sdc_deleted_at"].is_null().to_list() == [True, False]


@pytest.mark.parametrize(
    ("column", "mark"),
    [
        *[(STRING, ""), (STRING, "x"), ({"type": "boolean"}, False), ({}, "no")],
        *[({"type": ["object", "null"]}, False), ({"type": "object"}, {}), ({"type": "array"}, [])],
        *[({"type": ["string", "object", "null"]}, ""), ({"type": "array", "items": STRING}, ["x"])],
    ],
)
def test_a_deletion_mark_that_is_no_date_time_deletes_nothing(place: Place, column: Any, mark: Any) -> None:
    head = schema("s", {"id": KEY, "_sdc_deleted_at": column})
    lines = [record("s", id=1, _sdc_deleted_at=None), record("s", id=2, _sdc_deleted_at=mark)]
    gone = record("s", id=3, _sdc_deleted_at="2026-01-01T00:00:00Z")
    place.good(head, *lines, gone, on_bad_record="quarantine")
    assert place.frame("s")["id"].to_list() == [1]
    assert [(line, field) for line, field, _ in aside(place)] == [(3, "_sdc_deleted_at")]


def test_a_frozen_stream_may_delete_rows_in_one_run_and_none_in_the_next(place: Place) -> None:
    head = schema("s", {"id": KEY, "n": INTEGER}, bookmarks=["n"])
    moment = "2026-01-01T00:00:00Z"
    place.good(head, record("s", id=1, n=1), record("s", id=2, n=1), bookmark("s", 1, "n"))
    place.good(head, record("s", id=1, n=2, _sdc_deleted_at=moment), bookmark("s", 2, "n"))
    place.good(head, record("s", id=3, n=3), bookmark("s", 3, "n"), on_schema_change="freeze")
    gone = record("s", id=2, n=4, _sdc_deleted_at=moment)
    place.good(head, gone, bookmark("s", 4, "n"), on_schema_change="freeze")
    assert place.frame("s")["id"].to_list() == [3]


@pytest.mark.parametrize(("number", "kept"), [("7", True), ("7.0", True), ("7.5", False)])
def test_an_integer_past_int64_is_an_integer(place: Place, number: str, *, kept: bool) -> None:
    column = {"type": "integer", "maximum": 10**20}
    line = f'{{"type":"RECORD","stream":"s","record":{{"id":1,"n":{number}}}}}'
    place.good(schema("s", {"id": KEY, "n": column}), line, record("s", id=2), on_bad_record="quarantine")
    assert [int(n) for n in place.frame("s")["n"].drop_nulls()] == ([7] if kept else [])
    assert aside(place) == ([] if kept else [(2, "n", "is not a whole number")])


def test_a_float_that_a_tap_wrote_out_to_the_end_is_that_float_in_a_decimal_column(place: Place) -> None:
    written = "17.170000000000001705302565824240446090698242187500"
    line = f'{{"type":"RECORD","stream":"s","record":{{"id":1,"n":{written}}}}}'
    place.good(schema("s", {"id": KEY, "n": {"type": "number", "multipleOf": 0.01}}), line)
    assert [str(n) for n in place.frame("s")["n"]] == ["17.17"]


def test_notes_say_how_many_names_they_leave_out(place: Place) -> None:
    fields = {f"f{number:02d}": 1 for number in range(50)}
    place.good(schema("s", {"id": KEY}), record("s", id=1, **fields))
    (note,) = [one for one in place.summary("s")["notes"] if one.startswith("fields left out")]
    assert note.endswith("f09 (1), and 40 more fields")


def test_a_batch_before_its_schema_is_named_by_its_line_after_another_s_file(
    place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"id": 2}\n{"id": 3}\n')
    message = {"type": "BATCH", "encoding": {"format": "jsonl"}, "manifest": [str(file)]}
    lines = [json.dumps({**message, "stream": name}) for name in ("g", "h")]
    ended = place.run(*GOOD, *lines, batch_roots=[str(tmp_path)])
    assert (ended.code, place.frame("g")["id"].to_list()) == (1, [1, 2, 3])
    assert "line 4: a BATCH of the stream comes before its SCHEMA" in ended.err


def test_a_stream_that_was_given_up_sets_nothing_more_aside(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"id": "a"}\n{"id": "b"}\n{\n{\n{\n')
    line = json.dumps(
        {"type": "BATCH", "stream": "g", "encoding": {"format": "jsonl"}, "manifest": [str(file)]}
    )
    ended = place.run(*GOOD, line, batch_roots=[str(tmp_path)], on_bad_record="quarantine", max_bad_records=1)
    assert ended.code == 1
    assert len(aside(place)) == place.summary("g")["rows_quarantined"]


@pytest.mark.parametrize(
    ("kind", "text", "note"),
    [
        (
            {"format": "date-time"},
            "2024-01-01+05:00",
            "1 values of n without a time taken as midnight",
        ),
        ({"format": "date"}, " 2024-01-01", None),
    ],
)
def test_a_coercion_is_counted_by_what_a_text_says_not_by_how_long_it_is(
    place: Place, kind: dict[str, str], text: str, note: str | None
) -> None:
    place.good(schema("s", {"id": KEY, "n": {"type": "string", **kind}}), record("s", id=1, n=text))
    assert [one for one in place.summary("s")["notes"] if " n " in one] == ([note] if note else [])


@pytest.mark.parametrize(("depth", "code"), [(200, 0), (201, 2)])
def test_max_depth_goes_as_deep_as_all_rooms_can(place: Place, depth: int, code: int) -> None:
    """The validator and the look at a STATE end at a depth of their own."""
    value = '{"a":' * 190 + "1" + "}" * 190
    deep = f'{{"type":"RECORD","stream":"s","record":{{"id":1,"d":{value}}}}}'
    state = f'{{"type":"STATE","value":{{"bookmarks":{{"s":{value}}}}}}}'
    lines = [schema("s", {"id": KEY, "d": {}}), deep, state]
    assert place.run(*lines, max_depth=depth, validate_records=True).code == code
    assert place.datasets() == (["s"] if code == 0 else [])

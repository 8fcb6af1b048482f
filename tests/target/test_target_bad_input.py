"""Bad input and wrong usage: a clear line, nothing half-written, no traceback, no value of a record."""

import json
import os
import subprocess
import sys
from threading import Thread
from typing import Any

import pytest

from tests.target.command import Place, assert_clear
from tests.target.messages import (
    INTEGER,
    KEY,
    MOMENT,
    NUMBER,
    STRING,
    record,
    schema,
    state,
)
from tests.target.orders import LINES, ORDERS


def test_a_bad_record_fails_its_stream_alone(place: Place) -> None:
    ended = place.run(
        schema("bad", {"id": KEY}), record("bad", id="word"), ORDERS, record("orders", id=1, name="a"),
        state({"bookmarks": {"orders": {"v": 1}, "bad": {"v": 2}}}),
    )  # fmt: skip
    assert ended.code == 1
    assert_clear(ended.err)
    assert "line 2: field 'id' is not a whole number" in ended.err
    assert place.datasets() == ["orders"]
    assert {one["dataset"]: one["status"] for one in place.record()["datasets"]} == {
        "bad": "failed",
        "orders": "published",
    }
    assert json.loads(ended.out) == {"bookmarks": {"orders": {"v": 1}}}


BAD_LINES = {
    "no JSON": (b"hello", "line 2 is no Singer message"),
    "two objects": (b'{"type":"STATE","value":{}}{}', "line 2 is no Singer message"),
    "an array": (b"[]", "line 2 is no Singer message"),
    "no type": (b'{"stream":"orders"}', "line 2 is no Singer message"),
    "null type": (b'{"type":null}', "line 2 is no Singer message"),
    "empty type": (b'{"type":""}', "line 2 is no Singer message (its type is empty)"),
    "unknown type": (b'{"type":"CONTROL"}', "unknown message type 'CONTROL'"),
    "RECORD without stream": (
        b'{"type":"RECORD","record":{}}',
        "line 2 is no Singer message (the RECORD message",
    ),
    "RECORD with a number for its stream": (
        b'{"type":"RECORD","stream":1,"record":{}}',
        "line 2 is no Singer",
    ),
    "byte order mark in between": (
        b"\xef\xbb\xbf" + b'{"type":"STATE","value":{}}',
        "a byte order mark begins it",
    ),
    "STATE without value": (b'{"type":"STATE"}', "the STATE message lacks value"),
    "bytes that are not UTF-8": (
        b'{"type":"STATE","value":"\xff"}',
        "line 2 holds a STATE that is not readable",
    ),
    "deep STATE": (
        b'{"type":"STATE","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "line 2 is no Singer message (is nested deeper than 100 levels",
    ),
    "a long number in a STATE": (
        b'{"type":"STATE","value":' + b"9" * 1_000_000 + b"}",
        "line 2 is no Singer message (holds a number of 1,000 digits or more)",
    ),
    "NaN": (b'{"type":"STATE","value":NaN}', "line 2 is no Singer message"),
    "byte order mark": (b'\xef\xbb\xbf{"type":"STATE","value":{}}', "line 2 is no Singer message"),
    "UTF-16": ('{"type":"STATE","value":{}}'.encode("utf-16"), "line 2 is no Singer message"),
    "terminal commands": (b'{"type":"\\u001b[2J\\u202e","stream":"s"}', "type '\\x1b[2J\\u202e'"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_stops_the_run_with_its_number_and_publishes_nothing(place: Place, case: str) -> None:
    line, message = BAD_LINES[case]
    data = ORDERS.encode() + b"\n" + line + b"\n" + record("orders", id=1, name="a").encode() + b"\n"
    ended = place.command("target-lake-parquet", "--config", place.configured(), stdin=data)
    assert (ended.code, ended.out) == (1, "")
    assert_clear(ended.err)
    assert message in ended.err
    assert place.datasets() == []
    assert (place.record()["status"], place.staged()) == ("failed", [])
    assert message in place.record()["error"]


DEEP = b"[" * 100_000 + b"]" * 100_000
BAD_MESSAGES = {
    "BATCH": (b'{"type":"BATCH","stream":"x"}', "lacks encoding and manifest"),
    "RECORD without record": (b'{"type":"RECORD","stream":"x"}', "comes before its SCHEMA"),
    "RECORD before SCHEMA": (b'{"type":"RECORD","stream":"x","record":{}}', "comes before its SCHEMA"),
    "SCHEMA without schema": (b'{"type":"SCHEMA","stream":"x"}', "the SCHEMA message lacks schema"),
    "SCHEMA without properties": (b'{"type":"SCHEMA","stream":"x","schema":{}}', "has no properties"),
    "keys that are no names": (
        b'{"type":"SCHEMA","stream":"x","schema":{"properties":{"a":{}}},"key_properties":[["a"]]}',
        "key_properties that are no list of names",
    ),
    "keys that the schema has not": (
        b'{"type":"SCHEMA","stream":"x","schema":{"properties":{"a":{}}},"key_properties":["b"]}',
        "key_properties name what the schema has no plain column for: b",
    ),
    "version that is a word": (
        b'{"type":"ACTIVATE_VERSION","stream":"x","version":"a"}',
        "has version of a wrong kind",
    ),
    "deep SCHEMA": (b'{"type":"SCHEMA","stream":"x","schema":' + DEEP + b"}", "is nested deeper than 100"),
    "deep RECORD": (
        b'{"type":"RECORD","stream":"x","record":{"a":' + DEEP + b"}}",
        "comes before its SCHEMA",
    ),
    "SCHEMA cut in the middle": (b'{"type":"SCHEMA","stream":"x","schema":{"prop', "message is not readable"),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
def test_a_bad_message_fails_its_stream_alone(place: Place, case: str) -> None:
    line, message = BAD_MESSAGES[case]
    data = ORDERS.encode() + b"\n" + line + b"\n" + record("orders", id=1, name="a").encode() + b"\n"
    ended = place.command("target-lake-parquet", "--config", place.configured(), stdin=data)
    assert ended.code == 1
    assert_clear(ended.err)
    (told,) = (one for one in ended.err.splitlines() if message in one)
    assert "Failed x: " in told
    assert "line 2: " in told
    assert place.rows("orders") == [{"id": 1, "name": "a"}]
    assert place.summary("x")["status"] == "failed"
    assert place.datasets() == ["orders"]


@pytest.mark.parametrize("found", [{}, {"o": None}, {"o": {}}, {"o": 5}])
def test_a_key_within_an_object_may_not_be_missing(place: Place, found: dict[str, Any]) -> None:
    head = schema("s", {"o": {"type": ["object", "null"], "properties": {"id": INTEGER}}}, keys=["o__id"])
    ended = place.run(head, record("s", o={"id": 1}), record("s", **found))
    assert ended.code == 1
    assert "line 3: field 'o" in ended.err
    assert place.datasets() == []


def test_names_of_streams_that_differ_in_case_alone_are_refused(place: Place) -> None:
    """Their folders would be one on some disks."""
    ended = place.run(schema("Orders", {"id": KEY}), schema("orders", {"id": KEY}), record("Orders", id=1))
    assert ended.code == 1
    assert "has the name of one of stream 'Orders'" in ended.err
    assert place.datasets() == ["Orders"]


def test_a_stream_that_failed_before_its_schema_stays_failed(place: Place) -> None:
    ended = place.run(record("s", id=1), schema("s", {"id": KEY}), record("s", id=2))
    assert ended.code == 1
    assert "line 1: a RECORD of the stream comes before its SCHEMA" in ended.err
    assert place.datasets() == []


def test_names_from_the_tap_command_no_terminal_and_forge_no_log_line(place: Place) -> None:
    name = "a\nError: all is well\x1b[2J\u202e"
    lines = [schema(name, {"id": KEY}), record(name, id="x"), schema("s", {"id": KEY})]
    ended = place.run(*lines, record("s", id=1, **{name: 1}), undeclared_fields="warn")
    assert ended.code == 1
    assert not set("\x1b\u202e") & set(ended.err)
    assert not any(line.startswith("Error: all") for line in ended.err.splitlines())
    assert "a\\nError: all is well\\x1b[2J\\u202e" in ended.err


BAD_RECORDS = {
    "an array": "[]",
    "null": "null",
    "bytes that are not UTF-8": '{"id": 1, "name": "\udcff"}',
    "a key that is missing": '{"name": "a"}',
    "5,000 digits": '{"id": ' + "9" * 5000 + "}",
    "a million digits": '{"id": 1, "name": ' + "9" * 1_000_000 + "}",
    "a million digits after the point": '{"id": 1, "name": 0.' + "9" * 1_000_000 + "}",
    "100,000 levels": '{"id": 1, "name": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "100,000 levels that do not close": '{"id": 1, "name": ' + '{"a":' * 100_000,
    "two records": '{"id": 1}, "record": []',
    "an exponent past reason": '{"id": 1e999999999}',
    "an object for a string's parent": '{"id": {"a": 1}}',
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_a_bad_record_names_line_and_field_and_never_its_value(place: Place, case: str) -> None:
    line = '{"type": "RECORD", "stream": "orders", "record": ' + BAD_RECORDS[case] + "}\n"
    data = (ORDERS + "\n" + line).encode(errors="surrogateescape")
    ended = place.command("target-lake-parquet", "--config", place.configured(), stdin=data)
    assert ended.code == 1
    assert_clear(ended.err)
    assert "line 2: field" in ended.err
    assert place.datasets() == []


def test_personal_data_of_bad_records_reaches_neither_log_nor_run_record(place: Place) -> None:
    canary = "canary-7f3a@example.com"
    kinds: dict[str, Any] = {
        "i": INTEGER,
        "n": NUMBER,
        "b": {"type": "boolean"},
        "t": MOMENT,
        "d": {"type": "string", "format": "date"},
        "m": {"type": "number", "multipleOf": 0.01},
        "o": {"type": "object", "properties": {"x": STRING}},
        "l": LINES,
    }
    lines = []
    for name in kinds:
        for nth, value in enumerate((canary, [canary], {"x": canary, "y": canary})):
            stream = f"{name}{nth}"
            lines += [schema(stream, {"id": KEY, **kinds}), record(stream, id=1, **{name: value})]
    errors = [place.run(*lines).err]
    for line in (
        f'{{"type": "{canary}',
        canary,
        f'{{"type": "RECORD", "stream": "s", "record": {{"a": "{canary}" }}',
    ):
        errors += [place.run(schema("s", {"id": KEY}), line, end).err for end in ("", "{}")]
    assert canary not in "".join(errors)
    assert (
        sum("Failed" in line for line in errors[0].splitlines()) == len(kinds) * 3 - 1
    )  # {"x": ...} suits "o"
    runs = "".join(path.read_text() for path in (place.root / "_meta/runs").iterdir())
    assert canary not in runs


# Wrong usage.

USAGE = {
    "no such file": (None, "cannot be read (No such file or directory)"),
    "no JSON": (b"{", "is not JSON"),
    "no object": (b"[]", "holds no JSON object"),
    "not UTF-8": (b'{"tap": "\xff"}', "is not UTF-8"),
    "unknown value": (b'{"load_method": "merge"}', "'merge' is not one of"),
    "wrong kind": (b'{"tenant_id": 5}', "5 is not of type"),
    "misspelt setting": (b'{"load_metod": "upsert"}', "did you mean 'load_method'?"),
    "separator in the tenant": (b'{"tenant_id": "a__b"}', "brings '__' into names"),
    "separator at the tenant's end": (b'{"tenant_id": "a_"}', "brings '__' into names"),
    "separator in the source": (b'{"source": "a__b"}', "brings '__' into names"),
    "level out of range": (b'{"compression_level": 23}', "compression_level 23"),
    "level of a codec without": (b'{"compression": "snappy", "compression_level": 1}', "compression_level 1"),
    "unknown setting of a stream": (b'{"stream_overrides": {"a": {"tap": "x"}}}', "'tap' was unexpected"),
    "a batch root that is none": (b'{"batch_roots": ["s3://bucket/x"]}', "batch_roots holds 's3://bucket/x'"),
    "an empty batch root": (b'{"batch_roots": [""]}', "batch_roots holds ''"),
    "share above one": (b'{"max_row_drop": 1.5}', "1.5"),
    "no number": (b'{"max_row_drop": NaN}', "holds a number that is none or too long"),
    "a number without end": (b'{"split_depth": ' + b"1" * 5000 + b"}", "a number that is none or too long"),
    "too deep": (b"[" * 100_000, "is nested too deeply"),
    "half a surrogate pair": (b'{"tenant_id": "\\ud800"}', "holds half a surrogate pair in a text"),
    "a NUL": (b'{"lake_root": "a\\u0000b"}', "lake_root holds a NUL"),
    "rows without end": (b'{"row_group_rows": 9223372036854775807}', "greater than the maximum"),
    "seconds without end": (b'{"progress_seconds": 10000000000}', "greater than the maximum"),
    "overrides of nothing": (b'{"stream_overrides": {"a": null}}', "None is not of type 'object'"),
    "overrides of a number": (b'{"stream_overrides": {"a": 5}}', "5 is not of type 'object'"),
    "home of nobody": (b'{"batch_roots": ["~nobody-there/x"]}', "batch_roots holds '~nobody-there/x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_one_line_and_exit_code_2(place: Place, case: str) -> None:
    content, message = USAGE[case]
    path = place.folder / "wrong.json"
    if content is not None:
        path.write_bytes(content)
    ended = place.command("target-lake-parquet", "--config", str(path), stdin=ORDERS + "\n")
    assert (ended.code, ended.out) == (2, "")
    assert_clear(ended.err)
    assert message in ended.err
    assert sorted(one.name for one in place.folder.iterdir() if one.is_dir()) == []


def test_a_config_that_can_be_read_but_once_is_read_once(place: Place) -> None:
    """As a shell's `--config <(...)` gives it: whoever opens it again waits for ever."""
    pipe = place.folder / "config"
    os.mkfifo(pipe)
    written = json.dumps({"lake_root": str(place.root), "source": "once"})
    writer = Thread(target=pipe.write_text, args=(written,), daemon=True)
    writer.start()
    ended = place.command("target-lake-parquet", "--config", str(pipe), stdin=ORDERS + "\n")
    assert ended.code == 0, ended.err
    assert "once_" in ended.err


def test_a_lake_root_that_cannot_be_written_is_one_line(place: Place) -> None:
    (place.folder / "file").touch()
    for root in (str(place.folder / "file" / "lake"), str(place.folder / "file"), "/proc/lake"):
        ended = place.run(ORDERS, lake_root=root)
        assert (ended.code, ended.out) == (1, "")
        assert_clear(ended.err)
        assert "cannot be written" in ended.err


def test_credentials_in_lake_root_are_refused_and_not_repeated(place: Place) -> None:
    ended = place.run(ORDERS, lake_root="s3://key:canary@bucket/lake")
    assert ended.code == 2
    assert_clear(ended.err)
    assert "credentials and options come from the environment" in ended.err
    assert "canary" not in ended.err


def test_a_file_of_other_making_holds_its_dataset_alone(place: Place) -> None:
    place.good(ORDERS, record("orders", id=1, name="a"))
    folder = place.root / "raw" / "orders"
    (folder / "99991231T235959000000Z.parquet").write_bytes(b"PAR1 but not really PAR1")
    ended = place.run(ORDERS, record("orders", id=2, name="b"), schema("s", {"id": KEY}), record("s", id=1))
    assert ended.code == 1
    assert_clear(ended.err)
    assert "cannot be read as Parquet" in ended.err
    assert place.rows("s") == [{"id": 1}]


def test_a_target_that_gives_up_lets_its_writer_finish(place: Place) -> None:
    """Meltano fails with tracebacks of its own where its loader goes while there are bytes to hand on."""
    lines = "".join(record("orders", id=number, name="x" * 1000) + "\n" for number in range(2000))
    config = place.folder / "config.json"
    config.write_text(json.dumps({"load_metod": "upsert"}))
    with subprocess.Popen(
        [sys.executable, "-m", "target_lake_parquet", "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin
        assert running.stdout
        assert running.stderr
        running.stdin.write(lines)  # raises BrokenPipeError where nobody reads
        running.stdin.close()
        out, err = running.stdout.read(), running.stderr.read()
    assert (running.returncode, out) == (2, "")
    assert "did you mean 'load_method'?" in err
